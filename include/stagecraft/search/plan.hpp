// A plan as the search room carries it, its figures, and how plans are compared.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/core/units.hpp"
#include "stagecraft/schedule/schedule.hpp"
#include "stagecraft/search/problem.hpp"

namespace stagecraft::search {

enum class Objective : std::uint8_t {
  kIteration,  ///< steady-state iteration time, ns
  kMakespan,   ///< ns
  kSpan,       ///< ns
  kMemory,     ///< largest peak memory of a device, bytes
  kCost,       ///< devices x iteration time, device-ns
};
/// "iteration", "makespan", "span", "memory", "cost".
[[nodiscard]] std::string_view to_string(Objective objective);

/// Everything a run must decide. The schedule carries placement, recomputation (R) and offload (O,
/// L) in its pipeline and ops.
struct Plan {
  Point point;                          ///< outer coordinates; empty if there are none
  std::vector<std::int32_t> partition;  ///< [S] layers per stage
  Schedule schedule;
  std::string origin;  ///< how it was found, for people: "zb-auto", "list schedule + order search"
};

struct Figures {
  bool feasible = false;  ///< runs to its end, within every capacity
  Time iteration = 0;     ///< ns
  Time makespan = 0;      ///< ns
  Time span = 0;          ///< ns
  Bytes peak_memory = 0;  ///< largest of any device
  std::int32_t devices = 1;
  std::string why_not;  ///< first problem, if not feasible

  [[nodiscard]] std::int64_t value(Objective objective) const;
};

struct ScoredPlan {
  Plan plan;
  Figures figures;
};

/// True if a is better: feasible first, then the objective, then makespan, then peak memory. A
/// strict weak order; equal plans are not better than each other, so the first found stays.
[[nodiscard]] bool better(const Figures& a, const Figures& b, Objective objective);

/// Figures of a schedule by the engine itself (verify, replay or simulate, iteration time).
[[nodiscard]] Figures measure(const Schedule& schedule, const CostTable& costs);

/// The same of a plan: its instance is made anew from the problem, so nothing a method believes
/// about costs is trusted.
[[nodiscard]] ScoredPlan score(const Problem& problem, Plan plan);

/// Plans of which none is at least as good as another in both iteration time (or the objective, if
/// that is a time) and peak memory; by ascending memory. Feasible plans only.
class Front {
 public:
  explicit Front(Objective objective) : objective_(objective) {}
  /// Returns true if it is now part of the front.
  bool add(const ScoredPlan& plan);
  [[nodiscard]] const std::vector<ScoredPlan>& plans() const { return plans_; }

 private:
  Objective objective_;
  std::vector<ScoredPlan> plans_;
};

/// JSON text, one object; reads back to an equal plan. For checkpoints, parts and transports.
[[nodiscard]] std::string to_json(const ScoredPlan& plan);
[[nodiscard]] Result<ScoredPlan> plan_from_json(std::string_view text);

}  // namespace stagecraft::search
