#include "shape.hpp"

#include <fmt/core.h>

#include "stagecraft/core/text.hpp"
#include "stagecraft/search/schedules.hpp"

namespace stagecraft {
namespace {

std::string chunks_words(std::int32_t chunks) {
  return fmt::format("{} {} per device", chunks, chunks == 1 ? "chunk" : "chunks");
}

std::string shape_words(const Pipeline& pipeline) {
  return fmt::format("{}, {}", chunks_words(pipeline.chunks()), to_string(pipeline.placement));
}

bool same_placement(const Pipeline& a, const Pipeline& b) {
  return a.device_of_stage == b.device_of_stage && a.bidirectional() == b.bidirectional();
}

/// True if the schedule can take an explicit placement as it is: any, or one stage per device in
/// any permutation.
bool takes_explicit(const GeneratorInfo& info, const Pipeline& base) {
  const bool chunks_fit = info.chunks == 0 || info.chunks == base.chunks();
  const bool permutation = base.stages == base.devices;
  return chunks_fit && (info.placement == PlacementKind::kExplicit ||
                        (info.placement == PlacementKind::kLoop && permutation));
}

/// Stages per device. A schedule made for several chunks is another one's double on a single chunk,
/// so it gets two where it may.
std::int32_t wanted_chunks(const Scenario& scenario, const GeneratorInfo& info, Recut recut) {
  const Pipeline& base = scenario.pipeline;
  const std::int32_t asked = chunks_asked(info);
  const bool free = recut == Recut::kAllowed || !scenario.chunks_stated;
  const bool enough_layers =
      !scenario.layers || std::int64_t{asked} * base.devices <= scenario.layers->count();
  if (info.chunks == 0 && !(base.chunks() < asked && free && enough_layers)) {
    return base.chunks();
  }
  return asked;
}

Result<Pipeline> wanted_shape(const Scenario& scenario, const GeneratorInfo& info, Recut recut) {
  const Pipeline& base = scenario.pipeline;
  if (info.name == "file") {
    return base;
  }
  const std::int32_t chunks = wanted_chunks(scenario, info, recut);
  if (takes_explicit(info, base) && !base.bidirectional() && chunks == base.chunks()) {
    return base;
  }
  PlacementKind placement = info.placement;
  if (placement == PlacementKind::kExplicit) {
    const bool keep = base.placement == PlacementKind::kLoop ||
                      (base.placement == PlacementKind::kWave && chunks == base.chunks());
    placement = keep ? base.placement : PlacementKind::kLoop;
  }
  return make_pipeline(base.devices, chunks, base.microbatches, placement);
}

Diagnostic misfit(const Scenario& scenario, const GeneratorInfo& info, const Pipeline& wanted) {
  const bool chunks_differ = wanted.stages != scenario.pipeline.stages;
  std::string hint = "set";
  if (chunks_differ) {
    hint += fmt::format(" pipeline.chunks to {}{}", wanted.chunks(),
                        scenario.layers ? " and leave pipeline.partition out" : "");
  }
  if (wanted.placement != scenario.pipeline.placement) {
    hint += fmt::format("{} pipeline.placement to {}", chunks_differ ? " and" : "",
                        to_string(wanted.placement));
  }
  Diagnostic failure =
      bad_input(fmt::format("schedule {} needs {}; the scenario states {}", info.name,
                            shape_words(wanted), shape_words(scenario.pipeline)),
                hint + ", or use `stagecraft compare`, which cuts stages anew");
  return at_schedule(scenario, info.name, std::move(failure));
}

}  // namespace

std::int32_t chunks_asked(const GeneratorInfo& info) {
  return info.chunks > 0 ? info.chunks : info.usual_chunks;
}

Diagnostic unknown_schedule(std::string_view name) {
  std::vector<std::string_view> names;
  for (const GeneratorInfo& known : search::schedules()) {
    names.push_back(known.name);
  }
  const std::string_view near = nearest_name(name, names);
  return bad_input(
      fmt::format("unknown schedule '{}', expected one of: {}", name, join(names, " ")),
      near.empty() ? "" : fmt::format("did you mean '{}'?", near));
}

Diagnostic at_choice(const ScheduleChoice& choice, Diagnostic failure) {
  failure.place = choice.place;
  failure.source_line = choice.source_line;
  for (const auto& [name, given] : choice.option_places) {
    if (failure.message.find(fmt::format("option '{}'", name)) != std::string::npos) {
      failure.place = given.place;
      failure.source_line = given.source_line;
    }
  }
  return failure;
}

Diagnostic at_schedule(const Scenario& scenario, std::string_view schedule, Diagnostic failure) {
  if (failure.place.file.empty()) {
    failure.place.file = scenario.file;
    if (schedule == scenario.schedule.kind && !scenario.schedule.place.file.empty()) {
      return at_choice(scenario.schedule, std::move(failure));
    }
  }
  return failure;
}

Result<RunShape> choose_shape(const Scenario& scenario, const GeneratorInfo& info, Recut recut) {
  const Pipeline& base = scenario.pipeline;
  Result<Pipeline> wanted = wanted_shape(scenario, info, recut);
  if (!wanted) {
    return wanted.failures();
  }
  RunShape shape{std::move(wanted).value(), {}};
  shape.pipeline.slices = base.slices;
  const bool chunks_differ = shape.pipeline.stages != base.stages;
  const bool placement_differs = !same_placement(shape.pipeline, base);
  const bool against =
      (chunks_differ && scenario.chunks_stated) || (placement_differs && scenario.placement_stated);
  if (against && recut == Recut::kOpenOnly) {
    return misfit(scenario, info, shape.pipeline);
  }
  if (chunks_differ || against) {
    shape.recut = shape_words(shape.pipeline);
  }
  return shape;
}

}  // namespace stagecraft
