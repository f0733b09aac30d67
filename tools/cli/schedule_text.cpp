#include "schedule_text.hpp"

#include "stagecraft/schedule/json.hpp"
#include "stagecraft/schedule/pytorch_csv.hpp"
#include "stagecraft/schedule/text.hpp"

namespace stagecraft::cli {

Result<std::string> written_as(const Schedule& schedule, const std::string& format) {
  if (format == "json") {
    return to_schedule_json(schedule);
  }
  if (format == "pytorch-csv") {
    return to_pytorch_csv(schedule);
  }
  return to_ops_text(schedule);
}

}  // namespace stagecraft::cli
