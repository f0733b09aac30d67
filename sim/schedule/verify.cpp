#include "stagecraft/schedule/verify.hpp"

#include <algorithm>

#include <fmt/core.h>

#include "schedule/verify_parts.hpp"

namespace stagecraft {
namespace {

using verifying::Findings;

void check_structure(const Schedule& schedule, Findings& findings) {
  using Part = void (*)(const Schedule&, Findings&);
  for (const Part part :
       {verifying::check_shape, verifying::check_ranges, verifying::check_completeness}) {
    part(schedule, findings);
    if (!findings.empty()) {
      return;
    }
  }
}

void check_orders(const Schedule& schedule, const UnitIndex& index, Findings& findings) {
  verifying::check_device_order(schedule, index, findings);
  if (findings.empty()) {
    verifying::check_acyclic(schedule, index, findings);
  }
}

// A B or W without a duration of its own would silently take no time.
void check_split(const Schedule& schedule, const CostTable& costs, Findings& findings) {
  if (costs.split_backward) {
    return;
  }
  const auto split = std::find_if(schedule.ops.begin(), schedule.ops.end(), [](const Op& op) {
    return op.kind == OpKind::kBackwardInput || op.kind == OpKind::kBackwardWeight;
  });
  if (split != schedule.ops.end()) {
    findings.add(bad_input(fmt::format("{} splits the backward, but the costs give only the fused "
                                       "backward",
                                       to_string(*split)),
                           "give costs.backward_input and costs.backward_weight, or use a schedule "
                           "with fused backwards"));
  }
}

}  // namespace

Diagnostics verify(const Schedule& schedule, const VerifyOptions& options) {
  Findings findings(std::max<std::size_t>(options.most_findings, 1));
  check_structure(schedule, findings);
  if (findings.empty()) {
    check_orders(schedule, UnitIndex(schedule), findings);
  }
  return findings.take();
}

Diagnostics verify(const Schedule& schedule, const CostTable& costs, const VerifyOptions& options) {
  Findings findings(std::max<std::size_t>(options.most_findings, 1));
  check_structure(schedule, findings);
  if (!findings.empty()) {
    return findings.take();
  }
  const UnitIndex index(schedule);
  check_orders(schedule, index, findings);
  if (findings.empty()) {
    check_split(schedule, costs, findings);
  }
  if (findings.empty() && options.memory) {
    verifying::check_memory(schedule, index, costs, findings);
  }
  return findings.take();
}

}  // namespace stagecraft
