// The parts of verify, in the order in which they run. Each part assumes that the parts before it
// found nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/cost/cost_table.hpp"
#include "stagecraft/schedule/dependencies.hpp"
#include "stagecraft/schedule/schedule.hpp"

namespace stagecraft::verifying {

/// Collects findings up to a limit.
class Findings {
 public:
  explicit Findings(std::size_t most) : most_(most) {}

  void add(Diagnostic finding) {
    if (!full()) {
      list_.push_back(std::move(finding));
    }
  }
  [[nodiscard]] bool full() const { return list_.size() >= most_; }
  [[nodiscard]] bool empty() const { return list_.empty(); }
  [[nodiscard]] Diagnostics take() { return std::move(list_); }

 private:
  std::size_t most_;
  Diagnostics list_;
};

/// "F3@5 (device 2)".
[[nodiscard]] std::string op_on_device(const Op& op, std::int32_t device);

/// The pipeline's lists have the lengths its counts say, and the offsets cut `ops` into P lists.
void check_shape(const Schedule& schedule, Findings& findings);
/// Every op's numbers exist in the pipeline and it stands on the device that holds its stage.
void check_ranges(const Schedule& schedule, Findings& findings);
/// Every unit of every stage has the ops it needs, once each.
void check_completeness(const Schedule& schedule, Findings& findings);
/// What an op needs from its own device stands before it.
void check_device_order(const Schedule& schedule, const UnitIndex& index, Findings& findings);
/// The orders of all devices together can run to the end.
void check_acyclic(const Schedule& schedule, const UnitIndex& index, Findings& findings);
/// Memory in list order stays within capacity.
void check_memory(const Schedule& schedule, const UnitIndex& index, const CostTable& costs,
                  Findings& findings);

}  // namespace stagecraft::verifying
