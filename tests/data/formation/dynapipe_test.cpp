// DynaPipe's micro-batches against every partition of small batches, and against the slow program
// over every achievable longest time for larger ones.
#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <set>

#include "data/formation/cases.hpp"
#include "support/sanitized.hpp"

using namespace stagecraft;
using namespace stagecraft::data;
using namespace stagecraft::test;

namespace {

constexpr double kInfinite = std::numeric_limits<double>::infinity();

std::vector<Tokens> sorted_lengths(const GlobalBatch& batch) {
  std::vector<Tokens> lengths;
  lengths.reserve(batch.sequences.size());
  for (const Sequence& sequence : batch.sequences) {
    lengths.push_back(sequence.tokens);
  }
  std::sort(lengths.rbegin(), lengths.rend());
  return lengths;
}

/// Time of the micro-batch of sequences [i, j) of the sorted ones; nothing if it has no room.
std::optional<double> time_of(const std::vector<Tokens>& lengths, std::size_t i, std::size_t j,
                              const DynaPipeOptions& options) {
  const auto count = static_cast<Tokens>(j - i);
  if (options.capacity > 0 && count * lengths[i] > options.capacity) {
    return std::nullopt;
  }
  return options.fixed + static_cast<double>(count) * options.costs.of(0, lengths[i]);
}

double objective(double longest, double sum, const DynaPipeOptions& options) {
  return (options.stages - 1) * longest + sum / options.data_parallel;
}

double objective(const Formation& formation, const DynaPipeOptions& options) {
  double longest = 0;
  double sum = 0;
  for (const MicroBatch& microbatch : formation.microbatches) {
    const double time = slice_cost(microbatch.slices[0], options.costs, options.fixed);
    longest = std::max(longest, time);
    sum += time;
  }
  return objective(longest, sum, options);
}

double best_of_all(const std::vector<Tokens>& lengths, const DynaPipeOptions& options) {
  double best = kInfinite;
  for (unsigned cuts = 0; cuts < 1U << (lengths.size() - 1); ++cuts) {
    double longest = 0;
    double sum = 0;
    std::size_t first = 0;
    bool fits = true;
    for (std::size_t end = 1; end <= lengths.size(); ++end) {
      if (end == lengths.size() || (cuts >> (end - 1) & 1U) != 0) {
        const auto time = time_of(lengths, first, end, options);
        fits = fits && time.has_value();
        longest = std::max(longest, time.value_or(0));
        sum += time.value_or(0);
        first = end;
      }
    }
    best = fits ? std::min(best, objective(longest, sum, options)) : best;
  }
  return best;
}

double best_of_all_times(const std::vector<Tokens>& lengths, const DynaPipeOptions& options) {
  const std::size_t n = lengths.size();
  std::set<double> times;
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = i + 1; j <= n; ++j) {
      if (const auto time = time_of(lengths, i, j, options)) {
        times.insert(*time);
      }
    }
  }
  double best = kInfinite;
  for (const double most : times) {
    std::vector<double> sum(n + 1, kInfinite);
    sum[0] = 0;
    for (std::size_t j = 1; j <= n; ++j) {
      for (std::size_t i = 0; i < j; ++i) {
        const auto time = time_of(lengths, i, j, options);
        if (time && *time <= most) {
          sum[j] = std::min(sum[j], sum[i] + *time);
        }
      }
    }
    best = std::min(best, objective(most, sum[n], options));
  }
  return best;
}

DynaPipeOptions any_options(Random& random, const GlobalBatch& batch) {
  DynaPipeOptions options;
  options.stages = static_cast<std::int32_t>(random.uniform(1, 16));
  options.data_parallel = static_cast<std::int32_t>(random.uniform(1, 4));
  options.costs = any_costs(random);
  options.fixed = static_cast<double>(random.uniform(0, 4)) * options.costs.of(0, 50);
  options.capacity =
      random.chance(1, 2) ? 0 : longest_of(batch) + random.uniform(0, 4 * longest_of(batch));
  return options;
}

}  // namespace

TEST_SUITE("data") {
  TEST_CASE("DynaPipe's micro-batches of few sequences are the best of all partitions") {
    Random random(31);
    for (int round = 0; round < (STAGECRAFT_SANITIZED ? 40 : 400); ++round) {
      CAPTURE(round);
      const GlobalBatch batch = any_batch(random, 10);
      const DynaPipeOptions options = any_options(random, batch);
      const Result<Formation> formation = dynapipe_microbatches(batch, options);
      REQUIRE(formation.ok());
      CHECK(objective(*formation, options) ==
            doctest::Approx(best_of_all(sorted_lengths(batch), options)).epsilon(1e-12));
    }
  }

  TEST_CASE("with enough candidates DynaPipe's micro-batches are exact, with 64 nearly so") {
    Random random(32);
    double worst = 1;
    for (int round = 0; round < (STAGECRAFT_SANITIZED ? 4 : 40); ++round) {
      CAPTURE(round);
      const GlobalBatch batch = any_batch(random, 60);
      DynaPipeOptions options = any_options(random, batch);
      const double best = best_of_all_times(sorted_lengths(batch), options);
      const double with_64 = objective(*dynapipe_microbatches(batch, options), options);
      worst = std::max(worst, with_64 / best);
      CHECK(with_64 >= best * (1 - 1e-12));
      options.candidates = 10'000;
      CHECK(objective(*dynapipe_microbatches(batch, options), options) ==
            doctest::Approx(best).epsilon(1e-12));
    }
    MESSAGE("64 candidates: worst ratio to the optimum " << worst);
    CHECK(worst < 1.02);
  }

  TEST_CASE(
      "one stage has no bubble: micro-batches of equal sequences, or of all where fixed costs "
      "rule") {
    const GlobalBatch batch = batch_of({4, 9, 4, 9, 1});
    CHECK(text_of(*dynapipe_microbatches(batch, {1, 1, {1, 0}, 0.5})) ==
          "[1:0+9 3:0+9]; [0:0+4 2:0+4]; [4:0+1]");
    CHECK(text_of(*dynapipe_microbatches(batch, {1, 1, {1, 0}, 100})) ==
          "[1:0+9 3:0+9 0:0+4/9 2:0+4/9 4:0+1/9]");
    // Many stages: the longest time counts most, so nothing is put beside the longest.
    CHECK(text_of(*dynapipe_microbatches(batch, {100, 1, {1, 0}, 0.5})) ==
          "[1:0+9]; [3:0+9]; [0:0+4 2:0+4]; [4:0+1]");
    // Capacity counts padding.
    CHECK(text_of(*dynapipe_microbatches(batch, {1, 1, {1, 0}, 100, 18})) ==
          "[1:0+9 3:0+9]; [0:0+4 2:0+4 4:0+1/4]");
  }
}
