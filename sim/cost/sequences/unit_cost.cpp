// One unit on one stage: equations 1 to 11 of InfiniPipe (2509.21275), re-derived where the text is
// silent or doubtful.
//
// 1. A GPU of a stage computes layers/L of the model for 1/group of the tokens, 1/N of it all where
//    the stages are even. The constant is the parameters' (collectives.hpp) or beta1/d_p.
// 5. Gradients of K and V: per layer two tensors of e D_kv bytes per token, over the GPUs of the
//    stage: 2 e L D_kv / N for even stages. The text's factor 1 - I_k would charge them to the
//    units that keep none: it must be 1 for units of split micro-batches and 0 for others. They are
//    charged from F on although they come with the BW of later slices, as the equation has it.
// 9, 10. A recomputed layer frees M_token/L and keeps its input, e D, and for split micro-batches K
//    and V, which later slices attend to: all per token and over the GPUs of the stage. (M_token/N
//    of equation 10 is that of a stage: N/d_p = group.) Gradients of K and V and logits stay.
// 11. T_ckpt = l / (L d_s) T_fwd as printed divides by d_s what equation 1 has divided already. One
//    layer is 1/layers of the stage's forward, compute and exchange: l layers, l d_p/L of it. The
//    gather of BW serves the recomputation too.
//
// Those equations add all terms up; what of the communication hides (Overlap) is ours.
#include <algorithm>
#include <cmath>

#include "cost/sequences/stage_rates.hpp"

namespace stagecraft {
namespace sequence_costs {
namespace {

TokenCosts scaled(const TokenCosts& costs, double factor) {
  return {costs.per_token * factor, costs.per_square * factor};
}

double compute(const TokenCosts& layer, const PieceSums& sums) {
  return layer.per_token * sums.tokens + layer.per_square * sums.squares;
}

double exchange(const Exchange& layer, const PieceSums& sums) {
  return layer.per_token * sums.tokens + layer.per_context * sums.context + layer.latency;
}

/// What shows of the communication of F or BW, ns: all layers of the stage.
struct Shown {
  double exchange = 0.0;
  double ring_hidden = 0.0;  // no longer part of `exchange`
  double parameters = 0.0;
};

Shown shown(const Overlap& overlap, double layers, const TokenCosts& layer,
            const Exchange& exchanges, const Exchange& ring, double parameters,
            const PieceSums& sums) {
  Shown result;
  const double attention = layers * layer.per_square * sums.squares;
  result.ring_hidden = hidden_time(overlap.exchange, layers * exchange(ring, sums), attention);
  result.exchange = layers * exchange(exchanges, sums) - result.ring_hidden;
  const double left = layers * compute(layer, sums) - result.ring_hidden;
  result.parameters = parameters - hidden_time(overlap.parameters, parameters, left);
  return result;
}

// F moves the parameters once, BW twice: it gathers them and scatters their gradients.
void add_parameters(const SequenceProfile& profile, const SequenceLayout& layout,
                    std::int32_t stage, StageRates& rates) {
  switch (profile.fixed) {
    case FixedCost::kParameterTraffic:
      rates.parameters_forward = parameter_pass(profile, layout, stage);
      break;
    case FixedCost::kFitted:
      rates.parameters_forward = profile.fixed_ns / layout.pipeline / 3.0;
      break;
    case FixedCost::kNone:
      break;
  }
  rates.parameters_backward = 2.0 * rates.parameters_forward;
}

void add_memory(const SequenceProfile& profile, const SequenceLayout& layout, std::int32_t stage,
                StageRates& rates) {
  const double group = layout.group();
  const double layer_tokens = profile.activation_bytes / (profile.layers * group);
  const double input = profile.element_bytes * profile.hidden / group;
  const double keys_values = 2.0 * profile.element_bytes * profile.kv_width / group;
  rates.token_bytes = profile.activation_bytes * rates.layers / (profile.layers * group);
  if (stage + 1 == layout.pipeline) {
    rates.token_bytes += profile.logits_bytes / group;
  }
  rates.split_bytes = keys_values * rates.layers;
  rates.saving = layer_tokens - input;
  rates.split_saving = layer_tokens - input - keys_values;
}

std::int64_t limited(double value) {
  constexpr auto kMost = static_cast<double>(kLargestQuantity);
  return value <= kMost ? static_cast<std::int64_t>(value) : kLargestQuantity + 1;
}

}  // namespace

std::int64_t rounded(double value) {
  return limited(std::round(value));
}

PieceSums sums_of(const data::Slice& slice) {
  PieceSums sums;
  for (const data::Piece& piece : slice.pieces) {
    const auto context = static_cast<double>(piece.begin);
    const auto tokens = static_cast<double>(piece.padded);
    sums.tokens += tokens;
    sums.context += context;
    sums.squares += tokens * (2.0 * context + tokens);
  }
  return sums;
}

StageRates stage_rates(const SequenceProfile& profile, const SequenceLayout& layout,
                       std::int32_t stage) {
  StageRates rates;
  rates.layers = layers_of_stage(profile, layout, stage);
  const double share = 1.0 / (static_cast<double>(profile.layers) * layout.group());
  const TokenCosts layer = scaled(TokenCosts{profile.linear_ns, profile.quadratic_ns}, share);
  rates.layer_forward = scaled(layer, profile.forward_share);
  rates.layer_backward = scaled(layer, 1.0 - profile.forward_share);
  rates.exchange = layer_exchange(profile, layout);
  rates.overlap = profile.overlap;
  add_parameters(profile, layout, stage, rates);
  add_memory(profile, layout, stage, rates);
  return rates;
}

UnitCost cost_of(const StageRates& rates, const PieceSums& sums, bool split) {
  UnitCost cost;
  const double layers = rates.layers;
  const double layer_compute = compute(rates.layer_forward, sums);
  const Shown forward = shown(rates.overlap, layers, rates.layer_forward, rates.exchange.forward,
                              rates.exchange.ring_forward, rates.parameters_forward, sums);
  const Shown backward = shown(rates.overlap, layers, rates.layer_backward, rates.exchange.backward,
                               rates.exchange.ring_backward, rates.parameters_backward, sums);
  cost.compute_forward = rounded(layers * layer_compute);
  cost.compute_backward = rounded(layers * compute(rates.layer_backward, sums));
  cost.exchange_forward = rounded(forward.exchange);
  cost.exchange_backward = rounded(backward.exchange);
  cost.parameters_forward = rounded(forward.parameters);
  cost.parameters_backward = rounded(backward.parameters);
  // A layer hides its part of what all of them hide: the terms of one are those of all by layers.
  cost.layer_forward = rounded(layer_compute + exchange(rates.exchange.forward, sums) -
                               forward.ring_hidden / layers);
  // What is kept is rounded up and what is freed down: no plan fits by rounding.
  const double token_bytes = rates.token_bytes + (split ? rates.split_bytes : 0.0);
  cost.activation = limited(std::ceil(token_bytes * sums.tokens));
  const double saving = split ? rates.split_saving : rates.saving;
  cost.layer_saving = limited(std::floor(std::max(saving, 0.0) * sums.tokens));
  return cost;
}

}  // namespace sequence_costs

std::int32_t layers_of_stage(const SequenceProfile& profile, const SequenceLayout& layout,
                             std::int32_t stage) {
  STAGECRAFT_CHECK(stage >= 0 && stage < layout.pipeline, "a stage that the layout does not have");
  return profile.layers / layout.pipeline + (stage < profile.layers % layout.pipeline ? 1 : 0);
}

UnitCost unit_cost(const SequenceProfile& profile, const SequenceLayout& layout, std::int32_t stage,
                   const data::Slice& slice, bool split) {
  return sequence_costs::cost_of(sequence_costs::stage_rates(profile, layout, stage),
                                 sequence_costs::sums_of(slice), split);
}

double hidden_time(double share, double communication, double computation) {
  const double hidden = share * std::min(communication, computation);
  // Beyond all numbers nothing hides: the time is refused anyway.
  return std::isfinite(hidden) ? hidden : 0.0;
}

namespace {

// `shares`: of rings and parameters that hide, whatever the unit.
TokenCosts token_costs(const SequenceProfile& profile, const SequenceLayout& layout,
                       const Overlap& shares) {
  const sequence_costs::StageRates rates = sequence_costs::stage_rates(profile, layout, 0);
  const sequence_costs::LayerExchange& exchange = rates.exchange;
  const double per_token =
      rates.layer_forward.per_token + rates.layer_backward.per_token + exchange.forward.per_token +
      exchange.backward.per_token -
      shares.exchange * (exchange.ring_forward.per_token + exchange.ring_backward.per_token);
  const double per_square = rates.layer_forward.per_square + rates.layer_backward.per_square;
  return {rates.layers * per_token, rates.layers * per_square};
}

double fixed_cost(const SequenceProfile& profile, const SequenceLayout& layout,
                  const Overlap& shares) {
  const sequence_costs::StageRates rates = sequence_costs::stage_rates(profile, layout, 0);
  const sequence_costs::LayerExchange& exchange = rates.exchange;
  return (rates.parameters_forward + rates.parameters_backward) * (1.0 - shares.parameters) +
         rates.layers *
             (exchange.forward.latency + exchange.backward.latency -
              shares.exchange * (exchange.ring_forward.latency + exchange.ring_backward.latency));
}

}  // namespace

// The first stage has the most layers. Context that a ring passes on is left out: it grows with the
// tokens before a slice, which TokenCosts cannot say.
TokenCosts stage_token_costs(const SequenceProfile& profile, const SequenceLayout& layout) {
  return token_costs(profile, layout, {});
}

double stage_fixed_cost(const SequenceProfile& profile, const SequenceLayout& layout) {
  return fixed_cost(profile, layout, {});
}

TokenCosts least_token_costs(const SequenceProfile& profile, const SequenceLayout& layout) {
  return token_costs(profile, layout, profile.overlap);
}

double least_fixed_cost(const SequenceProfile& profile, const SequenceLayout& layout) {
  return fixed_cost(profile, layout, profile.overlap);
}

Bytes model_state_bytes(const SequenceProfile& profile, const SequenceLayout& layout,
                        std::int32_t stage) {
  const double parameters =
      profile.parameters * layers_of_stage(profile, layout, stage) / profile.layers;
  const double gpus = static_cast<double>(layout.group()) * layout.data;
  return sequence_costs::rounded(profile.state_bytes * parameters / gpus);
}

}  // namespace stagecraft
