// The steady-state iteration time: the period in which iterations follow one another, with gradient
// reduction (G) and optimizer step (U) at the end of each.
//
// On every device, G follows its last compute op and U follows G; the next iteration's first op
// follows U. Without post-validation U also waits for G of all devices (a global barrier); with it,
// devices only wait for the data they need, and one may start its next iteration while others still
// run the last one.
//
// Let x[d] be the time at which device d is free for an iteration. The next one finds it free at
//   x'[d] = max over devices e of x[e] + A[d][e]
// where A[d][e] is the longest path from the start of e's list to the end of d's U: a max-plus
// linear map, whose growth per iteration is the maximum cycle mean of A (Cuninghame-Green,
// "Minimax algebra", 1979; Baccelli et al., "Synchronization and linearity", 1992, theorem 3.23).
// That is a ratio of integers p/q, q <= P; the period is reported as ceil(p/q) ns.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <vector>

#include "stagecraft/core/units.hpp"
#include "stagecraft/cost/cost_table.hpp"
#include "stagecraft/engine/task_graph.hpp"
#include "stagecraft/engine/timeline.hpp"
#include "stagecraft/schedule/schedule.hpp"

namespace stagecraft {

/// The period where nothing is shared (where replay applies), exact up to rounding up to a whole
/// ns. `graph` is of one iteration without an iteration end. One pass over the graph with a
/// barrier; otherwise a few, and at most about P more.
[[nodiscard]] Time iteration_time(const TaskGraph& graph, const CostTable& costs);

struct SimulatedPeriod {
  Time time = 0;
  bool exact = true;  ///< false: an estimate
};

/// The period in the other modes. `graph` as above, `timeline` the simulation of one iteration.
///   * Without post-validation: exact. If U takes equally long everywhere, iterations start alike,
///     and the period is the first one's: last end plus G at its largest, plus U; otherwise the
///     second of two chained iterations is measured, from barrier to barrier.
///   * With post-validation: several iterations are chained and simulated. The period is the time
///     by which one iteration follows another once this is the same for all of their tasks. If it
///     is not after 12 iterations, an estimate: the growth of one iteration if it is the same at
///     the ends of all devices, otherwise the largest growth of the last 6, divided by 6 and
///     rounded up. If the chain cannot run to its end (waiting for memory across iterations), the
///     period with a barrier, also as an estimate.
[[nodiscard]] SimulatedPeriod simulated_iteration_time(const Schedule& schedule,
                                                       const TaskGraph& graph,
                                                       const CostTable& costs,
                                                       const Timeline& timeline);

/// When every device is free for an iteration of the steady state where nothing is shared, [P] ns,
/// relative to one another. None if the steady state repeats after several iterations only, or has
/// not been reached after a dozen. `period` is iteration_time.
[[nodiscard]] std::optional<std::vector<Time>> steady_start(const TaskGraph& graph,
                                                            const CostTable& costs, Time period);

/// True if all iterations run as the first one: all devices start every one of them together (no
/// post-validation, U of one length).
[[nodiscard]] bool iterations_alike(const CostTable& costs);

using IdleByCause = std::array<Time, kIdleCauseCount>;

/// Idle time of every device within one iteration of the steady state, [P], by cause: fill from
/// when the device is free until its first op, optimizer from the end of its G until it may step,
/// the rest between its ops; no drain. Sums to period - busy - G - U exactly. `timeline` and its
/// `idle` intervals are of one iteration that starts at `free_at`, [P].
[[nodiscard]] std::vector<IdleByCause> iteration_idle(const TaskGraph& graph,
                                                      const CostTable& costs, Time period,
                                                      std::span<const Time> free_at,
                                                      const Timeline& timeline,
                                                      std::span<const IdleInterval> idle);

/// The same where nothing is shared; empty where steady_start has none.
[[nodiscard]] std::vector<IdleByCause> iteration_idle(const TaskGraph& graph,
                                                      const CostTable& costs, Time period);

}  // namespace stagecraft
