#include "stagecraft/search/driver.hpp"

#include "search/driver/run.hpp"

namespace stagecraft::search {

Result<SearchResult> run_search(const Space& space, const SearchOptions& options,
                                Transport& transport) {
  Run run(space, options, transport);
  if (Diagnostics failures = run.begin(); !failures.empty()) {
    return failures;
  }
  if (Diagnostics failures = run.rounds(); !failures.empty()) {
    return failures;
  }
  return run.result();
}

}  // namespace stagecraft::search
