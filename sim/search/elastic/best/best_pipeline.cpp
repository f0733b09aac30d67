#include "search/elastic/best/best_pipeline.hpp"

#include <algorithm>
#include <array>
#include <deque>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "search/elastic/all.hpp"
#include "search/elastic/best/budget.hpp"
#include "search/elastic/best/layouts.hpp"
#include "search/elastic/best/local_search.hpp"
#include "search/elastic/best/polish.hpp"
#include "search/elastic/best/prospects.hpp"
#include "search/elastic/best/spare_memory.hpp"
#include "stagecraft/core/check.hpp"

namespace stagecraft::elastic {
namespace {

constexpr std::int64_t kPlainOps = 80;   // of plain decisions, per evaluation of the default search
constexpr std::int64_t kCloseOps = 250;  // by which the default shrinks for large batches
constexpr std::int64_t kPolishShare = 8;       // of evaluations: order search is so much faster
constexpr std::int64_t kFewestPolished = 300;  // evaluations; fewer are not worth its start
constexpr std::size_t kPolished = 3;           // candidates
constexpr std::size_t kStarts = 8;             // of local search
constexpr std::size_t kRounds = 3;             // of it, each with half the starts of the last
constexpr Time kExceeded = 100;  // no plan is better than its promise by one part in so many
constexpr std::int64_t kFewestTries = 50;  // of local search
constexpr std::int64_t kLargest = 8;  // part of the plain decisions that one evaluation may cost
constexpr std::size_t kScreened = 3;  // prospects of a layout, while none fits
constexpr std::size_t kSeen = 4;      // prospects of a layout before one is chosen
constexpr Time kClearly = 50;         // better by one part in so many
constexpr std::size_t kCloseLayouts = 2;    // that are looked at so closely, besides the given one
constexpr Time kScreenSlack = 12;           // a layout is left out if its first plan is 1/12 slower
constexpr std::int64_t kPricePerTable = 2;  // what making a shape costs, in evaluations of it

using Info = const StrategyInfo& (*)();
constexpr std::array<Info, 7> kOthers = {elastic_info,  one_f_one_b_info, seq1f1b_info,
                                         slimpipe_info, terapipe_info,    dynapipe_info,
                                         chunkflow_info};

const GeneratorOptions& no_options() {
  static const GeneratorOptions none;
  return none;
}

// A layout, and what is known about it.
struct LayoutSite {
  LayoutSite(const StrategyInput& whole, const SequenceLayout& layout)
      : input{whole.batch, whole.profile, layout, whole.context, no_options()},
        capacity(most_tokens_of_slice(whole.profile, layout)) {}
  LayoutSite(const LayoutSite&) = delete;
  LayoutSite& operator=(const LayoutSite&) = delete;

  StrategyInput input;
  Sweep sweep{input};
  data::Tokens capacity;                 // of a slice
  std::vector<ShapeProspect> prospects;  // best first
  std::size_t next = 0;                  // of them
  Time best = kNever;                    // of plain decisions
};

struct SitedShape {
  LayoutSite* site = nullptr;
  Shape shape;
};

struct SitedCandidate {
  LayoutSite* site = nullptr;
  Candidate candidate;
};

struct Start {
  std::size_t shape = 0;
  Decision decision;
};

// A finished plan of another strategy, to be improved.
Candidate candidate_of(IterationPlan plan, CostRule rule, const StrategyInput& input) {
  STAGECRAFT_CHECK(plan.pipelined, "strategies of pipelines make pipelines");
  Candidate candidate;
  candidate.formation = std::move(plan.formation);
  candidate.rule = rule;
  candidate.table = unit_table(input.profile, input.layout, candidate.formation, rule).value();
  candidate.layers = std::move(plan.pipelined->checkpointing.layers);
  if (candidate.layers.empty()) {
    candidate.layers.assign(candidate.table.forward.size(), 0);
  }
  candidate.order = std::move(plan.pipelined->groups.order);
  candidate.groups = std::move(plan.pipelined->groups.sizes);
  candidate.lists = lists_of(candidate.table, plan.pipelined->schedule);
  candidate.note = fmt::format("{}: {}", plan.strategy, plan.note);
  return candidate;
}

std::string layout_text(const SequenceLayout& layout) {
  return fmt::format("{} stages x {} GPUs", layout.pipeline, layout.group());
}

class PipelineSearch {
 public:
  PipelineSearch(const StrategyInput& input, const BestPipelineChoice& choice)
      : choice_(choice),
        budget_(kPlainOps * std::max(choice.evaluations, kBestEvaluations),
                choice.evaluations_given ? std::numeric_limits<std::int64_t>::max()
                                         : kCloseOps * choice.evaluations) {
    std::vector<SequenceLayout> layouts = {input.layout};
    if (choice.any_layout) {
      layouts = layouts_of(input.profile, input.layout);
    }
    for (const SequenceLayout& layout : layouts) {
      sites_.emplace_back(input, layout);
    }
  }

  Result<IterationPlan> run() {
    take_others(sites_.front());
    std::vector<LayoutSite*> sites;
    for (LayoutSite& site : sites_) {
      if (site.capacity > 0) {
        site.prospects = prospects_on(site.input, site.capacity);
        if (&site != &sites_.front()) {
          // Many stages and many units take more than they may cost, and memory besides.
          std::erase_if(site.prospects, [&](const ShapeProspect& prospect) {
            return 2 * prospect.units * site.input.layout.pipeline > budget_.plain() / kLargest;
          });
        }
        if (!site.prospects.empty()) {
          sites.push_back(&site);
        }
      }
    }
    screen(sites);
    first_decisions(choose(sites));
    improve_starts();
    return polished();
  }

 private:
  // What the other pipelined strategies plan on the given layout; their formations are shapes too.
  void take_others(LayoutSite& site) {
    for (const Info info : kOthers) {
      Result<IterationPlan> plan = info().plan(site.input);
      if (!plan) {
        site.sweep.reject(plan.failures());
        continue;
      }
      const CostRule rule = info == slimpipe_info ? CostRule::kLevelled : CostRule::kPlain;
      Candidate candidate = candidate_of(std::move(plan).value(), rule, site.input);
      Shape shape = make_shape(candidate.formation, rule, candidate.table, candidate.note);
      shape.layers = candidate.layers;
      others_.push_back({&site, std::move(shape)});
      use_spare_memory(candidate.table, candidate.lists, candidate.layers);
      candidate.time = site.sweep.timer().run(candidate.table, candidate.lists, candidate.layers);
      site.best = std::min(site.best, candidate.time);
      keep({&site, std::move(candidate)});
    }
  }

  // A plain decision on one prospect of every layout, so that layouts that promise what memory or
  // uneven units do not let them keep are left out.
  void screen(std::vector<LayoutSite*>& sites) {
    std::ranges::stable_sort(
        sites, {}, [](const LayoutSite* site) { return site->prospects.front().promise; });
    for (LayoutSite* site : sites) {
      while (site->next < kScreened && site->next < site->prospects.size() &&
             site->best == kNever) {
        decide_next(*site);
      }
    }
    std::ranges::stable_sort(sites, {}, &LayoutSite::best);
    const LayoutSite* given = &sites_.front();
    std::size_t kept = 0;
    std::erase_if(sites, [&](const LayoutSite* site) {
      return site != given && (!within(site->best, kScreenSlack) || kept++ >= kCloseLayouts);
    });
  }

  // The layout that is worth the rest: the best after a few plain decisions on each, another one
  // than the given only if it is clearly better.
  LayoutSite& choose(const std::vector<LayoutSite*>& sites) {
    LayoutSite& given = sites_.front();
    for (SitedShape& other : others_) {
      decide(given, std::move(other.shape));
    }
    LayoutSite* chosen = &given;
    for (LayoutSite* site : sites) {
      while (site->next < kSeen && site->next < site->prospects.size()) {
        decide_next(*site);
      }
      const Time hurdle = chosen == &given && given.best != kNever ? given.best / kClearly : 0;
      if (site->best < chosen->best - hurdle) {
        chosen = site;
      }
    }
    return *chosen;
  }

  // Plain decisions on every shape that could still win, the most promising first.
  void first_decisions(LayoutSite& site) {
    while (budget_.plain_left() && site.next < site.prospects.size()) {
      decide_next(site);
    }
    std::erase_if(starts_, [&](const Start& start) { return shapes_[start.shape].site != &site; });
    std::ranges::stable_sort(starts_, {}, [](const Start& start) { return start.decision.time; });
    // Thresholds that change nothing make the same shape.
    starts_.erase(std::unique(starts_.begin(), starts_.end(),
                              [](const Start& a, const Start& b) {
                                return a.decision.time == b.decision.time;
                              }),
                  starts_.end());
  }

  // Whether a time is slower than the best by less than one part in `slack`.
  [[nodiscard]] bool within(Time time, Time slack) const {
    const Time best = best_time();
    return best == kNever || time - best < best / slack;
  }

  void decide_next(LayoutSite& site) {
    const ShapeProspect& prospect = site.prospects[site.next++];
    if (hopeless(prospect) || !budget_.plain_left()) {
      return;
    }
    auto shape = make_shape(site.sweep, prospect, site.capacity);
    if (shape) {
      decide(site, *std::move(shape));
    }
  }

  // What it promises is seldom kept, and hardly ever exceeded by as much.
  [[nodiscard]] bool hopeless(const ShapeProspect& prospect) const {
    const Time best = best_time();
    return best != kNever &&
           (prospect.least >= best || prospect.promise - best >= best / kExceeded);
  }

  void decide(LayoutSite& site, Shape shape) {
    const auto spend = [&](std::int64_t evaluations) {
      budget_.spend_plainly(evaluations * ops_of(shape.table));
    };
    spend(kPricePerTable);
    if (shape.bound >= best_time() || !budget_.plain_left()) {
      return;
    }
    const std::int32_t before = judge_.judged();
    Decision decision = first_decision(shape, judge_,
                                       static_cast<std::int32_t>(std::min<std::int64_t>(
                                           kAllDecisions, budget_.plain() / ops_of(shape.table))));
    spend(judge_.judged() - before);
    const Time time = decision.time;
    site.best = std::min(site.best, time);
    if (time != kNever) {
      if (time < best_time()) {
        keep({&site, make_candidate(shape, decision, judge_)});
      }
      starts_.push_back({shapes_.size(), std::move(decision)});
      shapes_.push_back({&site, std::move(shape)});
    }
  }

  void improve_starts() {
    if (starts_.empty()) {
      return;
    }
    // Halved again and again: what is left is looked at more closely.
    starts_.resize(std::min(starts_.size(), kStarts));
    for (std::size_t round = 0; round < kRounds; ++round) {
      const auto share = static_cast<std::int64_t>(2 * kRounds * starts_.size());
      for (std::size_t i = 0; i < starts_.size(); ++i) {
        const Shape& shape = shapes_[starts_[i].shape].shape;
        Decision& decision = starts_[i].decision;
        const std::int64_t allowed = budget_.allow(shape.table, choice_.evaluations, share);
        if (shape.bound < best_time() && !close_to(shape.bound, decision.time) &&
            allowed >= kFewestTries) {
          decision = improve(shape, std::move(decision), allowed, kStarts * round + i + 1, judge_);
        }
      }
      std::ranges::stable_sort(starts_, {}, [](const Start& start) { return start.decision.time; });
      if (round + 1 < kRounds) {
        starts_.resize((starts_.size() + 1) / 2);
      }
    }
    for (const auto& [index, decision] : starts_) {
      const auto& [site, shape] = shapes_[index];
      keep({site, make_candidate(shape, decision, judge_)});
    }
  }

  Result<IterationPlan> polished() {
    const auto share = 2 * static_cast<std::int64_t>(kPolished);
    const SitedCandidate* best = nullptr;
    std::int32_t compared = judge_.judged();
    for (SitedCandidate& one : pool_) {
      Candidate& candidate = one.candidate;
      const std::int64_t evaluations =
          kPolishShare * budget_.allow(candidate.table, choice_.evaluations, share);
      if (evaluations >= kFewestPolished) {
        polish(one.site->input, evaluations, candidate);
      }
      ++compared;
      if (best == nullptr || candidate.time < best->candidate.time) {
        best = &one;
      }
    }
    if (best == nullptr) {
      return sites_.front().sweep.why_none();
    }
    auto plan = make_plan("best", best->site->input, best->candidate);
    if (plan) {
      plan->candidates = compared;
      if (sites_.size() > 1) {
        plan->note = fmt::format("{}, {}", layout_text(plan->layout), plan->note);
      }
    }
    return plan;
  }

  // The few best, best first.
  void keep(SitedCandidate candidate) {
    const auto place =
        std::ranges::upper_bound(pool_, candidate.candidate.time, {},
                                 [](const SitedCandidate& one) { return one.candidate.time; });
    pool_.insert(place, std::move(candidate));
    if (pool_.size() > kPolished) {
      pool_.pop_back();
    }
  }
  [[nodiscard]] Time best_time() const {
    return pool_.empty() ? kNever : pool_.front().candidate.time;
  }

  BestPipelineChoice choice_;
  Budget budget_;
  std::deque<LayoutSite> sites_;  // the given one first
  std::vector<SitedShape> others_;
  std::vector<SitedShape> shapes_;
  std::vector<Start> starts_;
  std::vector<SitedCandidate> pool_;
  Judge judge_;
};

}  // namespace

Result<IterationPlan> best_pipeline(const StrategyInput& input, const BestPipelineChoice& choice) {
  return PipelineSearch(input, choice).run();
}

}  // namespace stagecraft::elastic
