#include "local_search.hpp"

#include <algorithm>
#include <numeric>
#include <set>
#include <utility>

#include "placement.hpp"
#include "tuner.hpp"

namespace stagecraft::search::adaptis {
namespace {

constexpr std::size_t kMostNeighbours = 512;
constexpr std::size_t kLeastNeighbours = 16;
constexpr std::size_t kSimulated = 8;  // of a round's neighbours in full; the authors take 3 to 15
constexpr int kFruitlessKicks = 5;
constexpr Load kSlackPercent = 7;
constexpr std::int64_t kRoundsInBudget = 4;  // so many rounds the budget should last
constexpr int kSwapsOfRestart = 2;           // random swaps per stage that make a restart
constexpr int kTriesOfKick = 20;

class PlacementSearch {
 public:
  PlacementSearch(const Simulator& simulator, const Options& options, const Shape& start,
                  std::uint64_t seed)
      : simulator_(simulator),
        freedom_(freedom_of(simulator.problem())),
        layers_(simulator.problem()),
        loads_(layers_.of_stages(start.partition)),
        partition_(start.partition),
        full_(rules_of(simulator.problem(), options)),
        quick_(full_),
        random_(seed),
        ops_left_(std::int64_t{options.local_ops} * 1'000'000) {
    const Proxy proxy = PlacementLoads(layers_, loads_, start.device_of_stage).proxy();
    const Load mean = layers_.total() / layers_.devices();
    largest_ = std::max(proxy.largest, mean + mean * kSlackPercent / 100);
    neighbours_ = proxy.neighbours;
    for (Rule& rule : quick_) {
      if (rule.schedule == "greedy") {
        rule.options["exempt_trials"] = "0";
      }
    }
    ops_ = 3 * std::int64_t{simulator.problem().microbatches} *
           static_cast<std::int64_t>(start.stages());
    a_round_ = static_cast<std::size_t>(std::clamp<std::int64_t>(
        ops_left_ / kRoundsInBudget / ops_, kLeastNeighbours, kMostNeighbours));
  }

  std::optional<Trial> run(std::vector<std::int32_t> placement, bool restart,
                           const std::function<void(const Trial&)>& improved) {
    if (restart) {
      shake(placement, kSwapsOfRestart * static_cast<int>(placement.size()));
    }
    std::optional<Trial> here = simulate(placement, full_);
    std::optional<Trial> best = here;
    for (int fruitless = 0; fruitless < kFruitlessKicks && here && !over();) {
      if (std::optional<Trial> next = best_neighbour(*here);
          next && simulator_.better(*next, *here)) {
        here = std::move(next);
        continue;
      }
      if (simulator_.better(*here, *best)) {
        best = here;
        improved(*best);
        fruitless = 0;
      } else {
        ++fruitless;
      }
      placement = best->shape.device_of_stage;
      shake(placement, static_cast<int>(random_.uniform(3, 5)));
      here = simulate(placement, full_);
    }
    if (here && best && simulator_.better(*here, *best)) {
      best = std::move(here);
      improved(*best);
    }
    return best;
  }

 private:
  [[nodiscard]] bool over() const { return ops_left_ <= 0 || simulator_.context().stopped(); }

  std::optional<Trial> simulate(const std::vector<std::int32_t>& placement,
                                const std::vector<Rule>& rules) {
    ops_left_ -= ops_;
    return run_rules(simulator_, {partition_, placement}, rules);
  }

  [[nodiscard]] bool allowed(const Proxy& proxy) const {
    return proxy.largest <= largest_ && proxy.neighbours <= neighbours_;
  }

  std::optional<Trial> best_neighbour(const Trial& here) {
    std::vector<std::pair<Figures, std::vector<std::int32_t>>> estimated;
    // Some of them are not allowed or have been seen.
    for (RankedPlacement& ranked : neighbour_placements(layers_, loads_, here.shape.device_of_stage,
                                                        freedom_.most_chunks, 4 * a_round_)) {
      if (over() || estimated.size() == a_round_) {
        break;
      }
      if (!allowed(ranked.proxy) || !seen_.insert(ranked.device_of_stage).second) {
        continue;
      }
      if (const std::optional<Trial> trial = simulate(ranked.device_of_stage, quick_)) {
        estimated.emplace_back(trial->figures, std::move(ranked.device_of_stage));
      }
    }
    std::ranges::stable_sort(estimated, [this](const auto& a, const auto& b) {
      return search::better(a.first, b.first, simulator_.objective());
    });
    std::optional<Trial> best;
    for (std::size_t k = 0; k < std::min(kSimulated, estimated.size()) && !over(); ++k) {
      std::optional<Trial> trial = simulate(estimated[k].second, full_);
      if (trial && (!best || simulator_.better(*trial, *best))) {
        best = std::move(trial);
      }
    }
    return best;
  }

  // Random swaps that keep to the limits.
  void shake(std::vector<std::int32_t>& placement, int swaps) {
    PlacementLoads loads(layers_, loads_, placement);
    const auto last = static_cast<std::int64_t>(placement.size()) - 1;
    for (int tries = kTriesOfKick * swaps; swaps > 0 && tries > 0; --tries) {
      const auto a = static_cast<std::size_t>(random_.uniform(0, last));
      const auto b = static_cast<std::size_t>(random_.uniform(0, last));
      const std::int32_t first = loads.placement()[a];
      const std::int32_t second = loads.placement()[b];
      if (first == second) {
        continue;
      }
      loads.move(a, second);
      loads.move(b, first);
      if (allowed(loads.proxy())) {
        --swaps;
      } else {
        loads.move(a, first);
        loads.move(b, second);
      }
    }
    placement = loads.placement();
  }

  const Simulator& simulator_;
  Freedom freedom_;
  LayerLoads layers_;
  std::vector<Load> loads_;
  std::vector<std::int32_t> partition_;
  std::vector<Rule> full_;
  std::vector<Rule> quick_;
  Random random_;
  std::int64_t ops_left_;
  std::int64_t ops_ = 1;
  std::size_t a_round_ = kLeastNeighbours;
  Load largest_ = 0;
  std::int32_t neighbours_ = 0;
  std::set<std::vector<std::int32_t>> seen_;
};

}  // namespace

bool local_search_applies(const Problem& problem, const Options& options) {
  return options.local_ops > 0 && problem.devices > 1 && freedom_of(problem).placement;
}

std::optional<Trial> search_placements(const Simulator& simulator, const Options& options,
                                       const Shape& start, std::size_t restart, std::uint64_t seed,
                                       const std::function<void(const Trial&)>& improved) {
  PlacementSearch search(simulator, options, start, seed + restart);
  return search.run(start.device_of_stage, restart > 0, improved);
}

}  // namespace stagecraft::search::adaptis
