// Orders of a pipeline with one stage per device, as lists of units: light enough to be judged
// thousands of times a second. The engine judges what comes out of it again.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "search/elastic/unit_table.hpp"
#include "stagecraft/generators/elastic.hpp"
#include "stagecraft/schedule/schedule.hpp"

namespace stagecraft::elastic {

enum class ListOpKind : std::uint8_t { kForward, kRecompute, kBackward };

struct ListOp {
  ListOpKind kind = ListOpKind::kForward;
  std::int32_t unit = 0;

  friend bool operator==(const ListOp&, const ListOp&) = default;
};

using StageLists = std::vector<std::vector<ListOp>>;  ///< [stages]

/// A schedule of F, R and BW with one stage per device, stage p on device p, as lists.
[[nodiscard]] StageLists lists_of(const UnitTable& table, const Schedule& schedule);

/// The shape of the pipeline that a table is of.
[[nodiscard]] Pipeline pipeline_of(const UnitTable& table);

/// 1F1B with a warm-up for every group, micro-batches as they come (elastic_schedule), without R.
[[nodiscard]] StageLists one_f_one_b_lists(const UnitTable& table,
                                           std::span<const std::int32_t> group_sizes);

/// All forwards of a group, then all its backwards.
[[nodiscard]] StageLists flush_lists(const UnitTable& table,
                                     std::span<const std::int32_t> group_sizes);

/// The same lists with R right before the backward of every unit that has layers to recompute, and
/// nowhere else. `layers`: [stages][units].
[[nodiscard]] StageLists with_recompute(const UnitTable& table, const StageLists& lists,
                                        std::span<const std::int32_t> layers);

[[nodiscard]] Schedule schedule_of(std::string_view name, const Pipeline& pipeline,
                                   const UnitTable& table, const StageLists& lists);

/// Largest memory of every stage above its resident part, in list order. [stages]
[[nodiscard]] std::vector<Bytes> list_peaks(const UnitTable& table, const StageLists& lists,
                                            std::span<const std::int32_t> layers);
[[nodiscard]] Bytes list_peak(const UnitTable& table, std::int32_t stage,
                              std::span<const ListOp> list, std::span<const std::int32_t> layers);
[[nodiscard]] bool lists_fit(const UnitTable& table, const StageLists& lists,
                             std::span<const std::int32_t> layers);

/// Times lists; no allocation after the first call on a shape.
class ListTimer {
 public:
  /// Last end over all stages; kNever if the lists wait for each other.
  Time run(const UnitTable& table, const StageLists& lists, std::span<const std::int32_t> layers);

  // Of the last complete run.
  [[nodiscard]] Time forward_end(const UnitTable& table, std::int32_t stage,
                                 std::int32_t unit) const {
    return forward_end_[table.at(stage, unit)];
  }
  [[nodiscard]] Time backward_end(const UnitTable& table, std::int32_t stage,
                                  std::int32_t unit) const {
    return backward_end_[table.at(stage, unit)];
  }

 private:
  bool advance(const UnitTable& table, const StageLists& lists,
               std::span<const std::int32_t> layers, std::int32_t stage);

  std::vector<Time> forward_end_, backward_end_;  // [stages][units]; kNever: not yet
  std::vector<std::size_t> next_;                 // [stages]
  std::vector<Time> free_;                        // [stages]
};

}  // namespace stagecraft::elastic
