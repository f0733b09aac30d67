// Micro-batch formation: a method must be done long before the iteration that runs its
// micro-batches (seconds), for every global batch of a data set of a million sequences. Lengths are
// log-normal as of web text (median 930, sigma 1.52, cut at 48K); costs those of FlexSP's 7B model
// on 4 stages of 8 GPUs.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <vector>

#include <benchmark/benchmark.h>

#include "stagecraft/core/random.hpp"
#include "stagecraft/data/formation.hpp"

namespace {

using namespace stagecraft;
using namespace stagecraft::data;

constexpr Tokens kContext = 49152;
constexpr std::int32_t kStages = 4;
constexpr TokenCosts kCosts{0.18396 / 32, 5.128e-6 / 32};
constexpr double kFixed = 5.0;
constexpr std::size_t kBatch = 512;

GlobalBatch web_like(Random& random, std::size_t count) {
  const auto unit = [&] {
    return static_cast<double>(random.uniform(1, 1 << 30)) / static_cast<double>(1 << 30);
  };
  GlobalBatch batch;
  batch.sequences.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const double normal =
        std::sqrt(-2 * std::log(unit())) * std::cos(2 * std::numbers::pi * unit());
    const auto tokens = static_cast<Tokens>(std::llround(930 * std::exp(1.52 * normal)));
    batch.sequences.push_back(
        {static_cast<std::int64_t>(i), std::clamp<Tokens>(tokens, 1, kContext)});
  }
  return batch;
}

/// range(0) sequences in batches of 512; the benchmark's time is that of all of them.
template <typename Method>
void form(benchmark::State& state, Method method) {
  Random random(1);
  std::vector<GlobalBatch> batches;
  const auto sequences = static_cast<std::size_t>(state.range(0));
  for (std::size_t done = 0; done < sequences; done += kBatch) {
    batches.push_back(web_like(random, std::min(kBatch, sequences - done)));
  }
  std::int64_t units = 0;
  for (auto _ : state) {
    units = 0;
    for (const GlobalBatch& batch : batches) {
      const Result<Formation> formation = method(batch);
      units += formation->units();
      benchmark::DoNotOptimize(units);
    }
  }
  state.counters["units"] = static_cast<double>(units);
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

Formation packed(const GlobalBatch& batch) {
  return *pack_best_fit(batch, kContext);
}

void formation_pad(benchmark::State& state) {
  form(state, [](const GlobalBatch& batch) { return pad_together(batch, 4); });
}
void formation_first_fit(benchmark::State& state) {
  form(state, [](const GlobalBatch& batch) { return pack_first_fit(batch, kContext); });
}
void formation_best_fit(benchmark::State& state) {
  form(state, [](const GlobalBatch& batch) { return pack_best_fit(batch, kContext); });
}
void formation_dynapipe(benchmark::State& state) {
  form(state, [](const GlobalBatch& batch) {
    return dynapipe_microbatches(batch, {kStages, 1, kCosts, kFixed, kContext});
  });
}
void formation_equal_cost(benchmark::State& state) {  // packing included, as in those that follow
  form(state, [](const GlobalBatch& batch) {
    return slice_evenly(packed(batch), 8, SliceRule::kEqualCost, kCosts);
  });
}
void formation_equal_tokens(benchmark::State& state) {
  form(state, [](const GlobalBatch& batch) {
    return slice_evenly(packed(batch), 8, SliceRule::kEqualTokens, kCosts);
  });
}
void formation_fixed_tokens(benchmark::State& state) {
  form(state, [](const GlobalBatch& batch) { return slice_by_tokens(packed(batch), 8192); });
}
void formation_terapipe(benchmark::State& state) {
  form(state, [](const GlobalBatch& batch) {
    return terapipe_slices(packed(batch), {kStages, kCosts, kFixed});
  });
}
void formation_chunkflow(benchmark::State& state) {
  form(state, [](const GlobalBatch& batch) { return chunk_evenly(batch, 8192); });
}
void formation_balanced(benchmark::State& state) {
  form(state, [](const GlobalBatch& batch) { return balanced_chunks(batch, {kCosts, kFixed, 6}); });
}
void formation_verify(benchmark::State& state) {  // of balanced_chunks, whose time is included
  form(state, [](const GlobalBatch& batch) {
    Result<Formation> formation = balanced_chunks(batch, {kCosts, kFixed, 6});
    benchmark::DoNotOptimize(verify_formation(batch, *formation).size());
    return formation;
  });
}
#define STAGECRAFT_FORMATION_BENCHMARK(name)                \
  BENCHMARK(name)->Arg(512)->Unit(benchmark::kMicrosecond); \
  BENCHMARK(name)->Arg(1'000'000)->Unit(benchmark::kMillisecond)
STAGECRAFT_FORMATION_BENCHMARK(formation_pad);
STAGECRAFT_FORMATION_BENCHMARK(formation_first_fit);
STAGECRAFT_FORMATION_BENCHMARK(formation_best_fit);
STAGECRAFT_FORMATION_BENCHMARK(formation_dynapipe);
STAGECRAFT_FORMATION_BENCHMARK(formation_equal_cost);
STAGECRAFT_FORMATION_BENCHMARK(formation_equal_tokens);
STAGECRAFT_FORMATION_BENCHMARK(formation_fixed_tokens);
STAGECRAFT_FORMATION_BENCHMARK(formation_terapipe);
STAGECRAFT_FORMATION_BENCHMARK(formation_chunkflow);
STAGECRAFT_FORMATION_BENCHMARK(formation_balanced);
STAGECRAFT_FORMATION_BENCHMARK(formation_verify);

/// One step of 128 through 128K: TeraPipe on one long sequence.
void formation_terapipe_128k(benchmark::State& state) {
  GlobalBatch batch;
  batch.sequences.push_back({0, 131072});
  const Formation whole = *pack_best_fit(batch, 131072);
  for (auto _ : state) {
    benchmark::DoNotOptimize(terapipe_slices(whole, {16, kCosts, kFixed}));
  }
}
BENCHMARK(formation_terapipe_128k)->Unit(benchmark::kMicrosecond);

/// Algorithm 1 on one batch of any size, K = 8.
void formation_balanced_one_batch(benchmark::State& state) {
  Random random(2);
  const GlobalBatch batch = web_like(random, static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) {
    benchmark::DoNotOptimize(balanced_chunks(batch, {kCosts, kFixed, 8}));
  }
}
BENCHMARK(formation_balanced_one_batch)
    ->Arg(512)
    ->Arg(10'000)
    ->Arg(100'000)
    ->Unit(benchmark::kMicrosecond);

/// How balanced: counters, by K and the token threshold in percent.
void formation_balance(benchmark::State& state) {
  Random random(3);
  const GlobalBatch batch = web_like(random, kBatch);
  const BalancedOptions options{kCosts, kFixed, static_cast<std::int32_t>(state.range(0)), 0,
                                static_cast<double>(state.range(1)) / 100};
  double longest = 0;
  double sum = 0;
  double slices = 0;
  for (auto _ : state) {
    const Formation formation = *balanced_chunks(batch, options);
    longest = sum = 0;
    slices = formation.units();
    for (const MicroBatch& microbatch : formation.microbatches) {
      for (const Slice& slice : microbatch.slices) {
        const double time = slice_cost(slice, kCosts, kFixed);
        longest = std::max(longest, time);
        sum += time;
      }
    }
  }
  state.counters["slices"] = slices;
  state.counters["max_over_mean"] = longest / (sum / slices);
  state.counters["sum_ms"] = sum;
}
BENCHMARK(formation_balance)
    ->ArgsProduct({benchmark::CreateDenseRange(1, 16, 1), {100, 125, 150, 200}})
    ->Unit(benchmark::kMicrosecond);

}  // namespace
