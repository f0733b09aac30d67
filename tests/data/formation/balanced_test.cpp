// InfiniPipe's algorithm 1: against a transcription of the paper's pseudo code, its mesh against
// bisection, and how balanced its slices are.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <limits>
#include <numeric>
#include <set>

#include "data/formation/balanced_mesh.hpp"
#include "data/formation/cases.hpp"
#include "support/sanitized.hpp"

using namespace stagecraft;
using namespace stagecraft::data;
using namespace stagecraft::test;

namespace {

/// The position before which k/K of the cost lies, by bisection.
long double mesh_point_slowly(Tokens length, std::int64_t k, std::int64_t slices,
                              const TokenCosts& costs) {
  const auto cost = [&](long double x) {
    return static_cast<long double>(costs.per_token) * x +
           static_cast<long double>(costs.per_square) * x * x;
  };
  const long double share = cost(static_cast<long double>(length)) * static_cast<long double>(k) /
                            static_cast<long double>(slices);
  long double low = 0;
  auto high = static_cast<long double>(length);
  for (int i = 0; i < 100; ++i) {
    const long double middle = (low + high) / 2;
    (cost(middle) < share ? low : high) = middle;
  }
  return high;
}

struct SlowBucket {
  double tot_time = 0;
  Tokens tot_tokens = 0;
  MicroBatch microbatch;  ///< its last slice is the bucket
};

/// Algorithm 1, line by line. Ours: only buckets with room count when the target is relaxed.
Formation balanced_slowly(const GlobalBatch& batch, const BalancedOptions& options) {
  const TokenCosts& costs = options.costs;
  const Tokens longest = longest_of(batch);
  std::int64_t slices = std::min<std::int64_t>(options.slices, longest);
  std::vector<Tokens> mesh = equal_time_mesh(longest, slices, costs);  // M.split
  while (options.capacity > 0 && longest_slice(mesh) > options.capacity) {
    mesh = equal_time_mesh(longest, ++slices, costs);
  }
  double target = 0;
  for (std::size_t k = 0; k < mesh.size(); ++k) {
    target = std::max(target, options.fixed + costs.of(k == 0 ? 0 : mesh[k - 1], mesh[k]));
  }
  const double threshold =
      std::min(std::floor(options.token_threshold * static_cast<double>(mesh[0])),
               options.capacity > 0 ? static_cast<double>(options.capacity) : 1e18);

  std::vector<std::int32_t> order(batch.sequences.size());
  std::iota(order.begin(), order.end(), 0);
  const auto length = [&](std::int32_t i) {
    return batch.sequences[static_cast<std::size_t>(i)].tokens;
  };
  std::stable_sort(order.begin(), order.end(),
                   [&](std::int32_t a, std::int32_t b) { return length(a) > length(b); });

  Formation formation;
  std::vector<SlowBucket> buckets;
  std::vector<std::int32_t> shorts;
  for (const std::int32_t i : order) {
    if (length(i) <= mesh[0]) {
      shorts.push_back(i);
      continue;
    }
    MicroBatch microbatch;
    Tokens begin = 0;
    for (const Tokens point : mesh) {
      if (point <= length(i)) {
        microbatch.slices.push_back({{{i, begin, point - begin, point - begin}}});
        begin = point;
      }
    }
    if (begin < length(i)) {
      const Tokens tail = length(i) - begin;
      microbatch.slices.push_back({{{i, begin, tail, tail}}});
      buckets.push_back({options.fixed + costs.of(begin, length(i)), tail, microbatch});
    } else {
      formation.microbatches.push_back(microbatch);
    }
  }
  for (const std::int32_t i : shorts) {
    const double time = costs.of(0, length(i));
    const auto fits = [&](const SlowBucket& bucket) {
      return static_cast<double>(bucket.tot_tokens + length(i)) <= threshold;
    };
    if (std::none_of(buckets.begin(), buckets.end(), fits)) {
      buckets.push_back({options.fixed + time, length(i), {{{{{i, 0, length(i), length(i)}}}}}});
      continue;
    }
    for (bool placed = false; !placed;) {
      std::vector<SlowBucket*> ascending;
      ascending.reserve(buckets.size());
      for (SlowBucket& bucket : buckets) {
        ascending.push_back(&bucket);
      }
      const auto ratio = [](const SlowBucket* bucket) {
        return bucket->tot_time / static_cast<double>(bucket->tot_tokens);
      };
      std::stable_sort(ascending.begin(), ascending.end(),
                       [&](const auto* a, const auto* b) { return ratio(a) < ratio(b); });
      for (SlowBucket* bucket : ascending) {
        if (bucket->tot_time + time <= target && fits(*bucket)) {
          bucket->tot_time += time;
          bucket->tot_tokens += length(i);
          bucket->microbatch.slices.back().pieces.push_back({i, 0, length(i), length(i)});
          placed = true;
          break;
        }
      }
      if (!placed) {
        double least = std::numeric_limits<double>::infinity();
        for (const SlowBucket& bucket : buckets) {
          least = fits(bucket) ? std::min(least, bucket.tot_time) : least;
        }
        target = least + time;
      }
    }
  }
  for (const SlowBucket& bucket : buckets) {
    formation.microbatches.push_back(bucket.microbatch);
  }
  const auto first_sequence = [](const MicroBatch& microbatch) {
    std::set<std::int32_t> sequences;
    for (const Slice& slice : microbatch.slices) {
      for (const Piece& piece : slice.pieces) {
        sequences.insert(piece.sequence);
      }
    }
    return *sequences.begin();
  };
  std::sort(formation.microbatches.begin(), formation.microbatches.end(),
            [&](const MicroBatch& a, const MicroBatch& b) {
              if (a.slices.size() != b.slices.size()) {
                return a.slices.size() > b.slices.size();
              }
              if (a.tokens() != b.tokens()) {
                return a.tokens() > b.tokens();
              }
              return first_sequence(a) < first_sequence(b);
            });
  return formation;
}

struct Spread {
  double longest = 0;
  double mean = 0;
  std::int32_t slices = 0;
};

Spread spread_of(const Formation& formation, const TokenCosts& costs, double fixed) {
  Spread spread;
  for (const MicroBatch& microbatch : formation.microbatches) {
    for (const Slice& slice : microbatch.slices) {
      const double cost = slice_cost(slice, costs, fixed);
      spread.longest = std::max(spread.longest, cost);
      spread.mean += cost;
    }
  }
  spread.slices = formation.units();
  spread.mean /= spread.slices;
  return spread;
}

}  // namespace

TEST_SUITE("data") {
  TEST_CASE("the closed form of the mesh is where bisection finds equal shares") {
    Random random(61);
    for (int round = 0; round < 200; ++round) {
      CAPTURE(round);
      const Tokens length = random.uniform(1, random.chance(1, 2) ? 30 : 200'000);
      const std::int64_t slices = random.uniform(1, std::min<Tokens>(length, 40));
      const TokenCosts costs = any_costs(random);
      const std::vector<Tokens> mesh = equal_time_mesh(length, slices, costs);
      REQUIRE(static_cast<std::int64_t>(mesh.size()) == slices);
      CHECK(mesh.back() == length);
      Tokens begin = 0;
      for (std::int64_t k = 1; k <= slices; ++k) {
        const Tokens end = mesh[static_cast<std::size_t>(k - 1)];
        CHECK(end > begin);
        const long double exact = mesh_point_slowly(length, k, slices, costs);
        const bool pushed = end == begin + 1 || end == length - (slices - k);
        CHECK((pushed || std::abs(static_cast<long double>(end) - exact) < 0.5L + 1e-6L));
        if (length > 1000 * slices) {
          CHECK_FALSE(pushed != (k == slices));
          const double share = costs.of(0, length) / static_cast<double>(slices);
          CHECK(std::abs(costs.of(begin, end) - share) <=
                costs.of(length - 1, length) * (1 + 1e-9));
        }
        begin = end;
      }
    }
    CHECK(equal_time_mesh(100, 2, {0, 1}) == std::vector<Tokens>{71, 100});  // 100 / sqrt 2
    CHECK(equal_time_mesh(100, 4, {1, 0}) == std::vector<Tokens>{25, 50, 75, 100});
  }

  TEST_CASE("K is raised to the fewest slices that keep to the capacity") {
    Random random(62);
    for (int round = 0; round < 300; ++round) {
      const Tokens length = random.uniform(1, 400);
      const Tokens capacity = random.uniform(1, length);
      const TokenCosts costs = any_costs(random);
      const std::int64_t wanted = random.uniform(1, length);
      std::int64_t expected = wanted;
      while (longest_slice(equal_time_mesh(length, expected, costs)) > capacity) {
        ++expected;
      }
      CHECK(slices_within(length, wanted, costs, capacity) == expected);
    }
  }

  TEST_CASE("algorithm 1 by hand") {
    // Linear costs: mesh 10, 20, 30. Tails: 5 of sequence 1; sequence 3 ends at a mesh point.
    const GlobalBatch batch = batch_of({30, 25, 6, 20, 4, 3, 10});
    const Formation formation = *balanced_chunks(batch, {{1, 0}, 0, 3});
    // 10 finds no room by tokens and opens a bucket, 6 another; 4 joins the tail (equal ratios:
    // the older bucket), 3 the 6.
    CHECK(text_of(formation) ==
          "[0:0+10][0:10+10][0:20+10]; [1:0+10][1:10+10][1:20+5 4:0+4]; [3:0+10][3:10+10]; "
          "[6:0+10]; [2:0+6 5:0+3]");
    CHECK(text_of(*balanced_chunks(batch, {{1, 0}, 0, 1})) ==
          "[0:0+30]; [3:0+20 6:0+10]; [1:0+25 4:0+4]; [2:0+6 5:0+3]");
    // A capacity of 10 raises K to 3.
    CHECK(text_of(*balanced_chunks(batch, {{1, 0}, 0, 1, 10})) == text_of(formation));
    // Quadratic: mesh 71, 100, target 71^2. The short bucket takes less time per token (60) than
    // the tail (161).
    CHECK(text_of(*balanced_chunks(batch_of({100, 90, 60, 10}), {{0, 1}, 0, 2})) ==
          "[0:0+71][0:71+29]; [1:0+71][1:71+19]; [2:0+60 3:0+10]");
    // 51 has room beside the tail but takes too long: the target is relaxed. 50 has no room.
    CHECK(text_of(*balanced_chunks(batch_of({100, 90, 51, 50}), {{0, 1}, 0, 2})) ==
          "[1:0+71][1:71+19 2:0+51]; [0:0+71][0:71+29]; [3:0+50]");
    // More slices than tokens.
    CHECK(text_of(*balanced_chunks(batch_of({3, 2, 1}), {{0, 1}, 0, 9})) ==
          "[0:0+1][0:1+1][0:2+1]; [1:0+1][1:1+1]; [2:0+1]");
  }

  TEST_CASE("algorithm 1 is its pseudo code") {
    Random random(63);
    for (int round = 0; round < (STAGECRAFT_SANITIZED ? 40 : 300); ++round) {
      CAPTURE(round);
      const GlobalBatch batch = any_batch(random, random.chance(1, 10) ? 200 : 50);
      BalancedOptions options;
      options.costs = any_costs(random);
      options.fixed = static_cast<double>(random.uniform(0, 3)) * options.costs.of(0, 100);
      options.slices = static_cast<std::int32_t>(random.uniform(1, 20));
      options.capacity = random.chance(1, 2)
                             ? 0
                             : random.uniform(1 + longest_of(batch) / 40, longest_of(batch) + 1);
      options.token_threshold = 1 + static_cast<double>(random.uniform(0, 30)) / 10;
      const Result<Formation> formation = balanced_chunks(batch, options);
      REQUIRE(formation.ok());
      CHECK((text_of(*formation) == text_of(balanced_slowly(batch, options))));
    }
  }

  TEST_CASE("slices keep the token threshold, tails share with short ones alone") {
    Random random(64);
    for (int round = 0; round < 100; ++round) {
      CAPTURE(round);
      const GlobalBatch batch = any_batch(random, 300);
      const auto slices = static_cast<std::int32_t>(random.uniform(1, 16));
      const double threshold = 1 + static_cast<double>(random.uniform(0, 10)) / 10;
      const TokenCosts costs = any_costs(random);
      const Formation formation = *balanced_chunks(batch, {costs, 1.0, slices, 0, threshold});
      const std::vector<Tokens> mesh = equal_time_mesh(
          longest_of(batch), std::min<std::int64_t>(slices, longest_of(batch)), costs);
      const double most = std::max(threshold * static_cast<double>(mesh[0]),
                                   static_cast<double>(longest_slice(mesh)));
      std::size_t slices_before = std::numeric_limits<std::size_t>::max();
      for (const MicroBatch& microbatch : formation.microbatches) {
        CHECK(microbatch.slices.size() <= slices_before);
        slices_before = microbatch.slices.size();
        for (const Slice& slice : microbatch.slices) {
          CHECK(static_cast<double>(slice.tokens()) <= most);
          CHECK(std::count_if(slice.pieces.begin(), slice.pieces.end(),
                              [&](const Piece& piece) { return piece.begin > 0; }) <= 1);
          if (slice.pieces.size() > 1) {
            CHECK(&slice == &microbatch.slices.back());
          }
        }
      }
    }
  }

  TEST_CASE("slices of web-like batches are balanced") {
    // FlexSP's 7B constants over 4 stages and 8 GPUs each; 512 sequences of up to 48K.
    Random random(65);
    const GlobalBatch batch = web_like(random, 512);
    const TokenCosts costs{kSevenBillion.per_token / 32, kSevenBillion.per_square / 32};
    for (std::int32_t slices = 1; slices <= 16; ++slices) {
      const Formation formation = *balanced_chunks(batch, {costs, 0, slices});
      REQUIRE(faults_of(batch, formation) == "");
      const Spread balanced = spread_of(formation, costs, 0);
      // The same number of units by packing and fixed slices, as Seq1F1B is run.
      const Tokens tokens = formation.microbatches[0].slices[0].tokens();
      const Formation fixed = *slice_by_tokens(*pack_best_fit(batch, longest_of(batch)), tokens);
      const Spread even = spread_of(fixed, costs, 0);
      MESSAGE("K = " << slices << ": " << balanced.slices << " slices, max / mean "
                     << balanced.longest / balanced.mean << "; fixed slices: " << even.slices
                     << ", " << even.longest / even.mean);
      CHECK(balanced.longest / balanced.mean < 2.5);
    }
  }

  TEST_CASE("algorithm 1 is fast enough to run between iterations") {
    Random random(66);
    const GlobalBatch batch = web_like(random, STAGECRAFT_SANITIZED ? 10'000 : 100'000);
    const std::clock_t start = std::clock();
    const Formation formation = *balanced_chunks(batch, {kSevenBillion, 1.0, 8});
    const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
    CHECK(faults_of(batch, formation) == "");
    CHECK(seconds < 1.0);
  }
}
