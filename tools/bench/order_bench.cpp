// Order search: what its inner loop reaches, on zb-h1 with memory at its own peak as the limit.
//
//   order_moves      single-op moves of at most `reach` places, each checked (list order, memory),
//                    evaluated exactly and taken back; moves/s counts those that can run
//   order_decisions  the same, but only whether the makespan stays as it is or falls, which is
//   known
//                    as soon as a longer path is met
//   order_estimates  the same moves judged by heads and tails alone: an estimate, exact for swaps
//   order_search     the search itself: proposals/s are moves judged, by estimate where that
//                    rules them out and exactly otherwise; exact/s those whose times were computed;
//                    kept/s those it went on from
//   order_replays    full replays of the same order, for comparison
//   order_setup      from a schedule to a state that can be searched
#include <algorithm>
#include <vector>

#include <benchmark/benchmark.h>

#include "search/order/moves.hpp"
#include "search/order/order_model.hpp"
#include "search/order/order_state.hpp"
#include "stagecraft/core/random.hpp"
#include "stagecraft/engine/replay.hpp"
#include "stagecraft/generators/generator.hpp"
#include "stagecraft/search/plan.hpp"

namespace {

using namespace stagecraft;
using search::Moves;
using search::Objective;
using search::OrderModel;
using search::OrderState;

struct Case {
  std::int32_t devices;
  std::int32_t microbatches;
};

struct Built {
  search::Instance instance;
  Schedule schedule;
};

Built build(const Case& which) {
  Built built;
  built.instance.pipeline =
      make_pipeline(which.devices, 1, which.microbatches, PlacementKind::kLoop).value();
  CostTable& costs = built.instance.costs;
  costs = uniform_costs(built.instance.pipeline, 1000, 1100, 900, 100);
  built.schedule = generate("zb-h1", {built.instance.pipeline, costs, {}}).value();
  costs.memory.capacity.assign(static_cast<std::size_t>(which.devices),
                               search::measure(built.schedule, costs).peak_memory);
  return built;
}

OrderModel model_of(const Built& built) {
  return make_order_model(built.instance, built.schedule, Objective::kMakespan, false).value();
}

// A stretch of a list as it is after one op has moved.
struct Stretch {
  std::size_t device = 0, first = 0;
  std::vector<OpIndex> tasks;
};

std::vector<Stretch> possible_moves(OrderState& state, std::int64_t reach) {
  const OrderModel& model = state.model();
  Random random(7);
  std::vector<Stretch> moves;
  while (moves.size() < 4096) {
    const auto task =
        static_cast<OpIndex>(random.uniform(0, static_cast<std::int64_t>(model.size()) - 1));
    const auto list = state.list(model.device[task]);
    const auto from = static_cast<std::int64_t>(state.position(task));
    const std::int64_t to = std::clamp<std::int64_t>(from + random.uniform(-reach, reach), 0,
                                                     static_cast<std::int64_t>(list.size()) - 1);
    const auto low = static_cast<std::size_t>(std::min(from, to));
    const auto high = static_cast<std::size_t>(std::max(from, to));
    Stretch move{model.device[task], low, {}};
    move.tasks.assign(list.begin() + static_cast<std::ptrdiff_t>(low),
                      list.begin() + static_cast<std::ptrdiff_t>(high) + 1);
    const auto begin = move.tasks.begin();
    std::rotate(begin, to < from ? move.tasks.end() - 1 : begin + 1, move.tasks.end());
    if (to != from && state.first_misfit(move.device, low, move.tasks) < 0 &&
        state.replace(move.device, low, move.tasks) && state.judge(kNever)) {
      moves.push_back(std::move(move));
    }
    state.rollback();
  }
  return moves;
}

void rate(benchmark::State& state, const char* name, double each) {
  state.counters[name] = benchmark::Counter(each, benchmark::Counter::kIsIterationInvariantRate);
}

void judge_moves(benchmark::State& state, const Case& which, bool any_value) {
  const Built built = build(which);
  const OrderModel model = model_of(built);
  OrderState order(model);
  const std::vector<Stretch> moves = possible_moves(order, state.range(0));
  const Time limit = any_value ? kNever : order.value();
  std::size_t next = 0;
  for (auto _ : state) {
    const Stretch& move = moves[next++ % moves.size()];
    benchmark::DoNotOptimize(order.replace(move.device, move.first, move.tasks));
    benchmark::DoNotOptimize(order.judge(limit));
    order.rollback();
  }
  rate(state, "moves/s", 1);
}

void order_moves(benchmark::State& state, const Case& which) {
  judge_moves(state, which, true);
}

void order_decisions(benchmark::State& state, const Case& which) {
  judge_moves(state, which, false);
}

void order_estimates(benchmark::State& state, const Case& which) {
  const Built built = build(which);
  const OrderModel model = model_of(built);
  OrderState order(model);
  const std::vector<Stretch> moves = possible_moves(order, state.range(0));
  std::size_t next = 0;
  for (auto _ : state) {
    const Stretch& move = moves[next++ % moves.size()];
    benchmark::DoNotOptimize(order.first_misfit(move.device, move.first, move.tasks));
    benchmark::DoNotOptimize(order.estimate(move.device, move.first, move.tasks));
  }
  rate(state, "estimates/s", 1);
}

void order_search(benchmark::State& state, const Case& which) {
  const Built built = build(which);
  const OrderModel model = model_of(built);
  OrderState order(model);
  Random random(7);
  Moves moves(order, random);
  double kept = 0;
  for (auto _ : state) {
    if (moves.attempt(order.value() + (random.chance(1, 16) ? model.typical / 6 : 0))) {
      order.commit();
      kept += 1;
    }
  }
  rate(state, "proposals/s", 1);
  state.counters["exact/s"] =
      benchmark::Counter(static_cast<double>(moves.judged()), benchmark::Counter::kIsRate);
  state.counters["kept/s"] = benchmark::Counter(kept, benchmark::Counter::kIsRate);
}

void order_replays(benchmark::State& state, const Case& which) {
  const Built built = build(which);
  Replayer replayer(build_task_graph(built.schedule, built.instance.costs).value());
  for (auto _ : state) {
    replayer.run();
    benchmark::DoNotOptimize(replayer.makespan());
  }
  rate(state, "replays/s", 1);
}

void order_setup(benchmark::State& state, const Case& which) {
  const Built built = build(which);
  for (auto _ : state) {
    const OrderModel model = model_of(built);
    const OrderState order(model);
    benchmark::DoNotOptimize(order.value());
  }
  rate(state, "setups/s", 1);
}

BENCHMARK_CAPTURE(order_moves, zb_h1, Case{8, 32})->Arg(1)->Arg(8)->Arg(32);
BENCHMARK_CAPTURE(order_decisions, zb_h1, Case{8, 32})->Arg(1)->Arg(8)->Arg(32);
BENCHMARK_CAPTURE(order_estimates, zb_h1, Case{8, 32})->Arg(1)->Arg(8);
BENCHMARK_CAPTURE(order_search, zb_h1, Case{8, 32});
BENCHMARK_CAPTURE(order_search, large_zb_h1, Case{32, 128});
BENCHMARK_CAPTURE(order_replays, zb_h1, Case{8, 32});
BENCHMARK_CAPTURE(order_setup, zb_h1, Case{8, 32});

}  // namespace
