#include "search/order/order_state.hpp"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "search/order/annealing.hpp"
#include "search/order/moves.hpp"
#include "search/order/repair.hpp"
#include "stagecraft/engine/iteration.hpp"
#include "stagecraft/engine/task_graph.hpp"
#include "stagecraft/schedule/verify.hpp"
#include "stagecraft/search/plan.hpp"
#include "support/random_schedule.hpp"

namespace stagecraft::search {
namespace {

struct Case {
  Instance instance;
  Schedule schedule;
  Objective objective = Objective::kMakespan;
  bool recompute_open = false;
};

Case random_case(std::uint64_t seed) {
  Random random(seed);
  test::RandomShape shape;
  shape.offload = false;
  Case made;
  made.instance.pipeline = test::random_pipeline(random, shape);
  made.instance.costs = test::random_costs(random, made.instance.pipeline);
  made.schedule = test::random_schedule(random, made.instance.pipeline, shape);
  made.objective = static_cast<Objective>(random.uniform(0, 2));
  made.recompute_open = random.chance(1, 3);
  const auto devices = static_cast<std::size_t>(made.instance.pipeline.devices);
  for (std::size_t d = 0; d < devices; ++d) {
    made.instance.costs.gradient_reduction.push_back(random.uniform(0, 20));
    made.instance.costs.optimizer_step.push_back(random.uniform(0, 20));
  }
  if (random.chance(1, 2)) {
    const Bytes peak = measure(made.schedule, made.instance.costs).peak_memory;
    made.instance.costs.memory.capacity.assign(devices, peak);
  }
  return made;
}

OrderModel model_of(const Case& which) {
  return make_order_model(which.instance, which.schedule, which.objective, which.recompute_open)
      .value();
}

TEST_SUITE("search") {
  TEST_CASE("an order under search is valued as the engine values its schedule, move after move") {
    CHECK(rc::check([](std::uint64_t seed) {
      const Case which = random_case(seed);
      const OrderModel model = model_of(which);
      OrderState state(model);
      Random random(seed + 1);
      Moves moves(state, random);
      for (int i = 0; i < 60; ++i) {
        if (!moves.attempt(state.value() + random.uniform(0, 30))) {
          continue;
        }
        const Time judged = state.judged();
        state.commit();
        RC_ASSERT(judged == state.value());
        RC_ASSERT(state.fits());
        const Schedule schedule = state.schedule(which.schedule);
        RC_ASSERT(verify(schedule, which.instance.costs).empty());
        RC_ASSERT(measure(schedule, which.instance.costs).value(which.objective) == state.value());
      }
    }));
  }

  TEST_CASE("heads, tails and memory after many moves are those of an order made anew") {
    CHECK(rc::check([](std::uint64_t seed) {
      Case which = random_case(seed);
      which.recompute_open = false;
      const OrderModel model = model_of(which);
      OrderState state(model);
      Random random(seed + 1);
      Moves moves(state, random);
      for (int i = 0; i < 100; ++i) {
        if (moves.attempt(state.value() + random.uniform(0, 30))) {
          state.commit();
        }
      }
      const OrderModel again =
          make_order_model(which.instance, state.schedule(which.schedule), which.objective, false)
              .value();
      const OrderState fresh(again);
      for (std::size_t d = 0; d < static_cast<std::size_t>(model.devices); ++d) {
        for (std::size_t i = 0; i < state.list(d).size(); ++i) {
          const OpIndex task = state.list(d)[i];
          const OpIndex same = fresh.list(d)[i];
          RC_ASSERT(state.start(task) == fresh.start(same));
          RC_ASSERT(state.tail(task) == fresh.tail(same));
          if (!which.instance.costs.memory.capacity.empty()) {
            RC_ASSERT(state.level(d, i) == fresh.level(d, i));
          }
        }
      }
    }));
  }

  TEST_CASE("a move that is taken back leaves no trace") {
    CHECK(rc::check([](std::uint64_t seed) {
      const Case which = random_case(seed);
      const OrderModel model = model_of(which);
      OrderState state(model);
      Random random(seed + 1);
      Moves moves(state, random);
      for (int i = 0; i < 60; ++i) {
        const std::vector<std::int64_t> before = state.snapshot();
        if (moves.attempt(state.value() + random.uniform(0, 100))) {
          state.rollback();
        }
        RC_ASSERT(state.snapshot() == before);
        if (moves.attempt(state.value() + random.uniform(0, 30))) {
          state.commit();
        }
      }
    }));
  }

  TEST_CASE("the estimate of a swap is exact where it is above the value") {
    CHECK(rc::check([](std::uint64_t seed) {
      Case which = random_case(seed);
      which.instance.costs.memory.capacity.clear();
      which.objective = seed % 2 == 0 ? Objective::kMakespan : Objective::kIteration;
      const OrderModel model = model_of(which);
      OrderState state(model);
      Random random(seed + 1);
      for (int i = 0; i < 60; ++i) {
        const auto task =
            static_cast<OpIndex>(random.uniform(0, static_cast<std::int64_t>(model.size()) - 1));
        const std::size_t device = model.device[task];
        const std::size_t at = state.position(task);
        if (at + 1 == state.list(device).size()) {
          continue;
        }
        const std::vector<OpIndex> swapped = {state.list(device)[at + 1], task};
        const Time estimate = state.estimate(device, at, swapped);
        if (state.replace(device, at, swapped) && state.judge(kNever)) {
          const bool exact = estimate > state.value() ? state.judged() == estimate
                                                      : state.judged() <= state.value();
          RC_ASSERT(exact);
          if (random.chance(1, 2)) {
            state.commit();
            continue;
          }
        }
        state.rollback();
      }
    }));
  }

  TEST_CASE("an order that exceeds memory is repaired wherever one micro-batch fits") {
    CHECK(rc::check([](std::uint64_t seed) {
      Case which = random_case(seed);
      which.recompute_open = false;
      CostTable& costs = which.instance.costs;
      costs.memory.capacity.clear();
      const OrderModel unlimited = model_of(which);
      OrderState state(unlimited);
      // The memory of one micro-batch after the other, in the order of the schedule's lists.
      OrderModel serial = unlimited;
      Bytes peak = 0;
      for (std::size_t d = 0; d < static_cast<std::size_t>(serial.devices); ++d) {
        std::vector<Bytes> held;
        for (const OpIndex task : state.list(d)) {
          const auto m = static_cast<std::size_t>(serial.ops[task].unit.microbatch) * 2 +
                         (serial.ops[task].direction == Direction::kUp ? 1U : 0U);
          held.resize(std::max(held.size(), m + 1), 0);
          held[m] += std::max<Bytes>(serial.at_start[task], 0);
        }
        for (const Bytes one : held) {
          peak = std::max(peak, serial.resident[d] + one);
        }
        if (std::any_of(serial.ops.begin(), serial.ops.end(),
                        [](const Op& op) { return op.kind == OpKind::kOverlapped; })) {
          return;
        }
      }
      serial.capacity.assign(serial.capacity.size(), peak);
      OrderState limited(serial);
      const bool fitted = limited.fits();
      RC_ASSERT(fitted || repair_memory(limited));
      RC_ASSERT(limited.fits());
      costs.memory.capacity = serial.capacity;
      RC_ASSERT(verify(limited.schedule(which.schedule), costs).empty());
    }));
  }
}

}  // namespace
}  // namespace stagecraft::search
