#include "stagecraft/report/html_page.hpp"
#include "stagecraft/report/search_report.hpp"

namespace stagecraft {

std::string search_page(const SearchReport& report) {
  std::vector<Run> runs;
  if (report.best) {
    runs.push_back(*report.best);
  }
  if (report.start) {
    runs.push_back(*report.start);
  }
  return html_page(runs);
}

}  // namespace stagecraft
