#include "search/elastic/best/shape.hpp"

#include <utility>

namespace stagecraft::elastic {

Shape make_shape(data::Formation formation, CostRule rule, UnitTable table, std::string name) {
  const Time bound = order_bound(table);
  return {std::move(formation), rule, std::move(table), {}, bound, std::move(name)};
}

}  // namespace stagecraft::elastic
