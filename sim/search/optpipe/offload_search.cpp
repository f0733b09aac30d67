#include "stagecraft/search/offload_search.hpp"

namespace stagecraft::search {

Result<Schedule> ada_offload(const Instance& /*instance*/, const Schedule& order) {
  return order;
}

std::optional<ScoredPlan> search_offload(const Instance& /*instance*/, const Schedule* /*start*/,
                                         const OffloadSearchOptions& /*options*/,
                                         JobContext& /*context*/) {
  return std::nullopt;
}

}  // namespace stagecraft::search
