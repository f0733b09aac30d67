// Any text is a schedule that survives writing and reading, or is refused with a place.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "stagecraft/core/check.hpp"
#include "stagecraft/schedule/json.hpp"
#include "stagecraft/schedule/verify.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace stagecraft;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const Result<Schedule> schedule = parse_schedule_json(text, "input");
  if (!schedule) {
    for (const Diagnostic& failure : schedule.failures()) {
      STAGECRAFT_CHECK(failure.place.line > 0 && failure.place.column > 0, "an error has a place");
    }
    static_cast<void>(to_string(schedule.failures()));
    return 0;
  }
  const Result<Schedule> again = parse_schedule_json(to_schedule_json(*schedule), "again");
  STAGECRAFT_CHECK(again.ok() && again->ops == schedule->ops &&
                       again->pipeline == schedule->pipeline && again->p2p == schedule->p2p,
                   "what was written reads the same");
  static_cast<void>(verify(*schedule));
  return 0;
}
