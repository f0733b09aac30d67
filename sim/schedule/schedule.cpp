#include "stagecraft/schedule/schedule.hpp"

#include <algorithm>

namespace stagecraft {

const char* to_string(P2pLowering lowering) {
  switch (lowering) {
    case P2pLowering::kBatched:
      return "batched";
    case P2pLowering::kOverlap:
      return "overlap";
    case P2pLowering::kSendFirst:
      return "send-first";
    case P2pLowering::kRecvFirst:
      return "recv-first";
    case P2pLowering::kParity:
      return "parity";
  }
  return "batched";
}

bool Schedule::splits_backward() const {
  return std::any_of(ops.begin(), ops.end(), [](const Op& op) {
    return op.kind == OpKind::kBackwardInput || op.kind == OpKind::kBackwardWeight;
  });
}

Schedule make_schedule(std::string name, Pipeline pipeline,
                       const std::vector<std::vector<Op>>& lists) {
  STAGECRAFT_CHECK(lists.size() == static_cast<std::size_t>(pipeline.devices),
                   "one op list per device");
  Schedule schedule;
  schedule.name = std::move(name);
  schedule.pipeline = std::move(pipeline);
  std::size_t total = 0;
  for (const std::vector<Op>& list : lists) {
    total += list.size();
  }
  schedule.ops.reserve(total);
  schedule.offsets.reserve(lists.size() + 1);
  schedule.offsets.push_back(0);
  for (const std::vector<Op>& list : lists) {
    schedule.ops.insert(schedule.ops.end(), list.begin(), list.end());
    schedule.offsets.push_back(schedule.ops.size());
  }
  return schedule;
}

}  // namespace stagecraft
