#include "search/exact/first_schedule.hpp"

#include <array>
#include <string_view>

#include "stagecraft/generators/generator.hpp"

namespace stagecraft::search::exact {
namespace {

constexpr std::array<std::string_view, 6> kMadeAtOnce = {"zb-auto", "1f1b",        "zb-h1",
                                                         "zb-h2",   "interleaved", "zbv"};
constexpr std::array<std::string_view, 3> kSearched = {"zb-auto", "greedy", "v-flex"};

void add(std::string_view name, const Instance& instance, const GeneratorOptions& options,
         std::vector<Schedule>& schedules) {
  Result<Schedule> schedule = generate(name, {instance.pipeline, instance.costs, options});
  if (schedule) {
    schedules.push_back(std::move(schedule).value());
  }
}

Schedule one_after_the_other(const ExactModel& model) {
  // Ops are numbered in an order in which each micro-batch can run alone.
  std::vector<std::int64_t> starts(model.size());
  for (std::size_t x = 0; x < starts.size(); ++x) {
    const Op& op = model.ops[x].op;
    const std::int64_t m = model.pipeline.global_microbatch(op.unit.microbatch, op.direction);
    starts[x] = m * static_cast<std::int64_t>(starts.size()) + static_cast<std::int64_t>(x);
  }
  return order_of(model, starts);
}

}  // namespace

std::vector<Schedule> first_schedules(const Instance& instance, const ExactModel& model) {
  std::vector<Schedule> schedules;
  for (const std::string_view name : kMadeAtOnce) {
    GeneratorOptions options;
    if (name == "zb-auto") {
      options["repair"] = "0";
    }
    add(name, instance, options, schedules);
  }
  schedules.push_back(one_after_the_other(model));
  return schedules;
}

std::vector<Schedule> searched_schedules(const Instance& instance) {
  std::vector<Schedule> schedules;
  for (const std::string_view name : kSearched) {
    add(name, instance, {}, schedules);
  }
  return schedules;
}

}  // namespace stagecraft::search::exact
