#include "stagecraft/search/bounds.hpp"

namespace stagecraft::search {

BoundReport lower_bound(const Problem& /*problem*/, Objective /*objective*/) {
  return {};
}

BoundReport lower_bound(const Instance& /*instance*/, Objective /*objective*/,
                        bool /*recompute_open*/, bool /*offload_open*/) {
  return {};
}

}  // namespace stagecraft::search
