#include "search/driver/run.hpp"

#include <algorithm>
#include <utility>

#include <fmt/core.h>

#include "search/driver/job.hpp"
#include "stagecraft/core/check.hpp"
#include "stagecraft/core/file.hpp"
#include "stagecraft/core/parallel.hpp"

namespace stagecraft::search {
namespace {

// What is best of a job, and its front, so that one process learns what another found.
constexpr std::size_t kMostPlansOfJob = 32;

Diagnostics unknown_method(const std::string& name) {
  std::string known;
  for (const MethodInfo& info : methods()) {
    known += fmt::format("{}{}", known.empty() ? "" : ", ", info.name);
  }
  return {bad_input(fmt::format("unknown search method '{}', expected one of: {}", name, known))};
}

}  // namespace

Run::Run(const Space& space, const SearchOptions& options, Transport& transport)
    : space_(space),
      options_(options),
      transport_(transport),
      objective_(options.method_options.objective),
      method_(options.plug_in != nullptr ? options.plug_in : find_method(options.method)),
      begin_(std::chrono::steady_clock::now()),
      incumbents_(objective_) {}

double Run::seconds() const {
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin_;
  return seconds_before_ + passed.count();
}

bool Run::stopped() {
  if (interrupted_) {
    return true;
  }
  if (options_.interrupted && options_.interrupted()) {
    interrupted_ = true;
    return true;
  }
  if (!options_.checkpoint.empty() && seconds() >= next_checkpoint_) {
    write_checkpoint(false);
  }
  return options_.seconds > 0.0 && seconds() >= options_.seconds;
}

void Run::offer(const ScoredPlan& plan, const Milestone& where, std::size_t site) {
  const std::scoped_lock lock(mutex_);
  check_bound(plan, sites_[site]);
  if (incumbents_.offer(plan, where)) {
    note_progress(plan.plan.origin);
  }
}

// A bound that lies above a plan is wrong. It is dropped in plain sight: better no bound than a
// false proof, and better a plan than none.
void Run::check_bound(const ScoredPlan& plan, Site& site) {
  if (plan.figures.feasible && plan.figures.value(objective_) < site.bound.value) {
    site.bound = {0, fmt::format("dropped: '{}' was refuted by a plan", site.bound.reason)};
    bound_ = bound_of_space();
    reason_ = bound_reason();
  }
}

void Run::note_progress(const std::string& origin) {
  Improvement step;
  step.seconds = seconds();
  step.evaluations = live_evaluations_;
  step.value = incumbents_.found() ? incumbents_.best().figures.value(objective_) : 0;
  step.bound = bound_;
  step.origin = origin;
  progress_.push_back(step);
  if (options_.improved) {
    options_.improved(step);
  }
}

Diagnostics Run::begin() {
  if (method_ == nullptr) {
    return unknown_method(options_.method);
  }
  if (options_.shards < 1 || options_.shard < 0 || options_.shard >= options_.shards) {
    return {bad_input(fmt::format("shard {} of {} does not exist, expected 0 to {}", options_.shard,
                                  options_.shards, std::max(0, options_.shards - 1)))};
  }
  identity_ = identity_of(space_, options_);
  if (Diagnostics failures = make_sites(); !failures.empty()) {
    return failures;
  }
  if (!options_.resume.empty()) {
    const Result<std::string> text = read_file(options_.resume);
    if (!text) {
      return text.failures();
    }
    const Result<Checkpoint> checkpoint = checkpoint_from_json(*text, options_.resume);
    if (!checkpoint) {
      return checkpoint.failures();
    }
    if (Diagnostics failures = resume(*checkpoint); !failures.empty()) {
      return failures;
    }
  } else {
    score_start();
  }
  bound_ = bound_of_space();
  reason_ = bound_reason();
  next_checkpoint_ = seconds() + options_.checkpoint_seconds;
  return {};
}

Diagnostics Run::make_sites() {
  const std::vector<Point> points = all_points(space_);
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (static_cast<std::int64_t>(i) % options_.shards != options_.shard) {
      continue;
    }
    Result<Problem> problem = space_.problem(points[i]);
    if (!problem) {
      refused_.insert(refused_.end(), problem.failures().begin(), problem.failures().end());
      continue;
    }
    Site site;
    site.point = points[i];
    site.problem = std::move(problem).value();
    site.bound = lower_bound(site.problem, objective_).best;
    sites_.push_back(std::move(site));
  }
  // Methods keep references to their problems, so these stay where they are from here on.
  for (Site& site : sites_) {
    Result<std::unique_ptr<Method>> made = method_->make(site.problem, options_.method_options);
    if (!made) {
      return made.failures();
    }
    site.method = std::move(made).value();
    site.state = site.method->save();
  }
  return {};
}

void Run::score_start() {
  for (Site& site : sites_) {
    for (const std::string& name : site.problem.schedules) {
      const Result<Start> start = site.problem.start(name);
      if (!start) {
        continue;
      }
      const Instance& instance = start->instance;
      Result<Schedule> schedule =
          generate(name, {instance.pipeline, instance.costs, start->options});
      if (!schedule) {
        continue;
      }
      schedule->p2p = start->p2p;
      ScoredPlan plan;
      plan.plan = {site.point, instance.partition, std::move(schedule).value(), name};
      plan.figures = measure(plan.plan.schedule, instance.costs);
      check_bound(plan, site);
      start_.push_back(std::move(plan));
      return;
    }
  }
}

Diagnostics Run::rounds() {
  if (options_.resume.empty()) {
    prune();  // otherwise as the checkpoint says, whatever else was found since it
  }
  while (!finished()) {
    const std::vector<Task> tasks = tasks_of_round();
    if (tasks.empty()) {
      break;
    }
    ++round_;
    Result<std::vector<Outcome>> outcomes = run_round(tasks);
    if (!outcomes) {
      return outcomes.failures();
    }
    settle_round(tasks, std::move(outcomes).value());
    prune();
    write_checkpoint(cut_short_ || finished());
  }
  return {};
}

bool Run::finished() const {
  const bool closed = incumbents_.found() && !options_.method_options.pareto &&
                      bound_ == incumbents_.best().figures.value(objective_);
  const bool spent = options_.evaluations > 0 && evaluations_ >= options_.evaluations;
  return cut_short_ || interrupted_ || closed || spent ||
         (options_.seconds > 0.0 && seconds() >= options_.seconds && transport_.size() == 1);
}

std::vector<Run::Task> Run::tasks_of_round() {
  std::vector<Task> tasks;
  for (std::size_t i = 0; i < sites_.size(); ++i) {
    Site& site = sites_[i];
    if (site.pruned || site.exhausted) {
      continue;
    }
    const std::size_t jobs = site.method->jobs();
    site.exhausted = jobs == 0;
    for (std::size_t job = 0; job < jobs; ++job) {
      tasks.push_back({i, job});
    }
  }
  return tasks;
}

Outcome Run::run_task(const Task& task, std::uint64_t number) {
  Site& site = sites_[task.site];
  Job job(*this, task.site, site.point, site.problem, objective_, {round_, number, 0});
  Outcome outcome;
  outcome.result = site.method->run(task.job, job);
  for (const Plan& plan : outcome.result.plans) {
    job.found(plan);
  }
  outcome.result.plans.clear();
  outcome.plans = job.take(kMostPlansOfJob);
  outcome.evaluations = job.evaluations();
  outcome.cut_short = job.was_stopped();
  return outcome;
}

Result<std::vector<Outcome>> Run::run_round(const std::vector<Task>& tasks) {
  std::vector<std::size_t> mine;
  const auto ranks = static_cast<std::size_t>(transport_.size());
  for (std::size_t i = static_cast<std::size_t>(transport_.rank()); i < tasks.size(); i += ranks) {
    mine.push_back(i);
  }
  std::vector<Outcome> done(mine.size());
  for_each_index(mine.size(), options_.threads,
                 [&](std::size_t k) { done[k] = run_task(tasks[mine[k]], mine[k]); });
  if (ranks == 1) {
    return done;
  }
  // Time and signals differ between processes: whoever is told to stop tells the others.
  if (!done.empty() && stopped()) {
    done.back().cut_short = true;
  }
  // Every process goes on with the results of all, as if it had run them itself.
  std::vector<Outcome> all(tasks.size());
  const std::vector<std::string> texts = transport_.all_gather(to_json(done));
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    Result<std::vector<Outcome>> theirs = outcomes_from_json(texts[rank]);
    if (!theirs) {
      return theirs.failures();
    }
    for (std::size_t k = 0; k < theirs->size(); ++k) {
      const std::size_t index = rank + k * ranks;
      STAGECRAFT_CHECK(index < all.size(), "the processes of a search run different rounds");
      for (std::uint64_t n = 0; n < (*theirs)[k].plans.size(); ++n) {
        offer((*theirs)[k].plans[n], {round_, index, n + 1}, tasks[index].site);
      }
      all[index] = std::move((*theirs)[k]);
    }
  }
  return all;
}

void Run::settle_round(const std::vector<Task>& tasks, std::vector<Outcome> outcomes) {
  std::uint64_t evaluations = 0;
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    // A job that had nothing to evaluate is not free: a budget of candidates must end.
    evaluations += std::max<std::uint64_t>(outcomes[i].evaluations, 1);
    cut_short_ = cut_short_ || outcomes[i].cut_short;
    Site& site = sites_[tasks[i].site];
    const JobResult& result = outcomes[i].result;
    if (result.bound_holds_for_space && result.bound > site.bound.value) {
      site.bound = {result.bound, result.bound_reason};
    }
  }
  live_evaluations_ = evaluations_ + evaluations;
  if (!cut_short_) {
    evaluations_ += evaluations;
    std::vector<const ScoredPlan*> plans;
    for (const Outcome& outcome : outcomes) {
      for (const ScoredPlan& plan : outcome.plans) {
        plans.push_back(&plan);
      }
    }
    incumbents_.settle_front(plans);
    for (std::size_t i = 0; i < tasks.size();) {
      const std::size_t site = tasks[i].site;
      std::vector<JobResult> results;
      for (; i < tasks.size() && tasks[i].site == site; ++i) {
        for (const ScoredPlan& plan : outcomes[i].plans) {
          outcomes[i].result.plans.push_back(plan.plan);
        }
        results.push_back(std::move(outcomes[i].result));
      }
      sites_[site].method->end_round(results);
      sites_[site].state = sites_[site].method->save();
    }
  }
  const std::scoped_lock lock(mutex_);
  if (const std::int64_t bound = bound_of_space(); bound > bound_) {
    bound_ = bound;
    reason_ = bound_reason();
    note_progress(reason_);
  }
}

void Run::prune() {
  if (cut_short_ || options_.method_options.pareto || !incumbents_.found()) {
    return;
  }
  for (Site& site : sites_) {
    site.pruned = site.pruned || site.bound.value >= incumbents_.best().figures.value(objective_);
  }
}

std::int64_t Run::bound_of_space() const {
  std::int64_t bound = sites_.empty() ? 0 : sites_.front().bound.value;
  for (const Site& site : sites_) {
    bound = std::min(bound, site.bound.value);
  }
  // A point whose bound lies above the best plan holds no better one: the best plan bounds it.
  return incumbents_.found() ? std::min(bound, incumbents_.best().figures.value(objective_))
                             : bound;
}

std::string Run::bound_reason() const {
  const auto lowest =
      std::min_element(sites_.begin(), sites_.end(),
                       [](const Site& a, const Site& b) { return a.bound.value < b.bound.value; });
  return lowest == sites_.end() ? std::string{} : lowest->bound.reason;
}

}  // namespace stagecraft::search
