#include "search/elastic/best/layouts.hpp"

#include <algorithm>

namespace stagecraft::elastic {

std::vector<SequenceLayout> layouts_of(const SequenceProfile& profile,
                                       const SequenceLayout& given) {
  std::vector<SequenceLayout> layouts = {given};
  const std::int32_t gpus = given.pipeline * given.sequence;
  const std::int32_t most = std::min(gpus, profile.layers);
  for (std::int32_t stages = 1; stages <= most; ++stages) {
    if (stages == given.pipeline || gpus % stages != 0) {
      continue;
    }
    SequenceLayout layout = given;
    layout.pipeline = stages;
    layout.sequence = gpus / stages;
    if (check_sequence_profile(profile, layout).empty()) {
      layouts.push_back(layout);
    }
  }
  return layouts;
}

}  // namespace stagecraft::elastic
