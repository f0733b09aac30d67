// Any text is a schedule that survives writing and reading, or is refused with a place. The first
// byte chooses the shape of the pipeline.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "stagecraft/core/check.hpp"
#include "stagecraft/schedule/text.hpp"
#include "stagecraft/schedule/verify.hpp"

namespace {

stagecraft::Pipeline pipeline_for(unsigned shape) {
  using namespace stagecraft;
  const auto devices = static_cast<std::int32_t>(1 + shape % 3);
  const auto microbatches = static_cast<std::int32_t>(2 + shape / 3 % 3);
  const bool both = shape / 9 % 2 == 1;
  Pipeline pipeline = *make_pipeline(devices, both ? 1 : 2, microbatches,
                                     both ? PlacementKind::kBidirectional : PlacementKind::kVee);
  if (shape / 18 % 2 == 1) {
    pipeline.slices.assign(static_cast<std::size_t>(microbatches), 2);
  }
  return pipeline;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace stagecraft;
  if (size == 0) {
    return 0;
  }
  const Pipeline pipeline = pipeline_for(data[0]);
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const Result<Schedule> schedule = parse_ops_text(text, pipeline, "input");
  if (!schedule) {
    for (const Diagnostic& failure : schedule.failures()) {
      STAGECRAFT_CHECK(failure.place.line > 0 && failure.place.column > 0, "an error has a place");
    }
    static_cast<void>(to_string(schedule.failures()));
    return 0;
  }
  const Result<Schedule> again = parse_ops_text(to_ops_text(*schedule), pipeline, "again");
  STAGECRAFT_CHECK(again.ok() && again->ops == schedule->ops, "what was written reads the same");
  static_cast<void>(verify(*schedule));
  return 0;
}
