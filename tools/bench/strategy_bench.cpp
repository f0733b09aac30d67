// Mean time per iteration and planning time of every strategy on the stand-ins for real data:
// LLaMA 7B, 13B and 30B on 32 A800-80GB (8 per stage, 4 stages), contexts of 48K and 96K, global
// batches of 512 sequences.
//
//   stagecraft_strategy_bench [BATCHES] [DATA] [STRATEGY]
#include <algorithm>
#include <charconv>
#include <cstdint>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/core.h>

#include "stagecraft/data/lengths.hpp"
#include "stagecraft/data/sampling.hpp"
#include "stagecraft/search/elastic.hpp"

namespace {

using namespace stagecraft;

constexpr std::int32_t kSequences = 512;
constexpr std::int32_t kStages = 4;
constexpr std::int32_t kSequenceDegree = 8;
constexpr std::string_view kProfile = "a800-80gb-flexsp";

struct Sum {
  std::int32_t batches = 0;  // that fit
  double seconds = 0.0;
  double bubble = 0.0;
  double over_bound = 0.0;
  double planning = 0.0;
  double longest_planning = 0.0;
  std::string problem;
};

Sum run(const elastic::StrategyInfo& info, const std::vector<data::GlobalBatch>& batches,
        const SequenceProfile& profile, data::Tokens context) {
  SequenceLayout layout;
  layout.pipeline = kStages;
  layout.sequence = kSequenceDegree;
  const GeneratorOptions none;
  Sum sum;
  for (const data::GlobalBatch& batch : batches) {
    const elastic::StrategyInput input{batch, profile, layout, context, none};
    const auto plan = elastic::plan_iteration(info.name, input);
    if (!plan) {
      sum.problem = to_string(plan.failures().front());
      continue;
    }
    const elastic::IterationResult result = elastic::evaluate_iteration(*plan, input);
    if (!result.feasible) {
      sum.problem = to_string(result.problems.front());
      continue;
    }
    ++sum.batches;
    sum.seconds += static_cast<double>(result.time) / kSecond;
    sum.bubble += result.bubble_fraction;
    sum.over_bound += result.lower_bound > 0 ? static_cast<double>(result.time) /
                                                   static_cast<double>(result.lower_bound)
                                             : 0.0;
    sum.planning += plan->planning_seconds;
    sum.longest_planning = std::max(sum.longest_planning, plan->planning_seconds);
  }
  return sum;
}

Result<std::vector<data::GlobalBatch>> draw(std::string_view name, data::Tokens context,
                                            std::int32_t count) {
  const auto lengths = data::parse_lengths(name);
  if (!lengths) {
    return lengths.failures();
  }
  data::SamplingOptions options;
  options.global_batch = kSequences;
  options.context = context;
  auto sampler = data::BatchSampler::open(*lengths, options);
  if (!sampler) {
    return sampler.failures();
  }
  std::vector<data::GlobalBatch> batches;
  while (static_cast<std::int32_t>(batches.size()) < count) {
    auto batch = sampler->next();
    if (!batch) {
      return batch.failures();
    }
    if (!*batch) {
      break;
    }
    batches.push_back(**std::move(batch));
  }
  return batches;
}

int print(std::string_view data_name, std::int32_t count, std::string_view only) {
  fmt::print("{:<10} {:>4} {:<10} {:>8} {:>9} {:>8} {:>8} {:>9} {:>9}\n", "model", "ctx",
             "strategy", "seconds", "x elastic", "bubble", "x bound", "plan ms", "most ms");
  for (const data::Tokens context : {data::Tokens{49'152}, data::Tokens{98'304}}) {
    const auto batches = draw(data_name, context, count);
    if (!batches) {
      fmt::print(stderr, "{}", to_string(batches.failures()));
      return 2;
    }
    for (const char* model : {"llama-7b", "llama-13b", "llama-30b"}) {
      const auto profile = find_sequence_profile(kProfile, model);
      if (!profile) {
        fmt::print(stderr, "{}", to_string(profile.failures()));
        return 2;
      }
      double elastic = 0.0;
      for (const elastic::StrategyInfo& info : elastic::strategies()) {
        if (!only.empty() && info.name != only) {
          continue;
        }
        const Sum sum = run(info, *batches, *profile, context);
        const double fit = std::max(sum.batches, 1);
        if (info.name == "elastic") {
          elastic = sum.seconds / fit;
        }
        fmt::print("{:<10} {:>3}K {:<10} {:>8.3f} {:>9.3f} {:>7.1f}% {:>8.3f} {:>9.1f} {:>9.1f}",
                   model, context / 1024, info.name, sum.seconds / fit,
                   elastic > 0.0 ? sum.seconds / fit / elastic : 0.0, 100.0 * sum.bubble / fit,
                   sum.over_bound / fit, 1e3 * sum.planning / fit, 1e3 * sum.longest_planning);
        if (sum.batches < static_cast<std::int32_t>(batches->size())) {
          fmt::print("  {} of {} fit: {}", sum.batches, batches->size(), sum.problem);
        }
        fmt::print("\n");
      }
    }
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    std::int32_t batches = 5;
    if (argc > 1) {
      const std::string_view text = argv[1];
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), batches);
      if (error != std::errc() || end != text.data() + text.size() || batches < 1) {
        fmt::print(stderr, "BATCHES is '{}'; expected a positive integer\n", text);
        return 2;
      }
    }
    return print(argc > 2 ? argv[2] : "commoncrawl", batches, argc > 3 ? argv[3] : "");
  } catch (const std::exception& error) {
    fmt::print(stderr, "internal error: {}\n", error.what());
    return 1;
  }
}
