// How a run is written to a checkpoint, taken from one, and told to the caller.
#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/core.h>

#include "search/driver/run.hpp"
#include "stagecraft/core/check.hpp"
#include "stagecraft/core/file.hpp"

namespace stagecraft::search {

Diagnostics Run::resume(const Checkpoint& checkpoint) {
  if (checkpoint.identity != identity_ || checkpoint.sites.size() != sites_.size()) {
    Diagnostic failure = bad_input(
        "the checkpoint is of another search: scenario, method, options, objective, seed "
        "and shard must be the same",
        "repeat the command line that wrote it, or leave out --resume");
    failure.place.file = options_.resume;
    return {failure};
  }
  for (std::size_t i = 0; i < sites_.size(); ++i) {
    const SiteState& from = checkpoint.sites[i];
    Site& site = sites_[i];
    if (Diagnostics failures = site.method->restore(from.method); !failures.empty()) {
      return failures;
    }
    site.state = from.method;
    site.exhausted = from.exhausted;
    site.pruned = from.pruned;
    if (from.bound > site.bound.value) {
      site.bound = {from.bound, from.bound_reason};
    }
  }
  round_ = checkpoint.round;
  evaluations_ = checkpoint.evaluations;
  live_evaluations_ = checkpoint.evaluations;
  seconds_before_ = checkpoint.seconds;
  for (const ScoredPlan& plan : checkpoint.front) {
    incumbents_.offer(plan, checkpoint.best_where);
    incumbents_.settle_front({&plan});
  }
  for (const ScoredPlan& plan : checkpoint.best) {
    incumbents_.offer(plan, checkpoint.best_where);
  }
  start_ = checkpoint.start;
  progress_ = checkpoint.progress;
  return {};
}

void Run::write_checkpoint(bool at_once) {
  if (options_.checkpoint.empty() || transport_.rank() != 0 ||
      (!at_once && seconds() < next_checkpoint_)) {
    return;
  }
  const std::scoped_lock lock(mutex_);
  if (!at_once && seconds() < next_checkpoint_) {
    return;
  }
  Checkpoint checkpoint;
  checkpoint.identity = identity_;
  // The round that is under way counts for nothing yet: it is run again.
  const bool between = at_once && !cut_short_;
  checkpoint.round = between || round_ == 0 ? round_ : round_ - 1;
  checkpoint.evaluations = evaluations_;
  checkpoint.seconds = seconds();
  for (const Site& site : sites_) {
    checkpoint.sites.push_back(
        {site.point, site.state, site.bound.value, site.bound.reason, site.exhausted, site.pruned});
  }
  if (incumbents_.any()) {
    checkpoint.best = {incumbents_.best()};
    checkpoint.best_where = incumbents_.best_where();
  }
  checkpoint.start = start_;
  checkpoint.front = incumbents_.settled();
  checkpoint.progress = progress_;
  // A disk that is full now may not be in a minute; the search itself is worth more.
  static_cast<void>(write_file(options_.checkpoint, to_json(checkpoint)));
  next_checkpoint_ = seconds() + options_.checkpoint_seconds;
}

Diagnostics Run::why_nothing() const {
  if (sites_.empty()) {
    return refused_.empty() ? Diagnostics{infeasible("no point of the space belongs to this shard")}
                            : refused_;
  }
  Diagnostics reasons;
  for (const Site& site : sites_) {
    if (std::optional<Diagnostic> reason = infeasible_because(site.problem); reason) {
      reasons.push_back(std::move(*reason));
    }
  }
  if (!reasons.empty()) {
    return reasons;
  }
  std::string message = "no plan that respects all limits was found";
  if (incumbents_.any()) {
    message += fmt::format("; the nearest one ({}): {}", incumbents_.best().plan.origin,
                           incumbents_.best().figures.why_not);
  }
  return {infeasible(std::move(message), "search longer, or raise memory.capacity")};
}

SearchResult Run::result() {
  if (!incumbents_.found() && !start_.empty()) {
    incumbents_.offer(start_.front(), {});
    incumbents_.settle_front({&start_.front()});
    bound_ = bound_of_space();
  }
  SearchResult result;
  result.method = method_->name;
  result.objective = objective_;
  result.seed = options_.method_options.seed;
  result.shard = options_.shard;
  result.shards = options_.shards;
  result.found = incumbents_.found();
  if (incumbents_.any()) {
    result.best = incumbents_.best();
  }
  result.start_found = !start_.empty();
  if (result.start_found) {
    result.start = start_.front();
  }
  result.lower_bound = bound_;
  result.bound_reason = reason_;
  if (result.found) {
    const std::int64_t value = result.best.figures.value(objective_);
    STAGECRAFT_CHECK(bound_ <= value, "the lower bound lies above a plan");
    result.proved = bound_ == value;
    result.gap = bound_ > 0 ? static_cast<double>(value) / static_cast<double>(bound_) - 1.0 : 0.0;
  } else {
    result.problems = why_nothing();
  }
  result.front = incumbents_.front();
  result.progress = progress_;
  result.evaluations = std::max<std::uint64_t>(evaluations_, live_evaluations_);
  result.seconds = seconds();
  result.interrupted = interrupted_;
  result.exhausted = std::all_of(sites_.begin(), sites_.end(),
                                 [](const Site& site) { return site.exhausted || site.pruned; });
  return result;
}

}  // namespace stagecraft::search
