// The performance model of AdaPtis (Guo et al., 2509.23722, algorithm 1): layers -> stages ->
// devices -> replay. T_d = C_d + BubbleTime(d) - OverlapTime(d): transfers run beside compute in
// our engine, so what they hide is in no C_d and OverlapTime is 0. Iteration time = max_d T_d.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "loads.hpp"
#include "stagecraft/engine/evaluate.hpp"
#include "stagecraft/search/method.hpp"
#include "stagecraft/search/plan.hpp"
#include "stagecraft/search/problem.hpp"

namespace stagecraft::search::adaptis {

/// One device over a replay of makespan T, ns.
struct DeviceTimes {
  Time compute = 0;   ///< C_d
  Time leading = 0;   ///< first start
  Time trailing = 0;  ///< T - last finish
  Time residual = 0;  ///< gaps between
  // The same idle time cut at other points, as the authors' SimPipe reports it.
  Time warm_up = 0;    ///< idle before the first B of any device
  Time cool_down = 0;  ///< idle after the end of the last F of any device
  Time steady = 0;     ///< idle between those two
  Bytes peak_memory = 0;

  [[nodiscard]] Time boundary() const { return leading + trailing; }
  [[nodiscard]] Time bubble() const { return boundary() + residual; }
  [[nodiscard]] Time total() const { return compute + bubble(); }  ///< T_d
};

struct Performance {
  std::vector<DeviceTimes> devices;  ///< [P]

  [[nodiscard]] Time makespan() const;       ///< max_d T_d
  [[nodiscard]] Time bubble_spread() const;  ///< largest less smallest bubble of a device
  [[nodiscard]] Time boundary() const;       ///< of all devices
  [[nodiscard]] Time residual() const;       ///< of all devices
};

[[nodiscard]] Performance model_performance(const Schedule& schedule, const Evaluation& evaluation);

/// A shape with its schedule, simulated.
struct Trial {
  Shape shape;
  Schedule schedule;
  Figures figures;
  Performance performance;
};

/// How a shape is scheduled: a registered generator.
struct Rule {
  std::string schedule = "greedy";
  GeneratorOptions options;
};

/// Simulates shapes of a problem, and counts what it simulates.
class Simulator {
 public:
  Simulator(const Problem& problem, Objective objective, JobContext& context);

  /// Nothing where costs, generator or memory refuse the shape.
  [[nodiscard]] std::optional<Trial> run(const Shape& shape, const Rule& rule) const;
  [[nodiscard]] std::optional<Trial> run(const Shape& shape, Schedule schedule) const;

  [[nodiscard]] bool better(const Trial& a, const Trial& b) const {
    return search::better(a.figures, b.figures, objective_);
  }
  [[nodiscard]] const Problem& problem() const { return problem_; }
  [[nodiscard]] Objective objective() const { return objective_; }
  [[nodiscard]] JobContext& context() const { return context_; }

 private:
  [[nodiscard]] std::optional<Trial> judge(const Shape& shape, Schedule schedule,
                                           const CostTable& costs) const;

  const Problem& problem_;
  Objective objective_;
  JobContext& context_;
};

[[nodiscard]] Plan to_plan(const Trial& trial, std::string origin);

}  // namespace stagecraft::search::adaptis
