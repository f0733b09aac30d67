// Any text is a schedule that survives writing and reading, or is refused with a reason.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "stagecraft/core/check.hpp"
#include "stagecraft/schedule/pytorch_csv.hpp"
#include "stagecraft/schedule/verify.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace stagecraft;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const Result<Schedule> schedule = parse_pytorch_csv(text, "input");
  if (!schedule) {
    static_cast<void>(to_string(schedule.failures()));
    return 0;
  }
  const Result<std::string> written = to_pytorch_csv(*schedule);
  STAGECRAFT_CHECK(written.ok(), "what was read can be written");
  const Result<Schedule> again = parse_pytorch_csv(*written, "again");
  STAGECRAFT_CHECK(
      again.ok() && again->ops == schedule->ops && again->pipeline == schedule->pipeline,
      "what was written reads the same");
  static_cast<void>(verify(*schedule));
  return 0;
}
