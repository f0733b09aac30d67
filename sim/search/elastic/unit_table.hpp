// What the units of a formation cost on every stage, flat: what planners read instead of grids.
//
// Units are numbered by micro-batch, then slice. Times in ns, memory in bytes; values of (stage,
// unit) stand at [stage * units + unit].
#pragma once

#include <cstdint>
#include <vector>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/cost/sequence_profile.hpp"
#include "stagecraft/data/formation.hpp"

namespace stagecraft::elastic {

/// How the costs of a formation are made from the profile.
enum class CostRule : std::uint8_t {
  kPlain,  ///< sequence_pipeline as it is
  /// SlimPipe: attention context exchanged between devices, so that every slice of a micro-batch
  /// takes the mean of their times and of the exchange's, where that pays; the vocabulary, and with
  /// it the logits, shared by all stages (levelled_costs.hpp).
  kLevelled,
  kLevelledFree,  ///< the same with an exchange that costs nothing, everywhere
};

struct UnitTable {
  std::int32_t stages = 0;
  std::int32_t units = 0;
  std::vector<std::int32_t> first;       ///< [M+1] first unit of every micro-batch
  std::vector<std::int32_t> microbatch;  ///< [units]
  std::vector<std::int32_t> layers;      ///< [stages]
  std::vector<Time> forward;             ///< [stages][units]
  std::vector<Time> backward;            ///< [stages][units]
  std::vector<Time> layer;               ///< [stages][units] recomputing one layer
  std::vector<Bytes> activation;         ///< [stages][units] nothing recomputed
  std::vector<Bytes> saving;             ///< [stages][units] by one recomputed layer
  std::vector<Time> latency;             ///< [stages - 1][units] of a boundary
  std::vector<Bytes> resident;           ///< [stages] of the model's states
  std::vector<Bytes> room;               ///< [stages] capacity less the resident part

  [[nodiscard]] std::int32_t microbatches() const {
    return static_cast<std::int32_t>(first.size()) - 1;
  }
  [[nodiscard]] std::size_t at(std::int32_t stage, std::int32_t unit) const {
    return static_cast<std::size_t>(stage) * static_cast<std::size_t>(units) +
           static_cast<std::size_t>(unit);
  }
  [[nodiscard]] std::int32_t slice(std::int32_t unit) const {
    return unit - first[static_cast<std::size_t>(microbatch[static_cast<std::size_t>(unit)])];
  }
  [[nodiscard]] std::int32_t slices_of(std::int32_t m) const {
    return first[static_cast<std::size_t>(m) + 1] - first[static_cast<std::size_t>(m)];
  }
};

/// Fails as sequence_pipeline.
[[nodiscard]] Result<UnitTable> unit_table(const SequenceProfile& profile,
                                           const SequenceLayout& layout,
                                           const data::Formation& formation,
                                           CostRule rule = CostRule::kPlain);

/// Sorts the micro-batches of a formation longest first, as sort_longest_first, and prices them;
/// faster than one after the other.
[[nodiscard]] Result<UnitTable> longest_first_table(const SequenceProfile& profile,
                                                    const SequenceLayout& layout,
                                                    data::Formation& formation,
                                                    CostRule rule = CostRule::kPlain);

/// No order is faster: load of a stage between the shortest way to it and back.
[[nodiscard]] Time order_bound(const UnitTable& table);

/// The engine's view of the same, with the checkpointing folded in.
[[nodiscard]] Result<SequencePipeline> costed_pipeline(const SequenceProfile& profile,
                                                       const SequenceLayout& layout,
                                                       const data::Formation& formation,
                                                       const Checkpointing& checkpointing,
                                                       CostRule rule);

/// Most tokens of one slice, whole and alone, on the stage with the least room for it; 0: not one
/// token. With every layer recomputed the same holds: R allocates all of it again.
[[nodiscard]] data::Tokens most_tokens_of_slice(const SequenceProfile& profile,
                                                const SequenceLayout& layout);

/// Micro-batches with most slices first, then those with the longest forward on stage 0 (the
/// scheduling rule of 2509.21275, section 2.4). Stable.
void sort_longest_first(const SequenceProfile& profile, const SequenceLayout& layout,
                        data::Formation& formation);

}  // namespace stagecraft::elastic
