// What the cost-driven vee schedules share from input to schedule: checks, the memory limit, and
// the comparison with the plain order.
#pragma once

#include <string_view>

#include "stagecraft/generators/generator.hpp"
#include "vee_search.hpp"

namespace stagecraft {

/// Option `limit`, shared by zbv and v-flex.
[[nodiscard]] constexpr OptionSpec vee_limit_option() {
  return {.name = "limit",
          .unit = "bytes",
          .default_value = "",
          .range = "1 or more",
          .help =
              "activation memory of every device; default: memory.capacity less what is "
              "resident, or 2P activations of a stage where no capacity is given"};
}

/// Costs with split backwards and limited capacities. Fails (bad input) if placement, costs or
/// option do not fit, and (infeasible) if a device cannot hold one micro-batch.
[[nodiscard]] Result<VeeCosts> limited_vee_costs(const GeneratorInput& input,
                                                 std::string_view schedule);

/// The order of v-1f1b and its figures under the scenario's costs and without memory limit; without
/// `improve` as published, otherwise never slower. The pipeline must be a vee.
[[nodiscard]] VeeCandidate v_1f1b_order(const GeneratorInput& input, bool improve);

/// The schedule of `best`, or v-1f1b's order under the name `schedule` where that one fits the
/// capacities of `costs` and is faster, by simulation where more than latency counts.
[[nodiscard]] Schedule better_of_fused(const GeneratorInput& input, std::string_view schedule,
                                       const VeeCosts& costs, VeeCandidate best);

/// A published block repeated within its activations per device, whatever the scenario's capacity:
/// reordered for F = B = W and for the true costs, compared and improved under the true costs.
[[nodiscard]] Result<Schedule> repeat_published_block(const GeneratorInput& input,
                                                      std::string_view schedule,
                                                      const PublishedBlock& published);

}  // namespace stagecraft
