#include "stagecraft/search/optimal.hpp"

#include <fmt/core.h>

#include "stagecraft/search/exact.hpp"

namespace stagecraft::search {
namespace {

constexpr std::int64_t kDefaultConflicts = 50'000;

constexpr OptionSpec kOptions[] = {
    {"objective", "", "iteration", "span | makespan | iteration",
     "what to make as small as can be"},
    {"conflicts", "conflicts of the SAT solver", "50000", "0 to 10^12",
     "effort before the best order so far is taken; 0: until it is proved optimal"},
};

class Alone final : public JobContext {
 public:
  [[nodiscard]] bool stopped() const override { return false; }
  void found(const Plan& /*plan*/) override {}
  void count(std::uint64_t /*evaluations*/) override {}
};

Result<Objective> read_objective(const GeneratorInput& input) {
  const auto given = input.options.find("objective");
  if (given == input.options.end() || given->second == "iteration") {
    return Objective::kIteration;
  }
  if (given->second == "makespan") {
    return Objective::kMakespan;
  }
  if (given->second == "span") {
    return Objective::kSpan;
  }
  return bad_input(fmt::format(
      "schedule option 'objective' is '{}', expected span, makespan or iteration", given->second));
}

Result<Schedule> generate_optimal(const GeneratorInput& input) {
  const Result<Objective> objective = read_objective(input);
  if (!objective) {
    return objective.failures();
  }
  const Result<std::int64_t> conflicts =
      integer_option(input, "conflicts", kDefaultConflicts, 0, 1'000'000'000'000);
  if (!conflicts) {
    return conflicts.failures();
  }
  ExactOptions options;
  options.objective = *objective;
  options.conflicts = static_cast<std::uint64_t>(*conflicts);
  Instance instance{input.pipeline, input.costs, {}};
  instance.partition.assign(static_cast<std::size_t>(input.pipeline.stages), 1);
  Alone context;
  ExactResult result = solve_order(instance, nullptr, options, context);
  if (result.status == ExactStatus::kNotCovered) {
    return bad_input("optimal: " + result.reason);
  }
  if (!result.schedule) {
    return infeasible("optimal: " + result.reason,
                      "raise memory.capacity, or cut activations (smaller micro-batches, "
                      "recomputation)");
  }
  result.schedule->name = "optimal";
  return std::move(*result.schedule);
}

}  // namespace

const GeneratorInfo& optimal_generator() {
  static const GeneratorInfo info{
      .name = "optimal",
      .summary = "the best order there is, proved by SAT where the budget allows",
      .source =
          "own; order encoding: Tamura et al., \"Compiling finite linear CSP into SAT\", 2009",
      .order = "searched",
      .constraints = "any P, M, V and placement; latency mode; no overlapped pairs",
      .bubble = "least possible",
      .memory = "within capacity",
      .placement = PlacementKind::kExplicit,
      .chunks = 0,
      .usual_chunks = 1,
      .needs_split_backward = false,
      .options = kOptions,
      .generate = generate_optimal,
  };
  return info;
}

}  // namespace stagecraft::search
