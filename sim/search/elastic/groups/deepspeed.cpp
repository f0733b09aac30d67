// Strategy `deepspeed`: ZeRO-3 and Ulysses sequence parallelism of one degree for all sequences
// (Jacobs et al., "DeepSpeed Ulysses", 2309.14509), the baseline of InfiniPipe's section on
// experiments and of FlexSP.
#include "deepspeed.hpp"

#include <algorithm>

#include <fmt/core.h>

#include "stagecraft/core/check.hpp"

#include "choices.hpp"
#include "groups.hpp"

namespace stagecraft::elastic {
namespace rounds {

Setting zero_setting(const StrategyInput& input) {
  Setting setting;
  setting.gpus = input.layout.gpus();
  setting.degrees = group_degrees(input.profile, setting.gpus);
  setting.states = model_state_bytes(input.profile, ulysses_layout(1, setting.gpus), 0);
  setting.room = activation_room(input.profile, setting.states);
  setting.context = longest_to_hold(input);
  setting.limit = std::max(input.batch.tokens(), setting.context);
  return setting;
}

GroupModel Setting::model(const SequenceProfile& profile, std::int32_t degree,
                          std::int32_t layers) const {
  return group_model(profile, ulysses_layout(degree, gpus), layers, room, limit);
}

std::vector<SequenceLayout> Setting::layouts() const {
  std::vector<SequenceLayout> all;
  all.reserve(degrees.size());
  for (const std::int32_t degree : degrees) {
    all.push_back(ulysses_layout(degree, gpus));
  }
  return all;
}

Result<IterationPlan> best_uniform(const StrategyInput& input, const Setting& setting,
                                   std::string_view strategy, std::int32_t degree,
                                   std::int32_t layers, std::int32_t capacities) {
  const GroupModel model = setting.model(input.profile, degree, layers);
  if (model.capacity < setting.context) {
    return misfit(input.profile, model.layout, layers, setting.context, setting.states,
                  setting.layouts());
  }
  RoundTerms terms;
  terms.states = setting.states;
  std::optional<IterationPlan> best;
  for (const data::Tokens capacity :
       round_capacities(input.batch, model.capacity, model.layout.data, capacities)) {
    Result<IterationPlan> plan =
        uniform_plan(input, strategy, input.profile, model, layers, terms, capacity);
    if (!plan) {
      return plan;
    }
    keep_better(best, std::move(plan).value());
  }
  STAGECRAFT_CHECK(best.has_value(), "at least one capacity");
  // NOLINTBEGIN(bugprone-unchecked-optional-access): checked above
  best->note = fmt::format("degree {}, {} groups, {} rounds, {} layers recomputed", degree,
                           model.layout.data, best->rounds.size(), layers);
  return *std::move(best);
  // NOLINTEND(bugprone-unchecked-optional-access)
}

std::vector<std::int32_t> layer_levels(std::int32_t fewest, std::int32_t most, std::int32_t count) {
  std::vector<std::int32_t> levels;
  for (std::int32_t i = 0; i < count; ++i) {
    const std::int32_t level = fewest + (most - fewest) * i / std::max(1, count - 1);
    if (levels.empty() || levels.back() != level) {
      levels.push_back(level);
    }
  }
  return levels;
}

}  // namespace rounds
namespace {

using rounds::Choice;
using rounds::Setting;

constexpr std::string_view kName = "deepspeed";
constexpr std::int32_t kLevels = 6;      // numbers of recomputed layers that `best` compares
constexpr std::int32_t kCapacities = 6;  // numbers of rounds that `balanced` compares

constexpr OptionSpec kOptions[] = {
    {"degree", "GPUs", "best", "auto | best | a power of two that divides the GPUs",
     "GPUs that share a sequence; auto: the fewest that hold the context, best: the fastest."},
    {"layers", "layers", "best", "auto | best | 0 to the layers of the model",
     "Layers recomputed; auto: the fewest with which the context fits, best: the fastest of a "
     "few."},
    {"packing", "", "balanced", "full | balanced",
     "Pack micro-batches to what memory holds, or try less, so that rounds come out full."},
};

struct Choices {
  Choice degree;
  Choice layers;
  bool balanced = false;
};

Result<Choices> read_choices(const StrategyInput& input, const Setting& setting) {
  Choices choices;
  Diagnostics failures;
  const auto take = [&](const OptionSpec& spec, std::int32_t low, std::int32_t high, Choice& out) {
    const Result<Choice> read = rounds::read_choice(input.options, kName, spec, low, high);
    if (read) {
      out = *read;
    } else {
      failures.insert(failures.end(), read.failures().begin(), read.failures().end());
    }
  };
  take(kOptions[0], 1, setting.degrees.back(), choices.degree);
  take(kOptions[1], 0, input.profile.layers, choices.layers);
  const bool known =
      !choices.degree.given() ||
      std::ranges::find(setting.degrees, choices.degree.value) != setting.degrees.end();
  if (!known) {
    failures.push_back(
        bad_input(fmt::format("option degree of strategy {} cannot be {}, expected {}", kName,
                              choices.degree.value, kOptions[0].range),
                  fmt::format("there are {} GPUs, and the profile knows degrees to {}",
                              setting.gpus, setting.degrees.back())));
  }
  const auto packing = input.options.find(kOptions[2].name);
  if (packing != input.options.end() && packing->second != "full" &&
      packing->second != "balanced") {
    failures.push_back(
        bad_input(fmt::format("option packing of strategy {} cannot be '{}', "
                              "expected {}",
                              kName, packing->second, kOptions[2].range)));
  }
  choices.balanced = packing == input.options.end() || packing->second == "balanced";
  if (!failures.empty()) {
    return failures;
  }
  return choices;
}

// What there is to compare: (degree, layers).
std::vector<std::pair<std::int32_t, std::int32_t>> candidates(const StrategyInput& input,
                                                              const Setting& setting,
                                                              const Choices& choices) {
  const std::vector<std::int32_t> degrees =
      choices.degree.given() ? std::vector{choices.degree.value} : setting.degrees;
  std::vector<std::pair<std::int32_t, std::int32_t>> all;
  for (const std::int32_t degree : degrees) {
    const std::optional<std::int32_t> fewest = rounds::fewest_layers(
        input.profile, rounds::ulysses_layout(degree, setting.gpus), setting.context, setting.room);
    if (!fewest || (choices.layers.given() && choices.layers.value < *fewest)) {
      continue;
    }
    if (choices.layers.best()) {
      for (const std::int32_t layers :
           rounds::layer_levels(*fewest, input.profile.layers, kLevels)) {
        all.emplace_back(degree, layers);
      }
    } else {
      all.emplace_back(degree, choices.layers.given() ? choices.layers.value : *fewest);
    }
  }
  if (choices.degree.automatic() && !all.empty()) {
    // The fewest GPUs that need no more recomputation than the most GPUs would.
    const auto least = std::ranges::min_element(all, {}, &std::pair<int, int>::second);
    const std::int32_t degree = least->first;
    std::erase_if(all, [&](const auto& candidate) { return candidate.first != degree; });
  }
  return all;
}

Result<IterationPlan> plan_deepspeed(const StrategyInput& input) {
  if (Diagnostics problems = rounds::check_input(input); !problems.empty()) {
    return problems;
  }
  const Setting setting = rounds::zero_setting(input);
  const Result<Choices> choices = read_choices(input, setting);
  if (!choices) {
    return choices.failures();
  }
  const auto all = candidates(input, setting, *choices);
  if (all.empty()) {
    const std::int32_t degree =
        choices->degree.given() ? choices->degree.value : setting.degrees.back();
    const std::int32_t layers =
        choices->layers.given() ? choices->layers.value : input.profile.layers;
    return rounds::misfit(input.profile, rounds::ulysses_layout(degree, setting.gpus), layers,
                          setting.context, setting.states, setting.layouts());
  }
  std::optional<IterationPlan> best;
  for (const auto& [degree, layers] : all) {
    Result<IterationPlan> plan = rounds::best_uniform(input, setting, kName, degree, layers,
                                                      choices->balanced ? kCapacities : 0);
    if (!plan) {
      return plan;
    }
    rounds::keep_better(best, std::move(plan).value());
  }
  STAGECRAFT_CHECK(best.has_value(), "at least one choice");
  return *std::move(best);  // NOLINT(bugprone-unchecked-optional-access): checked above
}

}  // namespace

const StrategyInfo& deepspeed_info() {
  static constexpr StrategyInfo kInfo{
      .name = kName,
      .summary =
          "ZeRO-3 and Ulysses: sequence-parallel groups of one size, rounds of packed "
          "micro-batches",
      .source =
          "Jacobs et al., 2309.14509; as a baseline in FlexSP (ASPLOS '25) and InfiniPipe "
          "(2509.21275)",
      .assumptions =
          "sequences are packed best-fit; groups run the longest micro-batches side by side "
          "and wait for each other after each, since ZeRO-3 gathers parameters together; "
          "degree, recomputed layers and tokens of a micro-batch are the best of a sweep "
          "(InfiniPipe's authors: 16 GPUs for 7B, 32 for 13B and 30B, packed full)",
      .options = kOptions,
      .pipelined = false,
      .plan = plan_deepspeed,
  };
  return kInfo;
}

}  // namespace stagecraft::elastic
