// Lower bounds on the makespan of any order on a placement (after the bounds of Qi et al.,
// "Zero bubble pipeline parallelism", 2401.10241, section 2, for costs that differ everywhere).
//
// Every unit runs F and then either BW or B and W on each of its stages; R, O and L only add.
//   device load   earliest start of any op of the device
//                 + max(F and the whole backward of all its units,
//                       F and the backward up to the gradient of the inputs (B, or all of BW)
//                         of all its units + the shortest rest after the last of them)
//   chain         the longest path of one micro-batch through all its stages and back
//   memory        a device with room for A bytes holds a unit's activation for at least the unit's
//                 way to the last stage and back, so bytes x time / A is a time (Little's law)
#pragma once

#include "stagecraft/cost/cost_table.hpp"
#include "stagecraft/engine/evaluate.hpp"
#include "stagecraft/plan/pipeline.hpp"
#include "stagecraft/schedule/schedule.hpp"

namespace stagecraft {

/// Which orders a bound must hold for.
struct BoundOptions {
  bool split_backward = true;      ///< B and W may stand for BW
  bool overlapped = false;         ///< F and BW of a device may run as an overlapped pair
  bool frees_activations = false;  ///< R or O may free memory early: no memory bound
};

/// The options under which the bound holds for `schedule` and for every other order of its
/// pipeline: the backward may be split if the costs allow it; overlapped pairs, recomputation and
/// offload may occur if the schedule uses them.
[[nodiscard]] BoundOptions bound_options(const Schedule& schedule, const CostTable& costs);

/// `makespan` is the largest of the three others that are finite. `memory_limited` is 0 if the
/// memory bound is not above the other two, and kNever if no order fits the capacity (without R and
/// O, exactly if one whole micro-batch does not fit a device). O(stages x units), or O(stages x
/// slices) if all micro-batches cost the same.
[[nodiscard]] LowerBound lower_bound(const Pipeline& pipeline, const CostTable& costs,
                                     const BoundOptions& options);

}  // namespace stagecraft
