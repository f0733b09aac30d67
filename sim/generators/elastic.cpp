// Elastic pipelining as a schedule: 1F1B over slices with the longest micro-batches first, in as
// many pipelines one after the other as memory asks for, with recomputation where it does not reach
// (2509.21275, InfiniPipe). Costs per stage and unit are all it knows, so a unit is recomputed
// whole or not at all; plans by layer come from strategies over sequences.
#include <algorithm>
#include <charconv>
#include <numeric>
#include <vector>

#include <fmt/core.h>

#include "all.hpp"
#include "shape.hpp"
#include "stagecraft/core/text.hpp"
#include "stagecraft/generators/elastic.hpp"

namespace stagecraft {
namespace {

using elastic::CheckpointProblem;
using elastic::Groups;

constexpr OptionSpec kOptions[] = {
    {.name = "groups",
     .unit = "micro-batches",
     .default_value = "auto",
     .range = "auto, or micro-batches of every pipeline in running order, separated by commas",
     .help = "pipelines one after the other; auto: as many as make warm-ups and recomputation "
             "cheapest together"},
    {.name = "order",
     .unit = "",
     .default_value = "longest-first",
     .range = "longest-first | as-given",
     .help = "order of the micro-batches: most slices first, then the longest forward; or as "
             "numbered"},
    {.name = "recompute",
     .unit = "",
     .default_value = "auto",
     .range = "auto | none | all",
     .help = "which units are recomputed before their backward; auto: as few as memory needs, none "
             "where memory.stage_input is not given"}};

// Planning is an inner step of `compare`: near enough, in bounded time.
constexpr elastic::CheckpointOptions kPlanning = {.gap = 0.02, .nodes = 100};

enum class Recompute : std::uint8_t { kAuto, kNone, kAll };

struct Options {
  std::vector<std::int32_t> sizes;  ///< empty: auto
  bool as_given = false;
  Recompute recompute = Recompute::kAuto;
};

Diagnostic unknown_value(std::string_view option, std::string_view text, std::string_view known) {
  return bad_input(fmt::format("schedule option '{}' is '{}', expected {}", option, text, known));
}

/// "12,8" -> {12, 8}; empty if it is no list of numbers above 0 that sums to `microbatches`.
std::vector<std::int32_t> parse_sizes(std::string_view text, std::int32_t microbatches) {
  std::vector<std::int32_t> sizes;
  std::int64_t sum = 0;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at != end) {
    if (*at == ' ' || *at == ',') {
      ++at;
      continue;
    }
    std::int32_t size = 0;
    const auto [next, error] = std::from_chars(at, end, size);
    if (error != std::errc{} || size < 1) {
      return {};
    }
    sizes.push_back(size);
    sum += size;
    at = next;
  }
  if (sum != microbatches) {
    sizes.clear();
  }
  return sizes;
}

Result<Options> read_options(const GeneratorInput& input) {
  Options options;
  Diagnostics failures;
  const auto text_of = [&](std::string_view name, std::string_view fallback) {
    const auto given = input.options.find(name);
    return given == input.options.end() ? fallback : std::string_view(given->second);
  };
  if (const std::string_view groups = text_of("groups", "auto"); groups != "auto") {
    options.sizes = parse_sizes(groups, input.pipeline.microbatches);
    if (options.sizes.empty()) {
      failures.push_back(unknown_value(
          "groups", groups,
          fmt::format("auto, or numbers of micro-batches above 0 that sum to {}, such as {}",
                      input.pipeline.microbatches,
                      input.pipeline.microbatches > 1
                          ? fmt::format("{},{}", (input.pipeline.microbatches + 1) / 2,
                                        input.pipeline.microbatches / 2)
                          : "1")));
    }
  }
  const std::string_view order = text_of("order", "longest-first");
  options.as_given = order == "as-given";
  if (!options.as_given && order != "longest-first") {
    failures.push_back(unknown_value("order", order, "longest-first or as-given"));
  }
  const std::string_view recompute = text_of("recompute", "auto");
  if (recompute == "none") {
    options.recompute = Recompute::kNone;
  } else if (recompute == "all") {
    options.recompute = Recompute::kAll;
  } else if (recompute != "auto") {
    failures.push_back(unknown_value("recompute", recompute, "auto, none or all"));
  }
  if (!failures.empty()) {
    return failures;
  }
  return options;
}

/// Is it known what a recomputed unit keeps? The rule of `search.recompute`.
bool stage_input_given(const CostTable& costs) {
  return std::ranges::any_of(costs.memory.stage_input.values,
                             [](std::int64_t bytes) { return bytes != 0; });
}

/// The micro-batches in the order in which they run, as one problem. One layer per stage: units are
/// recomputed whole.
CheckpointProblem problem_of(const GeneratorInput& input,
                             const std::vector<std::int32_t>& running_order, Recompute recompute) {
  const Pipeline& pipeline = input.pipeline;
  const MemoryCosts& memory = input.costs.memory;
  const bool may = recompute == Recompute::kAll ||
                   (recompute == Recompute::kAuto && stage_input_given(input.costs));
  CheckpointProblem problem;
  problem.stages = pipeline.stages;
  problem.layers.assign(static_cast<std::size_t>(pipeline.stages), may ? 1 : 0);
  for (const std::int32_t m : running_order) {
    problem.slices.push_back(pipeline.slices_of(m));
  }
  for (std::int32_t stage = 0; stage < pipeline.stages; ++stage) {
    const std::int32_t device = pipeline.device(stage);
    const Bytes capacity = memory.capacity_of(device);
    problem.room.push_back(capacity == kUnlimited ? kUnlimited
                                                  : capacity - memory.resident_of(device));
    for (const std::int32_t m : running_order) {
      for (std::int32_t q = 0; q < pipeline.slices_of(m); ++q) {
        const Bytes all = memory.forward.at(stage, m, q);
        problem.memory.push_back(all);
        problem.saving.push_back(std::max<Bytes>(0, all - memory.stage_input.at(stage, m, q)));
      }
    }
  }
  for (const std::int32_t m : running_order) {
    for (std::int32_t q = 0; q < pipeline.slices_of(m); ++q) {
      Time longest = 0;
      for (std::int32_t stage = 0; stage < pipeline.stages; ++stage) {
        longest = std::max(longest, input.costs.recompute.at(stage, m, q));
      }
      problem.layer_time.push_back(longest);
    }
  }
  return problem;
}

/// [M] What it takes to fill a pipeline that begins with a micro-batch and to drain one: every
/// stage but one runs a unit of it forward and backward, and it crosses every boundary twice.
std::vector<Time> fill_times(const GeneratorInput& input,
                             const std::vector<std::int32_t>& running_order) {
  const Pipeline& pipeline = input.pipeline;
  Time transfers = 0;
  for (std::int32_t stage = 0; stage + 1 < pipeline.stages; ++stage) {
    transfers += 2 * input.costs.latency(pipeline, stage, stage + 1);
  }
  std::vector<Time> times;
  for (const std::int32_t m : running_order) {
    const std::int64_t slices = pipeline.slices_of(m);
    Time mean = 0;  // of a unit of the micro-batch on a stage; shares, so that no sum overflows
    for (std::int32_t stage = 0; stage < pipeline.stages; ++stage) {
      for (std::int32_t q = 0; q < slices; ++q) {
        mean += (input.costs.forward.at(stage, m, q) + input.costs.backward.at(stage, m, q)) /
                (slices * pipeline.stages);
      }
    }
    times.push_back(transfers + mean * (pipeline.stages - 1));
  }
  return times;
}

std::string_view mend(const CheckpointProblem& problem, Recompute recompute) {
  if (recompute == Recompute::kNone) {
    return "set schedule.recompute to auto, or raise memory.capacity";
  }
  if (problem.layers.front() == 0) {
    return "give memory.stage_input, which lets units be recomputed, or raise memory.capacity";
  }
  return "raise memory.capacity, or cut micro-batches into more slices";
}

/// The micro-batches begin .. end - 1 of the running order as a problem of their own.
CheckpointProblem group_problem(const GeneratorInput& input,
                                const std::vector<std::int32_t>& running_order, std::size_t begin,
                                std::size_t end, Recompute recompute) {
  return problem_of(input,
                    {running_order.begin() + static_cast<std::ptrdiff_t>(begin),
                     running_order.begin() + static_cast<std::ptrdiff_t>(end)},
                    recompute);
}

/// Says how far the stage with the least room is from holding a pipeline in which all is recomputed
/// that may be.
Diagnostic does_not_fit(const GeneratorInput& input, const CheckpointProblem& problem,
                        std::string_view what, Recompute recompute) {
  std::vector<std::int32_t> layers(problem.memory.size(), 0);
  const std::size_t units = problem.layer_time.size();
  for (std::size_t at = 0; at < layers.size(); ++at) {
    layers[at] = problem.saving[at] > 0 ? problem.layers[at / units] : 0;
  }
  const std::vector<Bytes> peaks = elastic::checkpoint_peaks(problem, layers);
  std::size_t worst = 0;
  for (std::size_t stage = 0; stage < peaks.size(); ++stage) {
    if (peaks[stage] - problem.room[stage] > peaks[worst] - problem.room[worst]) {
      worst = stage;
    }
  }
  const std::int32_t device = input.pipeline.device(static_cast<std::int32_t>(worst));
  return infeasible(
      fmt::format("elastic: {} does not fit{}: stage {} needs {} bytes for activations, device {} "
                  "has {}",
                  what, problem.layers.front() > 0 ? " even if all of it is recomputed" : "", worst,
                  with_thousands(peaks[worst]), device, with_thousands(problem.room[worst])),
      std::string(mend(problem, recompute)));
}

/// Which units are recomputed, by stage and by unit in running order.
struct Plan {
  std::vector<std::int32_t> sizes;
  std::vector<std::int32_t> layers;  ///< [stages][units]
};

Result<Plan> plan_freely(const GeneratorInput& input,
                         const std::vector<std::int32_t>& running_order, Recompute recompute) {
  CheckpointProblem problem = problem_of(input, running_order, recompute);
  elastic::CheckpointOptions options = kPlanning;
  if (recompute == Recompute::kAll) {
    // Recomputation is paid for anyway: only warm-ups count, and any plan will do.
    std::ranges::fill(problem.layer_time, 0);
    options.nodes = 0;
  }
  elastic::GroupPlan plan =
      elastic::plan_groups(problem, fill_times(input, running_order), options);
  if (!plan.feasible) {
    const auto m = static_cast<std::size_t>(plan.unfit_microbatch);
    return does_not_fit(input, group_problem(input, running_order, m, m + 1, recompute),
                        fmt::format("micro-batch {} in a pipeline of its own", running_order[m]),
                        recompute);
  }
  return Plan{std::move(plan.sizes), std::move(plan.layers)};
}

Result<Plan> plan_given_groups(const GeneratorInput& input,
                               const std::vector<std::int32_t>& running_order,
                               const std::vector<std::int32_t>& sizes, Recompute recompute) {
  const auto stages = static_cast<std::size_t>(input.pipeline.stages);
  std::vector<std::vector<std::int32_t>> rows(stages);
  std::size_t begin = 0;
  for (std::size_t group = 0; group < sizes.size(); ++group) {
    const std::size_t end = begin + static_cast<std::size_t>(sizes[group]);
    const CheckpointProblem problem = group_problem(input, running_order, begin, end, recompute);
    elastic::CheckpointPlan plan = elastic::checkpoint_diagonal(problem, kPlanning);
    if (!plan.feasible) {
      return does_not_fit(input, problem, fmt::format("pipeline {} of option 'groups'", group),
                          recompute);
    }
    elastic::trim_checkpoints(problem, plan.layers);
    const auto units = static_cast<std::ptrdiff_t>(problem.layer_time.size());
    for (std::size_t stage = 0; stage < stages; ++stage) {
      const auto row = plan.layers.begin() + static_cast<std::ptrdiff_t>(stage) * units;
      rows[stage].insert(rows[stage].end(), row, row + units);
    }
    begin = end;
  }
  Plan plan{sizes, {}};
  for (const std::vector<std::int32_t>& row : rows) {
    plan.layers.insert(plan.layers.end(), row.begin(), row.end());
  }
  return plan;
}

/// Can everything that planning adds up be added up? Where it cannot, neither can the task graph,
/// which says so.
bool in_range(const CheckpointProblem& problem, const std::vector<Time>& fill) {
  constexpr std::int64_t kMost = std::int64_t{1} << 60;
  const auto fits = [&](std::span<const std::int64_t> values, std::int64_t times) {
    std::int64_t sum = 0;
    return std::ranges::all_of(values, [&](std::int64_t value) {
      sum += value;
      return sum <= kMost / times;
    });
  };
  // Diagonals are less than twice the units; both kinds of time make up the cost of a plan.
  return fits(problem.memory, 1) && fits(fill, 2) &&
         fits(problem.layer_time, std::int64_t{2} * problem.stages);
}

Result<Plan> plan_of(const GeneratorInput& input, const Groups& groups, const Options& options) {
  const CheckpointProblem problem = problem_of(input, groups.order, options.recompute);
  if (!in_range(problem, fill_times(input, groups.order))) {
    return Plan{options.sizes.empty() ? groups.sizes : options.sizes,
                std::vector<std::int32_t>(problem.memory.size(), 0)};
  }
  return options.sizes.empty()
             ? plan_freely(input, groups.order, options.recompute)
             : plan_given_groups(input, groups.order, options.sizes, options.recompute);
}

Result<Schedule> generate_elastic(const GeneratorInput& input) {
  const Pipeline& pipeline = input.pipeline;
  if (auto misfit = check_one_stage_per_device(pipeline, "elastic")) {
    return *misfit;
  }
  const Result<Options> options = read_options(input);
  if (!options) {
    return options.failures();
  }
  Groups groups = elastic::one_group(pipeline, input.costs);
  if (options->as_given) {
    std::iota(groups.order.begin(), groups.order.end(), 0);
  }
  const Result<Plan> plan = plan_of(input, groups, *options);
  if (!plan) {
    return plan.failures();
  }
  groups.sizes = plan->sizes;

  // First unit of every micro-batch in running order.
  std::vector<std::size_t> first(static_cast<std::size_t>(pipeline.microbatches));
  std::size_t units = 0;
  for (const std::int32_t m : groups.order) {
    first[static_cast<std::size_t>(m)] = units;
    units += static_cast<std::size_t>(pipeline.slices_of(m));
  }
  const bool all = options->recompute == Recompute::kAll;
  return elastic::elastic_schedule(
      pipeline, groups, [&](std::int32_t stage, std::int32_t microbatch, std::int32_t slice) {
        return all || plan->layers[static_cast<std::size_t>(stage) * units +
                                   first[static_cast<std::size_t>(microbatch)] +
                                   static_cast<std::size_t>(slice)] > 0;
      });
}

}  // namespace

const GeneratorInfo& elastic_info() {
  static const GeneratorInfo info = {
      .name = "elastic",
      .summary =
          "1f1b over slices and whole micro-batches, longest first, in as many pipelines as memory "
          "asks for, recomputing along diagonals",
      .source = "InfiniPipe, 2509.21275, formulas 7 and 12 to 20",
      .order =
          "pipeline after pipeline; in each, forwards by (micro-batch, slice), backwards by "
          "(micro-batch, slice descending), R before the BW of a recomputed unit; "
          "min(P-s-1+K, units) forwards on stage s before the first BW, K: most slices of a "
          "micro-batch of the pipeline",
      .constraints =
          "one stage per device, in any permutation; any P, M and slices per micro-batch "
          "(pipeline.slices); equal micro-batches in one pipeline without recomputation are "
          "seq1f1b. Auto recomputes whole units, where memory.stage_input is given",
      .bubble =
          "(P-1)(F+BW) of a unit per pipeline, and on every diagonal the longest R of its units",
      .memory =
          "P-s-1+K units on stage s, recomputed ones at memory.stage_input but the one whose "
          "backward runs",
      .placement = PlacementKind::kLoop,
      .chunks = 1,
      .needs_split_backward = false,
      .options = kOptions,
      .generate = generate_elastic,
  };
  return info;
}

}  // namespace stagecraft
