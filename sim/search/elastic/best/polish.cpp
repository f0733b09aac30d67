#include "search/elastic/best/polish.hpp"

#include <utility>

#include "search/elastic/best/spare_memory.hpp"
#include "stagecraft/search/order_search.hpp"

namespace stagecraft::elastic {
namespace {

constexpr int kRounds = 3;

class Unhurried final : public search::JobContext {
 public:
  [[nodiscard]] bool stopped() const override { return false; }
  void found(const search::Plan& /*plan*/) override {}
  void count(std::uint64_t /*evaluations*/) override {}
};

}  // namespace

void polish(const StrategyInput& input, std::int64_t evaluations, Candidate& candidate) {
  ListTimer timer;
  candidate.time = timer.run(candidate.table, candidate.lists, candidate.layers);
  Unhurried context;
  // Between the rounds, memory that the new order spares takes recomputation back.
  for (int round = 0; round < kRounds; ++round) {
    auto pipeline = costed_pipeline(input.profile, input.layout, candidate.formation,
                                    Checkpointing{.layers = candidate.layers}, candidate.rule);
    if (!pipeline) {
      return;
    }
    search::Instance instance;
    instance.pipeline = std::move(pipeline->pipeline);
    instance.costs = std::move(pipeline->costs);
    instance.partition.assign(static_cast<std::size_t>(candidate.table.stages), 1);
    search::OrderSearchOptions options;
    options.objective = search::Objective::kMakespan;
    options.seed = static_cast<std::uint64_t>(round) + 1;
    options.evaluations = static_cast<std::uint64_t>(evaluations / kRounds);
    const Schedule start = schedule_of("best", instance.pipeline, candidate.table, candidate.lists);
    const search::OrderSearchResult found =
        search::improve_order(instance, start, options, context);
    if (!found.figures.feasible) {
      return;
    }
    Candidate next = candidate;
    next.lists = lists_of(next.table, found.schedule);
    use_spare_memory(next.table, next.lists, next.layers);
    next.time = timer.run(next.table, next.lists, next.layers);
    if (next.time < candidate.time) {
      candidate = std::move(next);
    }
  }
}

}  // namespace stagecraft::elastic
