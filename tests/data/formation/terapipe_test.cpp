// TeraPipe's slices against every way to cut small micro-batches, and against the published form of
// the dynamic program.
#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <set>

#include "data/formation/cases.hpp"
#include "support/sanitized.hpp"

using namespace stagecraft;
using namespace stagecraft::data;
using namespace stagecraft::test;

namespace {

constexpr double kInfinite = std::numeric_limits<double>::infinity();

double latency(const MicroBatch& microbatch, const TeraPipeOptions& options) {
  double longest = 0;
  double sum = 0;
  for (const Slice& slice : microbatch.slices) {
    const double time = slice_cost(slice, options.costs, options.fixed);
    longest = std::max(longest, time);
    sum += time;
  }
  return sum + (options.stages - 1) * longest;
}

/// Time of the slice of steps [i, j) of the micro-batch as it lies end to end.
double step_time(const MicroBatch& whole, std::size_t i, std::size_t j,
                 const TeraPipeOptions& options) {
  Slice slice;
  Tokens at = 0;
  const auto from = static_cast<Tokens>(i) * options.step;
  const auto to = static_cast<Tokens>(j) * options.step;
  for (const Piece& piece : whole.slices[0].pieces) {
    const Tokens begin = std::max(from, at);
    const Tokens end = std::min(to, at + piece.tokens);
    if (begin < end) {
      slice.pieces.push_back({piece.sequence, begin - at, end - begin, end - begin});
    }
    at += piece.tokens;
  }
  return slice_cost(slice, options.costs, options.fixed);
}

double best_of_all(const MicroBatch& whole, std::size_t steps, const TeraPipeOptions& options) {
  double best = kInfinite;
  for (unsigned cuts = 0; cuts < 1U << (steps - 1); ++cuts) {
    double longest = 0;
    double sum = 0;
    std::size_t first = 0;
    std::int32_t slices = 0;
    for (std::size_t end = 1; end <= steps; ++end) {
      if (end == steps || (cuts >> (end - 1) & 1U) != 0) {
        const double time = step_time(whole, first, end, options);
        longest = std::max(longest, time);
        sum += time;
        first = end;
        ++slices;
      }
    }
    if (slices <= options.most_slices) {
      best = std::min(best, sum + (options.stages - 1) * longest);
    }
  }
  return best;
}

/// Least sum for each candidate of the longest time, as published; no limit of slices.
double published(const MicroBatch& whole, std::size_t steps, const TeraPipeOptions& options) {
  std::vector<std::vector<double>> time(steps, std::vector<double>(steps + 1));
  std::set<double> candidates;
  for (std::size_t i = 0; i < steps; ++i) {
    for (std::size_t j = i + 1; j <= steps; ++j) {
      time[i][j] = step_time(whole, i, j, options);
      candidates.insert(time[i][j]);
    }
  }
  double best = kInfinite;
  for (const double most : candidates) {
    std::vector<double> sum(steps + 1, kInfinite);
    sum[0] = 0;
    for (std::size_t j = 1; j <= steps; ++j) {
      for (std::size_t i = 0; i < j; ++i) {
        if (time[i][j] <= most) {
          sum[j] = std::min(sum[j], sum[i] + time[i][j]);
        }
      }
    }
    best = std::min(best, sum[steps] + (options.stages - 1) * most);
  }
  return best;
}

/// One micro-batch of `steps` steps, the longest sequence first.
GlobalBatch batch_of_steps(Random& random, Tokens step, std::size_t steps) {
  const auto tokens =
      random.uniform(static_cast<Tokens>(steps - 1) * step + 1, static_cast<Tokens>(steps) * step);
  std::vector<Tokens> lengths{tokens};
  for (int i = 0; i < 3 && lengths.front() > 3 && random.chance(1, 2); ++i) {
    const Tokens part = random.uniform(1, lengths.front() / 2);
    lengths.front() -= part;
    lengths.push_back(part);
  }
  std::sort(lengths.rbegin(), lengths.rend());
  return batch_of(lengths);
}

TeraPipeOptions any_options(Random& random) {
  TeraPipeOptions options;
  options.stages = static_cast<std::int32_t>(random.uniform(1, 24));
  options.costs = any_costs(random);
  options.step = random.uniform(1, 30);
  options.fixed = random.chance(1, 4) ? 0
                                      : static_cast<double>(random.uniform(1, 20)) *
                                            options.costs.of(0, options.step) / 8;
  return options;
}

}  // namespace

TEST_SUITE("data") {
  TEST_CASE("TeraPipe's slices of short micro-batches are the best of all") {
    Random random(51);
    for (int round = 0; round < (STAGECRAFT_SANITIZED ? 40 : 300); ++round) {
      CAPTURE(round);
      TeraPipeOptions options = any_options(random);
      options.most_slices = static_cast<std::int32_t>(random.uniform(1, 12));
      const auto steps = static_cast<std::size_t>(random.uniform(1, 10));
      const GlobalBatch batch = batch_of_steps(random, options.step, steps);
      const Formation packed = *pack_best_fit(batch, tokens_of(batch));
      REQUIRE(packed.microbatches.size() == 1);
      const Formation formation = *terapipe_slices(packed, options);
      const MicroBatch& sliced = formation.microbatches[0];
      CHECK(static_cast<std::int32_t>(sliced.slices.size()) <= options.most_slices);
      for (std::size_t i = 0; i + 1 < sliced.slices.size(); ++i) {
        CHECK(sliced.slices[i].tokens() % options.step == 0);
      }
      CHECK(latency(sliced, options) ==
            doctest::Approx(best_of_all(packed.microbatches[0], steps, options)).epsilon(1e-12));
    }
  }

  TEST_CASE("TeraPipe's slices are those of the published program") {
    Random random(52);
    for (int round = 0; round < (STAGECRAFT_SANITIZED ? 5 : 40); ++round) {
      CAPTURE(round);
      const TeraPipeOptions options = any_options(random);
      const auto steps = static_cast<std::size_t>(random.uniform(20, 50));
      const GlobalBatch batch = batch_of_steps(random, options.step, steps);
      const Formation packed = *pack_best_fit(batch, tokens_of(batch));
      const Formation formation = *terapipe_slices(packed, options);
      CHECK(latency(formation.microbatches[0], options) ==
            doctest::Approx(published(packed.microbatches[0], steps, options)).epsilon(1e-12));
    }
  }

  TEST_CASE("one stage needs no slices, many stages need many") {
    const Formation packed = *pack_best_fit(batch_of({131072}), 131072);
    CHECK(terapipe_slices(packed, {1, kSevenBillion, 10.0})->units() == 1);
    const auto units = [&](std::int32_t stages) {
      return terapipe_slices(packed, {stages, kSevenBillion, 2000.0})->units();
    };
    CHECK(units(2) < units(8));
    CHECK(units(8) < units(64));
    CHECK(terapipe_slices(packed, {64, kSevenBillion, 0.0})->units() == 64);
  }
}
