// What units cost on a group of GPUs without a pipeline, and how many tokens fit on it: the profile
// reduced to the few numbers that planners look up all the time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/cost/sequence_profile.hpp"

namespace stagecraft::elastic::rounds {

/// Units on one group of GPUs, recomputation included: a unit of several sequences takes
/// fixed + the sum of their time() where nothing overlaps, and less by what hides (Overlap). In
/// groups of ZeRO-3 that is the same parameters for all degrees: a round takes about as much less
/// however its sequences are dealt out, and what it really takes is for unit costs to say.
struct GroupModel {
  SequenceLayout layout;
  double fixed = 0.0;         ///< ns
  double per_token = 0.0;     ///< ns
  double per_square = 0.0;    ///< ns per token^2
  data::Tokens capacity = 0;  ///< tokens of a unit that fit; may be below 1

  [[nodiscard]] std::int32_t gpus() const { return layout.group(); }
  [[nodiscard]] double time(data::Tokens tokens) const {
    const auto s = static_cast<double>(tokens);
    return (per_square * s + per_token) * s;
  }
};

/// ZeRO-3 and Ulysses: groups of `degree` of all `gpus`, states shared by all of them.
[[nodiscard]] SequenceLayout ulysses_layout(std::int32_t degree, std::int32_t gpus);

/// Powers of two that divide `gpus` and that the profile knows, ascending; at least 1.
[[nodiscard]] std::vector<std::int32_t> group_degrees(const SequenceProfile& profile,
                                                      std::int32_t gpus);

/// Bytes of a GPU that are left for activations; below 0 if the states do not fit.
[[nodiscard]] Bytes activation_room(const SequenceProfile& profile, Bytes states);

/// With `layers` layers recomputed.
[[nodiscard]] Time unit_time(const UnitCost& cost, std::int32_t layers);
/// With the first `layers` of `of_layers` recomputed, one after another: at most one of them is
/// held whole beside the others' inputs.
[[nodiscard]] Bytes unit_memory(const UnitCost& cost, std::int32_t layers, std::int32_t of_layers);

/// The whole model on one group: a layout of one stage.
[[nodiscard]] UnitCost group_cost(const SequenceProfile& profile, const SequenceLayout& layout,
                                  const data::Slice& slice);

/// Most tokens of a unit that fit in `room` with `layers` layers recomputed, at most `limit`.
[[nodiscard]] data::Tokens token_capacity(const SequenceProfile& profile,
                                          const SequenceLayout& layout, std::int32_t layers,
                                          Bytes room, data::Tokens limit);

/// Fewest layers to recompute so that a unit of `tokens` fits in `room`; nothing if none do.
[[nodiscard]] std::optional<std::int32_t> fewest_layers(const SequenceProfile& profile,
                                                        const SequenceLayout& layout,
                                                        data::Tokens tokens, Bytes room);

[[nodiscard]] GroupModel group_model(const SequenceProfile& profile, const SequenceLayout& layout,
                                     std::int32_t layers, Bytes room, data::Tokens limit);

/// Why a unit of `tokens` tokens does not fit, with the bytes that are missing and what would help;
/// `other_layouts` are the larger groups that could be had.
[[nodiscard]] Diagnostic misfit(const SequenceProfile& profile, const SequenceLayout& layout,
                                std::int32_t layers, data::Tokens tokens, Bytes states,
                                const std::vector<SequenceLayout>& other_layouts);

/// "12 345 678 bytes (0.011 GiB)".
[[nodiscard]] std::string bytes_text(Bytes bytes);

}  // namespace stagecraft::elastic::rounds
