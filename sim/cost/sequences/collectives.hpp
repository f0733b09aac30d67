// Communication within one stage, and between neighbouring stages, of a layout on nodes of GPUs.
//
// GPUs are numbered with tensor parallelism innermost, then sequence, context, data, pipeline: the
// GPUs of a stage are neighbours. All rates in ns, of communication alone: what of it hides behind
// computation is unit_cost.cpp's.
#pragma once

#include <cstdint>

#include "stagecraft/cost/sequence_profile.hpp"

namespace stagecraft::sequence_costs {

inline constexpr double kNanosecondsPerSecond = 1e9;

/// Communication of one layer in one direction: per computed token of the unit, per token of
/// context before its pieces, and whatever its length.
struct Exchange {
  double per_token = 0.0;
  double per_context = 0.0;
  double latency = 0.0;
};

struct LayerExchange {
  Exchange forward;
  Exchange backward;
  Exchange ring_forward;  ///< of `forward`, the ring of context parallelism
  Exchange ring_backward;
};

/// All-to-alls of sequence, all-reduces of tensor and rings of context parallelism.
[[nodiscard]] LayerExchange layer_exchange(const SequenceProfile& profile,
                                           const SequenceLayout& layout);

/// The number of GPUs whose all-to-all rate stands for the layout's; 1: it needs none. Where tensor
/// times sequence parallelism leaves a node, the all-to-alls of all tensor ranks share the network
/// as one of that many GPUs would.
[[nodiscard]] std::int32_t all_to_all_degree(const SequenceProfile& profile,
                                             const SequenceLayout& layout);

/// The measured rate, null if there is none.
[[nodiscard]] const CollectiveRate* find_rate(const SequenceProfile& profile, std::int32_t gpus);

/// Moving the parameters of a stage once within the GPUs that share them (gather or
/// reduce-scatter), e bytes each: the slower of what a node receives over the network and what a
/// GPU receives within its node.
[[nodiscard]] double parameter_pass(const SequenceProfile& profile, const SequenceLayout& layout,
                                    std::int32_t stage);

/// Bytes per token that a GPU sends to the next stage.
[[nodiscard]] double boundary_bytes(const SequenceProfile& profile, const SequenceLayout& layout);

/// Time per token from stage `boundary` to the next, without latency.
[[nodiscard]] double boundary_time(const SequenceProfile& profile, const SequenceLayout& layout,
                                   std::int32_t boundary);

}  // namespace stagecraft::sequence_costs
