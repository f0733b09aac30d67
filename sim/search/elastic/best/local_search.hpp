// Local search on one shape: the order of micro-batches, the layers that are recomputed, and the
// rule of the list scheduler, judged by exact replay.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "search/elastic/best/shape.hpp"
#include "search/elastic/best/unit_scheduler.hpp"

namespace stagecraft::elastic {

/// What is decided about a shape, and what comes of it.
struct Decision {
  std::vector<std::int32_t> order;   ///< [M]
  std::vector<std::int32_t> layers;  ///< [stages][units] asked for; spare memory lowers them
  UnitRule rule;
  Time time = kNever;
};

class Judge {
 public:
  /// The time of a decision; kNever if it does not fit.
  Time time(const Shape& shape, const Decision& decision);
  // Of the last decision that did.
  [[nodiscard]] const StageLists& lists() const { return lists_; }
  [[nodiscard]] const std::vector<std::int32_t>& layers() const { return layers_; }
  [[nodiscard]] bool short_of_memory() const { return scheduler_.short_of_memory(); }
  [[nodiscard]] std::int32_t judged() const { return judged_; }

 private:
  UnitScheduler scheduler_;
  ListTimer timer_;
  StageLists lists_;
  std::vector<std::int32_t> layers_;
  std::int32_t judged_ = 0;
};

inline constexpr std::int32_t kAllDecisions = 1'000'000;

/// Whether a time is as good as its bound: what is left is not worth looking for.
[[nodiscard]] bool close_to(Time bound, Time time);

/// The best of the plain decisions: micro-batches as they come, several rules, recomputation as the
/// shape suggests, none, uniform, by stage, or of split micro-batches alone. kNever if none fits.
/// After about `most` of them one that fits is enough.
[[nodiscard]] Decision first_decision(const Shape& shape, Judge& judge,
                                      std::int32_t most = kAllDecisions);

/// Improves a decision that fits; never worse. Deterministic for a seed.
[[nodiscard]] Decision improve(const Shape& shape, Decision start, std::int64_t evaluations,
                               std::uint64_t seed, Judge& judge);

[[nodiscard]] Candidate make_candidate(const Shape& shape, const Decision& decision, Judge& judge);

}  // namespace stagecraft::elastic
