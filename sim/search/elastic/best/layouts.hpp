// Layouts that the GPUs of the given one allow: as many stages as one likes, and what is left of
// each stage to share its sequences.
#pragma once

#include <vector>

#include "stagecraft/search/elastic.hpp"

namespace stagecraft::elastic {

/// Every layout with the given product of pipeline and sequence degree, and the given tensor,
/// context and data degrees, that the profile knows; the given one first, then by stages.
[[nodiscard]] std::vector<SequenceLayout> layouts_of(const SequenceProfile& profile,
                                                     const SequenceLayout& given);

}  // namespace stagecraft::elastic
