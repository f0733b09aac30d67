// The plans that method `stagecraft` carries from round to round.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "search/stagecraft/plan_search.hpp"
#include "stagecraft/search/plan.hpp"

namespace stagecraft::search {

/// A measured plan and, if a list rule ordered it, the rule.
struct Elite {
  ScoredPlan scored;
  ListRule rule;
  bool ruled = false;         ///< `rule` gives this order, or gave the order it comes from
  std::int32_t polished = 0;  ///< order searches that began here

  [[nodiscard]] StagePlan stages() const {
    return {scored.plan.partition, scored.plan.schedule.pipeline.device_of_stage};
  }
};

/// JSON text, a list; reads back to equal elites.
[[nodiscard]] std::string to_json(std::span<const Elite> elites);
[[nodiscard]] Result<std::vector<Elite>> elites_from_json(std::string_view text);

/// The best plans found, best first, no two with the same stages; with `levels` > 0 also those that
/// no other beats in time and memory, at most so many.
class Pool {
 public:
  Pool(Objective objective, std::size_t levels) : objective_(objective), levels_(levels) {}

  /// Takes an elite if it is good enough. What is not feasible never is.
  void add(Elite elite);
  /// Counts an order search that began at the elite with these stages.
  void polished(const StagePlan& stages);

  [[nodiscard]] std::span<const Elite> elites() const { return elites_; }
  [[nodiscard]] bool empty() const { return elites_.empty(); }
  /// The elite of a rank among those within `cap` bytes (0: all), the last if there are fewer;
  /// nullptr if there is none.
  [[nodiscard]] const Elite* within(Bytes cap, std::size_t rank) const;

 private:
  static constexpr std::size_t kBest = 8;
  void prune();

  Objective objective_;
  std::size_t levels_;
  std::vector<Elite> elites_;
};

}  // namespace stagecraft::search
