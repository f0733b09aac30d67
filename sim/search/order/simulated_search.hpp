// Order search where only a simulation can judge an order: shared links, blocking sends,
// rendezvous, ops that wait for memory, copies.
#pragma once

#include "stagecraft/search/order_search.hpp"

namespace stagecraft::search {

[[nodiscard]] OrderSearchResult improve_by_simulation(const Instance& instance,
                                                      const Schedule& start,
                                                      const OrderSearchOptions& options,
                                                      JobContext& context);

}  // namespace stagecraft::search
