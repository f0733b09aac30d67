// Method `adaptis`: AdaPtis / OctoPipe (Guo et al., "AdaPtis: reducing pipeline bubbles with
// adaptive pipeline parallelism on heterogeneous models", 2509.23722) as a search method.
//
// Three rounds. First shapes: the even partition and v1's two heuristics. Candidates: the best few
// (partition, placement) pairs by rank are simulated, in kShares jobs. Tuner: the bubble-driven
// tuner from the best shape so far and, as in the paper, from the even partition. With option
// `baseline`, one round of one job that gives the plan of that baseline.
#include <algorithm>
#include <memory>
#include <mutex>
#include <optional>
#include <sstream>
#include <utility>

#include <fmt/core.h>

#include "baselines.hpp"
#include "candidates.hpp"
#include "options.hpp"
#include "performance.hpp"
#include "search/all.hpp"
#include "stagecraft/core/hash.hpp"
#include "tuner.hpp"

namespace stagecraft::search {
namespace adaptis {
namespace {

constexpr std::size_t kShares = 8;

enum Round : int { kFirst, kCandidates, kTuner, kDone };

// A shape and how good it was, as it goes between rounds.
struct Mark {
  Figures figures;
  Shape shape;
};

std::string to_text(const std::optional<Mark>& mark) {
  if (!mark) {
    return "none";
  }
  const Figures& f = mark->figures;
  std::string text = fmt::format("{} {} {} {} {} {}", f.iteration, f.makespan, f.span,
                                 f.peak_memory, f.devices, mark->shape.stages());
  for (std::size_t s = 0; s < mark->shape.stages(); ++s) {
    text += fmt::format(" {} {}", mark->shape.partition[s], mark->shape.device_of_stage[s]);
  }
  return text;
}

// False if the text is no mark.
bool read_mark(std::istream& in, std::optional<Mark>& mark) {
  mark.reset();
  if ((in >> std::ws).peek() == 'n') {
    std::string none;
    in >> none;
    return none == "none";
  }
  Mark read;
  Figures& f = read.figures;
  std::size_t stages = 0;
  in >> f.iteration >> f.makespan >> f.span >> f.peak_memory >> f.devices >> stages;
  f.feasible = true;
  for (std::size_t s = 0; in && s < stages; ++s) {
    std::int32_t layers = 0;
    std::int32_t device = 0;
    in >> layers >> device;
    read.shape.partition.push_back(layers);
    read.shape.device_of_stage.push_back(device);
  }
  if (!in || read.shape.stages() == 0) {
    return false;
  }
  mark = std::move(read);
  return true;
}

Mark mark_of(const Trial& trial) {
  return {trial.figures, trial.shape};
}

std::string_view to_string(Phase phase) {
  switch (phase) {
    case Phase::kPartition:
      return "partition";
    case Phase::kPlacement:
      return "placement";
    case Phase::kScheduling:
      return "scheduling";
  }
  return "";
}

class AdaptisMethod final : public Method {
 public:
  AdaptisMethod(const Problem& problem, const MethodOptions& given, Options options)
      : problem_(problem),
        objective_(given.objective),
        seed_(given.seed),
        options_(std::move(options)),
        rules_(rules_of(problem, options_)) {
    first_ = first_shapes(problem_, options_);
  }

  [[nodiscard]] std::string_view name() const override { return "adaptis"; }

  [[nodiscard]] std::size_t jobs() const override {
    switch (round_) {
      case kFirst:
        return 1;
      case kCandidates:
        return std::min(kShares, candidates_.size());
      case kTuner:
        return starts().size();
      default:
        return 0;
    }
  }

  [[nodiscard]] JobResult run(std::size_t job, JobContext& context) const override {
    const Simulator simulator(problem_, objective_, context);
    if (round_ == kCandidates) {
      return simulate_share(job, simulator);
    }
    if (round_ == kTuner) {
      return tune(starts()[job], simulator);
    }
    return simulate_all(first_, "adaptis: first shape", simulator);
  }

  void end_round(std::span<const JobResult> results) override {
    for (const JobResult& result : results) {
      std::istringstream in(result.state);
      std::optional<Mark> mark;
      if (read_mark(in, mark) && mark &&
          (!best_ || search::better(mark->figures, best_->figures, objective_))) {
        best_ = std::move(mark);
      }
    }
    enter(round_ + 1);
  }

  [[nodiscard]] std::string save() const override {
    return fmt::format("adaptis 1 {} {} {}", fingerprint(), static_cast<int>(round_),
                       to_text(best_));
  }

  [[nodiscard]] Diagnostics restore(std::string_view state) override {
    std::istringstream in{std::string(state)};
    std::string word;
    std::string version;
    std::string print;
    int round = 0;
    std::optional<Mark> best;
    in >> word >> version >> print >> round;
    if (!in || word != "adaptis" || version != "1" || round < kFirst || round > kDone ||
        !read_mark(in, best)) {
      return {bad_input("the text is not a state of method adaptis")};
    }
    if (print != fingerprint()) {
      return {bad_input("the state is of another problem, seed or options than this search")};
    }
    best_ = std::move(best);
    enter(round);
    return {};
  }

 private:
  // Skips rounds that have nothing to do.
  void enter(int round) {
    round_ = round;
    if (round_ == kCandidates) {
      candidates_.clear();
      if (options_.candidates) {
        candidates_ = ranked_candidates(problem_, options_, seed_);
      }
      round_ = candidates_.empty() ? kTuner : kCandidates;
    }
    if (round_ == kTuner && (!options_.tuner || starts().empty())) {
      round_ = kDone;
    }
  }

  [[nodiscard]] std::string fingerprint() const {
    Hash hash;
    hash.add(seed_);
    hash.add(static_cast<std::uint64_t>(objective_));
    for (const std::int64_t value :
         {std::int64_t{problem_.devices}, std::int64_t{problem_.microbatches},
          std::int64_t{problem_.most_chunks}, std::int64_t{options_.top_k},
          std::int64_t{options_.beam}, std::int64_t{options_.sim_k},
          std::int64_t{options_.per_count}, std::int64_t{options_.exempt_trials},
          std::int64_t{options_.iterations}, std::int64_t{options_.patience},
          std::int64_t{options_.neighbours}, std::int64_t{options_.weight_trials},
          std::int64_t{options_.irregular}, std::int64_t{options_.rank_by_device},
          std::int64_t{options_.candidates}, std::int64_t{options_.tuner},
          std::int64_t{options_.embedding}, std::int64_t{options_.head}}) {
      hash.add(value);
    }
    const Layers& layers = problem_.layers;
    for (const auto* list :
         {&layers.forward, &layers.backward_input, &layers.backward_weight, &layers.activation,
          &layers.activation_kept, &layers.parameters, &problem_.speed}) {
      hash.add(static_cast<std::uint64_t>(list->size()));
      for (const std::int64_t value : *list) {
        hash.add(value);
      }
    }
    return hash.hex();
  }

  // Where the tuner begins.
  [[nodiscard]] std::vector<Shape> starts() const {
    std::vector<Shape> shapes;
    if (best_) {
      shapes.push_back(best_->shape);
    }
    if (shapes.empty() || shapes.front() != first_.front()) {
      shapes.push_back(first_.front());
    }
    return shapes;
  }

  [[nodiscard]] JobResult simulate_all(std::span<const Shape> shapes, std::string_view origin,
                                       const Simulator& simulator) const {
    std::optional<Trial> best;
    for (const Shape& shape : shapes) {
      if (simulator.context().stopped()) {
        break;
      }
      std::optional<Trial> trial = run_rules(simulator, shape, rules_);
      if (trial && (!best || simulator.better(*trial, *best))) {
        best = std::move(trial);
        simulator.context().found(to_plan(*best, std::string(origin)));
      }
    }
    return result_of(best, origin);
  }

  [[nodiscard]] JobResult simulate_share(std::size_t job, const Simulator& simulator) const {
    std::vector<Shape> share;
    for (std::size_t k = job; k < candidates_.size(); k += jobs()) {
      share.push_back(candidates_[k]);
    }
    return simulate_all(share, "adaptis: candidate", simulator);
  }

  [[nodiscard]] JobResult tune(const Shape& shape, const Simulator& simulator) const {
    std::optional<Trial> start = run_rules(simulator, shape, rules_);
    if (!start) {
      return {};
    }
    Tuner tuner(simulator, options_, [&simulator](const Trial& trial, Phase phase) {
      simulator.context().found(to_plan(trial, fmt::format("adaptis: tuned {}", to_string(phase))));
    });
    return result_of(tuner.tune(*std::move(start)), "adaptis: tuned");
  }

  [[nodiscard]] static JobResult result_of(const std::optional<Trial>& best,
                                           std::string_view origin) {
    JobResult result;
    if (best) {
      result.plans.push_back(to_plan(*best, std::string(origin)));
      result.state = to_text(mark_of(*best));
    }
    return result;
  }

  const Problem& problem_;
  Objective objective_;
  std::uint64_t seed_;
  Options options_;
  std::vector<Rule> rules_;
  std::vector<Shape> first_;
  std::vector<Shape> candidates_;
  std::optional<Mark> best_;
  int round_ = kFirst;
};

// The plan of a baseline, in one job.
class BaselineMethod final : public Method {
 public:
  explicit BaselineMethod(Plan plan) : plan_(std::move(plan)) {}

  [[nodiscard]] std::string_view name() const override { return "adaptis"; }
  [[nodiscard]] std::size_t jobs() const override { return done_ ? 0 : 1; }
  [[nodiscard]] JobResult run(std::size_t /*job*/, JobContext& context) const override {
    context.count(1);
    context.found(plan_);
    JobResult result;
    result.plans.push_back(plan_);
    return result;
  }
  void end_round(std::span<const JobResult> /*results*/) override { done_ = true; }
  [[nodiscard]] std::string save() const override {
    return fmt::format("adaptis-baseline 1 {}", done_ ? 1 : 0);
  }
  [[nodiscard]] Diagnostics restore(std::string_view state) override {
    if (state != "adaptis-baseline 1 0" && state != "adaptis-baseline 1 1") {
      return {bad_input("the text is not a state of a baseline of method adaptis")};
    }
    done_ = state.back() == '1';
    return {};
  }

 private:
  Plan plan_;
  bool done_ = false;
};

Result<std::unique_ptr<Method>> make(const Problem& problem, const MethodOptions& given) {
  Result<Options> options = read_options(given.options);
  if (!options) {
    return options.failures();
  }
  if (!options->baseline.empty()) {
    Result<Plan> plan = baseline_plan(problem, *options, options->baseline);
    if (!plan) {
      return plan.failures();
    }
    return std::unique_ptr<Method>(std::make_unique<BaselineMethod>(std::move(plan).value()));
  }
  return std::unique_ptr<Method>(
      std::make_unique<AdaptisMethod>(problem, given, std::move(options).value()));
}

}  // namespace
}  // namespace adaptis

MethodInfo adaptis_method() {
  return {
      .name = "adaptis",
      .summary = "partition and placement by load, greedy order, tuned where the bubbles are",
      .source = "Guo et al., AdaPtis (OctoPipe), 2509.23722, and the authors' code",
      .options = adaptis::option_specs(),
      .make = adaptis::make,
  };
}

}  // namespace stagecraft::search
