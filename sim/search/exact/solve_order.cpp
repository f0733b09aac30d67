#include "stagecraft/search/exact.hpp"

namespace stagecraft::search {

bool exact_available() {
  return false;
}

ExactResult solve_order(const Instance& /*instance*/, const Schedule* /*start*/,
                        const ExactOptions& /*options*/, JobContext& /*context*/) {
  ExactResult result;
  result.status = ExactStatus::kNotCovered;
  return result;
}

}  // namespace stagecraft::search
