// Any bytes at all are a scenario or a list of diagnostics with places, never a crash. A small one
// that reads well is also prepared for a schedule of another shape.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "stagecraft/core/check.hpp"
#include "stagecraft/scenario/scenario.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const stagecraft::Result<stagecraft::Scenario> scenario =
      stagecraft::read_scenario(text, "fuzz.yaml");
  if (!scenario) {
    for (const stagecraft::Diagnostic& failure : scenario.failures()) {
      STAGECRAFT_CHECK(!failure.message.empty() && failure.place.line > 0, "an error has a place");
    }
    static_cast<void>(stagecraft::to_string(scenario.failures()));
    return 0;
  }
  const stagecraft::Pipeline& pipeline = scenario->pipeline;
  const std::int64_t units =
      std::int64_t{pipeline.stages} * pipeline.microbatches * pipeline.max_slices();
  if (units <= 4'096) {
    for (const std::string_view schedule : {"", "1f1b", "dualpipev", "chimera"}) {
      static_cast<void>(stagecraft::prepare(*scenario, schedule, stagecraft::Recut::kAllowed));
    }
  }
  return 0;
}
