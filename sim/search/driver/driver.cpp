#include "stagecraft/search/driver.hpp"

namespace stagecraft::search {

Result<SearchResult> run_search(const Space& /*space*/, const SearchOptions& /*options*/,
                                Transport& /*transport*/) {
  return bad_input("the driver is not built yet");
}

}  // namespace stagecraft::search
