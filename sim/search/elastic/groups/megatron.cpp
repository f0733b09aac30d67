// Strategy `megatron`: tensor and context parallelism within a replica, data parallelism over the
// rest, with the distributed optimizer (Megatron-LM; Korthikanti et al., 2205.05198; Narayanan et
// al., SC '21).
//
// States of a GPU, bytes per parameter with elements of e bytes and s bytes of state in all (16):
//   weights e / TP + gradients in fp32 4 / TP + optimizer (s - 2 e) / (TP CP DP).
// Only the optimizer's part is shared by replicas. Gradients (4 bytes) are scattered and weights
// (e bytes) gathered once per iteration, by the GPUs that hold the same shard: 1 + 4 / e passes of
// the parameters as ZeRO-3 makes them for every unit. Where parameters overlap, weights hide behind
// F of a replica's first micro-batch and gradients behind BW of its last (Megatron-LM's
// --overlap-param-gather and --overlap-grad-reduce).
#include <algorithm>
#include <cmath>

#include <fmt/core.h>

#include "choices.hpp"
#include "deepspeed.hpp"
#include "groups.hpp"
#include "stagecraft/core/check.hpp"

namespace stagecraft::elastic {
namespace {

using rounds::Choice;

constexpr std::string_view kName = "megatron";
constexpr double kGradientBytes = 4.0;
constexpr std::int32_t kUsualTensor = 8;
constexpr std::int32_t kLevels = 6;
constexpr std::int32_t kCapacities = 6;  // tokens of a micro-batch

constexpr OptionSpec kOptions[] = {
    {"tensor", "GPUs", "best", "auto | best | a divisor of the GPUs",
     "Tensor-parallel degree; auto: 8, or what a node and the number of GPUs allow, best: the "
     "fastest within a node."},
    {"context_parallel", "", "best", "auto | best | a divisor of the GPUs over tensor",
     "Context-parallel degree; auto: the smallest that holds the context, best: the fastest."},
    {"layers", "layers", "best", "auto | best | 0 to the layers of the model",
     "Layers recomputed; auto: the fewest with which the context fits, best: the fastest of a "
     "few."},
};

struct Replica {
  SequenceLayout layout;
  std::int32_t layers = 0;
};

Bytes replica_states(const SequenceProfile& profile, const SequenceLayout& layout) {
  const double optimizer = std::max(0.0, profile.state_bytes - 2.0 * profile.element_bytes);
  const double each = (profile.element_bytes + kGradientBytes) / layout.tensor +
                      optimizer / static_cast<double>(layout.gpus());
  return static_cast<Bytes>(std::ceil(profile.parameters * each));
}

// Weights gathered once, nothing hidden.
Time weights_time(const SequenceProfile& profile, const SequenceLayout& layout) {
  if (profile.fixed == FixedCost::kNone) {
    return 0;
  }
  SequenceProfile traffic = profile;
  traffic.fixed = FixedCost::kParameterTraffic;
  traffic.overlap = {};
  return rounds::group_cost(traffic, layout, {{data::Piece{0, 0, 1, 1}}}).parameters_forward;
}

RoundTerms replica_terms(const SequenceProfile& profile, const SequenceLayout& layout) {
  RoundTerms terms;
  terms.states = replica_states(profile, layout);
  terms.waiting = false;
  const double passes = 1.0 + kGradientBytes / profile.element_bytes;
  terms.once =
      static_cast<Time>(std::llround(static_cast<double>(weights_time(profile, layout)) * passes));
  return terms;
}

// Computation of a replica's micro-batch of a round that hides no ring yet.
struct Uncovered {
  double forward = 0.0;
  double backward = 0.0;
};

Uncovered uncovered(const SequenceProfile& profile, const IterationPlan& plan,
                    const GroupRound& round, std::size_t replica) {
  const auto microbatch = static_cast<std::size_t>(round.microbatch[replica]);
  const UnitCost& cost = round.cost[replica];
  SequenceProfile visible = profile;
  visible.overlap = {};
  const UnitCost all = rounds::group_cost(visible, plan.layout,
                                          plan.formation.microbatches[microbatch].slices.front());
  return {
      static_cast<double>(cost.compute_forward - all.exchange_forward + cost.exchange_forward),
      static_cast<double>(cost.compute_backward - all.exchange_backward + cost.exchange_backward)};
}

// What the iteration still shows of the exchange once per iteration: what the replica that ends
// last adds to the longest work. Replicas do not wait for each other before, so the order of their
// micro-batches is free: the longest come last, where there is most to hide behind, and the second
// longest first.
void hide_once(const SequenceProfile& profile, IterationPlan& plan) {
  const double share = profile.overlap.parameters;
  const Time once = plan.round_terms.once;
  if (share == 0.0 || once == 0 || plan.rounds.empty()) {
    return;
  }
  std::rotate(plan.rounds.begin(), plan.rounds.begin() + 1, plan.rounds.end());
  const auto weights = static_cast<double>(weights_time(profile, plan.layout));
  const double gradients = static_cast<double>(once) - weights;
  Time longest = 0;
  Time end = 0;
  for (std::size_t replica = 0; replica < plan.rounds.front().gpus.size(); ++replica) {
    Time load = 0;
    const GroupRound* first = nullptr;
    const GroupRound* last = nullptr;
    for (const GroupRound& round : plan.rounds) {
      if (round.microbatch[replica] >= 0) {
        load += rounds::unit_time(round.cost[replica], plan.layers_recomputed);
        first = first == nullptr ? &round : first;
        last = &round;
      }
    }
    double hidden = 0.0;
    if (last != nullptr) {
      hidden = hidden_time(share, weights, uncovered(profile, plan, *first, replica).forward) +
               hidden_time(share, gradients, uncovered(profile, plan, *last, replica).backward);
    }
    longest = std::max(longest, load);
    end = std::max(end, load + once - static_cast<Time>(hidden));
  }
  plan.round_terms.once = end - longest;
  plan.predicted = rounds::rounds_time(plan.rounds, plan.round_terms, plan.layers_recomputed);
}

SequenceLayout replica_layout(std::int32_t gpus, std::int32_t tensor, std::int32_t context) {
  SequenceLayout layout;
  layout.tensor = tensor;
  layout.context = context;
  layout.data = gpus / (tensor * context);
  return layout;
}

std::int32_t usual_tensor(const SequenceProfile& profile, std::int32_t gpus) {
  std::int32_t tensor = std::min(kUsualTensor, profile.gpus_per_node);
  while (gpus % tensor != 0 || profile.gpus_per_node % tensor != 0) {
    --tensor;
  }
  return tensor;
}

// Powers of two that divide node and GPUs; at least 1.
std::vector<std::int32_t> tensors_in_node(const SequenceProfile& profile, std::int32_t gpus) {
  std::vector<std::int32_t> tensors;
  for (std::int32_t tensor = 1; gpus % tensor == 0 && profile.gpus_per_node % tensor == 0;
       tensor *= 2) {
    tensors.push_back(tensor);
    if (tensor > std::min(gpus, profile.gpus_per_node) / 2) {
      break;
    }
  }
  return tensors;
}

struct Choices {
  std::vector<std::int32_t> tensors;  // ascending
  Choice context;
  Choice layers;
};

Result<Choices> read_choices(const StrategyInput& input) {
  const std::int32_t gpus = input.layout.gpus();
  Diagnostics failures;
  const auto take = [&](const OptionSpec& spec, std::int32_t low, std::int32_t high) {
    const Result<Choice> read = rounds::read_choice(input.options, kName, spec, low, high);
    if (!read) {
      failures.insert(failures.end(), read.failures().begin(), read.failures().end());
    }
    return read ? *read : Choice{};
  };
  Choices choices;
  const Choice tensor = take(kOptions[0], 1, gpus);
  choices.context = take(kOptions[1], 1, gpus);
  choices.layers = take(kOptions[2], 0, input.profile.layers);
  choices.tensors = tensor.given()  ? std::vector{tensor.value}
                    : tensor.best() ? tensors_in_node(input.profile, gpus)
                                    : std::vector{usual_tensor(input.profile, gpus)};
  const std::int32_t least = choices.tensors.front();
  if (gpus % least != 0) {
    failures.push_back(bad_input(
        fmt::format("option tensor of strategy {} is {}, which does not divide the {} GPUs", kName,
                    least, gpus)));
  } else if (choices.context.given() && gpus / least % choices.context.value != 0) {
    failures.push_back(bad_input(fmt::format(
        "option context_parallel of strategy {} is {}, which does not divide the {} GPUs that "
        "tensor parallelism of {} leaves",
        kName, choices.context.value, gpus / least, least)));
  }
  if (!failures.empty()) {
    return failures;
  }
  return choices;
}

// All context-parallel degrees in question, ascending.
std::vector<SequenceLayout> layouts(const StrategyInput& input, const Choices& choices,
                                    std::int32_t tensor) {
  const std::int32_t replicas = input.layout.gpus() / tensor;
  std::vector<SequenceLayout> all;
  for (std::int32_t context = 1; context <= replicas; context *= 2) {
    if (!choices.context.given() && replicas % context == 0) {
      all.push_back(replica_layout(input.layout.gpus(), tensor, context));
    }
    if (context > replicas / 2) {
      break;
    }
  }
  if (choices.context.given() && replicas % choices.context.value == 0) {
    all.push_back(replica_layout(input.layout.gpus(), tensor, choices.context.value));
  }
  return all;
}

std::vector<Replica> candidates(const StrategyInput& input, const Choices& choices,
                                const std::vector<SequenceLayout>& all) {
  const SequenceProfile& profile = input.profile;
  std::vector<Replica> replicas;
  for (const SequenceLayout& layout : all) {
    const Bytes room = rounds::activation_room(profile, replica_states(profile, layout));
    const std::optional<std::int32_t> fewest =
        rounds::fewest_layers(profile, layout, rounds::longest_to_hold(input), room);
    if (!fewest || (choices.layers.given() && choices.layers.value < *fewest)) {
      continue;
    }
    if (choices.layers.best()) {
      for (const std::int32_t layers : rounds::layer_levels(*fewest, profile.layers, kLevels)) {
        replicas.push_back({layout, layers});
      }
    } else {
      replicas.push_back({layout, choices.layers.given() ? choices.layers.value : *fewest});
    }
  }
  if (choices.context.automatic() && !replicas.empty()) {
    // The fewest GPUs that need no more recomputation than the most GPUs would.
    const auto least = std::ranges::min_element(replicas, {}, &Replica::layers);
    const std::int32_t context = least->layout.context;
    std::erase_if(replicas, [&](const Replica& r) { return r.layout.context != context; });
  }
  return replicas;
}

Result<IterationPlan> plan_megatron(const StrategyInput& input) {
  if (Diagnostics problems = rounds::check_input(input); !problems.empty()) {
    return problems;
  }
  const Result<Choices> choices = read_choices(input);
  if (!choices) {
    return choices.failures();
  }
  std::vector<SequenceLayout> all;
  std::vector<Replica> replicas;
  for (const std::int32_t tensor : choices->tensors) {
    const std::vector<SequenceLayout> some = layouts(input, *choices, tensor);
    all.insert(all.end(), some.begin(), some.end());
  }
  for (const SequenceLayout& layout : all) {
    if (Diagnostics problems = check_sequence_profile(input.profile, layout); !problems.empty()) {
      return problems;
    }
  }
  // Parameters stay where they are; units move none.
  SequenceProfile profile = input.profile;
  profile.fixed = FixedCost::kNone;
  const data::Tokens context = rounds::longest_to_hold(input);
  for (const std::int32_t tensor : choices->tensors) {
    const std::vector<Replica> some = candidates(input, *choices, layouts(input, *choices, tensor));
    replicas.insert(replicas.end(), some.begin(), some.end());
  }
  if (replicas.empty()) {
    const SequenceLayout& widest = all.back();
    const std::int32_t layers = choices->layers.given() ? choices->layers.value : profile.layers;
    return rounds::misfit(profile, widest, layers, context, replica_states(profile, widest), all);
  }
  std::optional<IterationPlan> best;
  for (const Replica& replica : replicas) {
    const RoundTerms terms = replica_terms(input.profile, replica.layout);
    const rounds::GroupModel model =
        rounds::group_model(profile, replica.layout, replica.layers,
                            rounds::activation_room(profile, terms.states), context);
    // Up to the context as its authors pack, or less, so that replicas get about as much each.
    for (const data::Tokens capacity :
         rounds::round_capacities(input.batch, context, replica.layout.data, kCapacities)) {
      Result<IterationPlan> plan =
          rounds::uniform_plan(input, kName, profile, model, replica.layers, terms, capacity);
      if (!plan) {
        return plan;
      }
      hide_once(input.profile, *plan);
      plan->note = fmt::format("tensor {}, context {}, {} replicas, {} layers recomputed",
                               replica.layout.tensor, replica.layout.context, replica.layout.data,
                               replica.layers);
      rounds::keep_better(best, std::move(plan).value());
    }
  }
  STAGECRAFT_CHECK(best.has_value(), "there is a capacity to pack to");
  return *std::move(best);
}

}  // namespace

const StrategyInfo& megatron_info() {
  static constexpr StrategyInfo kInfo{
      .name = kName,
      .summary =
          "tensor and context parallelism in replicas, packed micro-batches of up to the "
          "context, distributed optimizer",
      .source =
          "Megatron-LM; Korthikanti et al., 2205.05198; as a baseline in InfiniPipe "
          "(2509.21275)",
      .assumptions =
          "sequences are packed best-fit to the context length or less; replicas get equally "
          "many micro-batches, balanced by time, and wait only at the end; gradients in "
          "fp32 are reduced once; tensor and context parallelism and recomputed layers are "
          "the best of a sweep (InfiniPipe's authors: tensor 8, context 2 for 7B, 4 for 13B "
          "and 30B, 10, 20, 55 layers recomputed)",
      .options = kOptions,
      .pipelined = false,
      .plan = plan_megatron,
  };
  return kInfo;
}

}  // namespace stagecraft::elastic
