#include "baselines.hpp"

#include <algorithm>
#include <numeric>
#include <string>

#include <fmt/core.h>

#include "partition.hpp"

namespace stagecraft::search::adaptis {
namespace {

enum class Cut : std::uint8_t { kEven, kLayers, kMist, kLargest };

struct Baseline {
  std::string_view name;
  std::string_view schedule;
  Cut cut;
};

constexpr Baseline kBaselines[] = {
    {"s-1f1b", "1f1b", Cut::kEven},
    {"i-1f1b", "interleaved", Cut::kLayers},
    {"zb", "zb-h1", Cut::kEven},
    {"mist", "1f1b", Cut::kMist},
    {"minmax-1f1b", "1f1b", Cut::kLargest},
    {"minmax-zb", "zb-h1", Cut::kLargest},
};

// What the end of an iteration adds to a device's last micro-batch.
std::vector<Time> iteration_ends(const Problem& problem, const Shape& shape) {
  const Result<Instance> instance = problem.instance(shape.partition, shape.device_of_stage);
  std::vector<Time> extra;
  if (!instance) {
    return extra;
  }
  extra.resize(static_cast<std::size_t>(problem.devices), 0);
  for (const std::vector<Time>* part :
       {&instance->costs.gradient_reduction, &instance->costs.optimizer_step}) {
    for (std::size_t d = 0; d < part->size(); ++d) {
      extra[d] += (*part)[d];
    }
  }
  return extra;
}

Shape baseline_shape(const Problem& problem, const Options& options, Cut cut) {
  const std::int32_t devices = problem.devices;
  const std::int32_t layers = problem.layers.count();
  const Ends ends = ends_of(problem, options);
  const std::int32_t body = std::max(devices, layers - ends.embedding - ends.head);
  const std::int32_t chunks =
      cut == Cut::kLayers ? std::min(body / devices, freedom_of(problem).most_chunks) : 1;
  const std::int32_t stages = devices * chunks;
  Shape shape{even_partition(layers, stages, ends), round_robin(stages, devices)};
  if (cut == Cut::kMist) {
    shape.partition = mist_partition(problem, iteration_ends(problem, shape));
  } else if (cut == Cut::kLargest) {
    shape.partition = mist_partition(problem, {});
  }
  return shape;
}

}  // namespace

std::vector<std::string_view> baseline_names() {
  std::vector<std::string_view> names;
  for (const Baseline& baseline : kBaselines) {
    names.push_back(baseline.name);
  }
  return names;
}

Result<Plan> baseline_plan(const Problem& problem, const Options& options, std::string_view name) {
  const auto* baseline = std::ranges::find(kBaselines, name, &Baseline::name);
  STAGECRAFT_CHECK(baseline != std::end(kBaselines), "no such baseline");
  const std::string schedule_name(baseline->schedule);
  if (!problem.schedule_open && std::ranges::count(problem.schedules, schedule_name) == 0) {
    return bad_input(
        fmt::format("baseline {} is schedule {}, which the scenario excludes", name, schedule_name),
        "leave the schedule open");
  }
  const Freedom freedom = freedom_of(problem);
  Shape shape{problem.partition, problem.device_of_stage};
  if (freedom.partition && freedom.placement) {
    shape = baseline_shape(problem, options, baseline->cut);
  }
  const Result<Instance> instance = problem.instance(shape.partition, shape.device_of_stage);
  if (!instance) {
    return instance.failures();
  }
  Result<Schedule> schedule = generate(schedule_name, {instance->pipeline, instance->costs, {}});
  if (!schedule) {
    return schedule.failures();
  }
  Plan plan;
  plan.partition = shape.partition;
  plan.schedule = std::move(schedule).value();
  plan.origin = fmt::format("baseline {}", name);
  return plan;
}

}  // namespace stagecraft::search::adaptis
