#include "stagecraft/schedule/verify.hpp"

#include <functional>
#include <string>
#include <utility>

#include <doctest/doctest.h>

#include "support/random_schedule.hpp"
#include "support/reference.hpp"

using namespace stagecraft;

namespace {

using Lists = std::vector<std::vector<Op>>;

Op f(std::int32_t m, std::int32_t s, std::int32_t q = 0) {
  return make_op(OpKind::kForward, m, s, q);
}
Op b(std::int32_t m, std::int32_t s, std::int32_t q = 0) {
  return make_op(OpKind::kBackwardInput, m, s, q);
}
Op w(std::int32_t m, std::int32_t s, std::int32_t q = 0) {
  return make_op(OpKind::kBackwardWeight, m, s, q);
}
Op bw(std::int32_t m, std::int32_t s, std::int32_t q = 0) {
  return make_op(OpKind::kBackward, m, s, q);
}
Op r(std::int32_t m, std::int32_t s) {
  return make_op(OpKind::kRecompute, m, s);
}
Op o(std::int32_t m, std::int32_t s) {
  return make_op(OpKind::kOffload, m, s);
}
Op l(std::int32_t m, std::int32_t s) {
  return make_op(OpKind::kReload, m, s);
}

Pipeline two_devices(std::int32_t microbatches = 2) {
  return make_pipeline(2, 1, microbatches, PlacementKind::kLoop).value();
}

// Device 1 recomputes and offloads nothing; device 0 splits its backward, recomputes micro-batch 0
// and offloads micro-batch 1.
Lists valid_lists() {
  return {{f(0, 0), f(1, 0), o(1, 0), r(0, 0), b(0, 0), l(1, 0), w(0, 0), b(1, 0), w(1, 0)},
          {f(0, 1), bw(0, 1), f(1, 1), bw(1, 1)}};
}

Schedule valid_schedule() {
  return make_schedule("test", two_devices(), valid_lists());
}

Pipeline two_slices() {
  Pipeline pipeline = make_pipeline(1, 1, 1, PlacementKind::kLoop).value();
  pipeline.slices = {2};
  return pipeline;
}

Schedule of(const Lists& lists) {
  return make_schedule("test", two_devices(), lists);
}

// One stage, one device, the micro-batches of `list` from 0 to `microbatches`.
Schedule alone(std::int32_t microbatches, std::vector<Op> list) {
  return make_schedule("test", make_pipeline(1, 1, microbatches, PlacementKind::kLoop).value(),
                       {std::move(list)});
}

struct Case {
  const char* what;
  Schedule schedule;
  const char* message;
};

Op with_direction(Op op, Direction direction) {
  op.direction = direction;
  return op;
}

std::vector<Case> broken_units() {
  Op with_partner = bw(0, 0);
  with_partner.partner.microbatch = 1;
  return {
      {"forward missing", alone(1, {bw(0, 0)}), "F0@0 is missing"},
      {"backward missing", alone(1, {f(0, 0)}), "BW0@0 is missing: F0@0 has no backward"},
      {"W without B", alone(1, {f(0, 0), w(0, 0)}), "B0@0 is missing: W0@0"},
      {"B without W", alone(1, {f(0, 0), b(0, 0)}), "W0@0 is missing: B0@0"},
      {"BW beside B", alone(1, {f(0, 0), bw(0, 0), b(0, 0)}), "B0@0 stands beside BW0@0"},
      {"BW beside W", alone(1, {f(0, 0), bw(0, 0), w(0, 0)}), "W0@0 stands beside BW0@0"},
      {"offload without reload", alone(1, {f(0, 0), o(0, 0), bw(0, 0)}),
       "L0@0 is missing: O0@0 is never copied back"},
      {"reload without offload", alone(1, {f(0, 0), l(0, 0), bw(0, 0)}),
       "O0@0 is missing: L0@0 has nothing to copy back"},
      {"micro-batch missing", alone(2, {f(0, 0), bw(0, 0)}),
       "F1@0 and all other ops of micro-batch 1 are missing; the pipeline has 2 micro-batches"},
      {"forward twice", alone(1, {f(0, 0), f(0, 0), bw(0, 0)}),
       "F0@0 stands twice, the second time on device 0 at place 1"},
      {"backward twice", alone(1, {f(0, 0), bw(0, 0), bw(0, 0)}), "BW0@0 stands twice"},
      {"recompute twice", alone(1, {f(0, 0), r(0, 0), r(0, 0), bw(0, 0)}), "R0@0 stands twice"},
      {"offload twice", alone(1, {f(0, 0), o(0, 0), o(0, 0), l(0, 0), bw(0, 0)}),
       "O0@0 stands twice"},
      {"half of a pair twice",
       alone(2, {f(0, 0), make_overlapped(f(1, 0), bw(0, 0)), bw(1, 0), bw(0, 0)}),
       "BW0@0 stands twice, the second time on device 0 at place 3"},
      {"half of a pair missing", alone(2, {f(0, 0), make_overlapped(f(1, 0), bw(0, 0))}),
       "BW1@0 is missing: F1@0 has no backward"},
      {"pair of one unit", alone(1, {make_overlapped(f(0, 0), bw(0, 0))}),
       "F0@0+BW0@0 overlaps a forward with the backward of the same unit"},
      {"wrong device", of({{f(0, 0), bw(0, 0), f(1, 1)}, {f(0, 1), bw(0, 1)}}),
       "F1@1 is on device 0, but its stage is on device 1"},
      {"stage out of range", alone(1, {f(0, 3), bw(0, 0)}), "F0@3 is on stage 3, expected 0 to 0"},
      {"micro-batch out of range", alone(1, {f(0, 0), bw(0, 0), f(1, 0)}),
       "F1@0 is of micro-batch 1, expected 0 to 0"},
      {"negative micro-batch", alone(1, {f(-1, 0)}), "F-1@0 is of micro-batch -1"},
      {"slice out of range", alone(1, {f(0, 0, 1)}), "F0@0.1 is of slice 1, expected 0 to 0"},
      {"partner out of range", alone(1, {make_overlapped(f(0, 0), bw(7, 0))}),
       "F0@0+BW7@0 BW7@0 in it is of micro-batch 7, expected 0 to 0"},
      {"partner of a single op", alone(1, {f(0, 0), with_partner}),
       "BW0@0 has a partner, but is not an overlapped pair"},
      {"direction without need", alone(1, {with_direction(f(0, 0), Direction::kUp)}),
       "F0@<0 has a direction, but the pipeline is not bidirectional"},
      {"direction missing",
       make_schedule("test", make_pipeline(2, 1, 2, PlacementKind::kBidirectional).value(),
                     {{f(0, 0)}, {}}),
       "F0@0 has no direction, but the pipeline is bidirectional"},
      {"gradient reduction", alone(1, {make_op(OpKind::kGradientReduce, 0, 0)}),
       "G@0 is added by the engine"},
      {"optimizer step", alone(1, {make_op(OpKind::kOptimizer, 0, 0)}),
       "U@0 is added by the engine"},
  };
}

std::vector<Case> broken_orders() {
  return {
      {"backward before forward", alone(1, {bw(0, 0), f(0, 0)}),
       "BW0@0 stands before F0@0 on device 0, but needs it"},
      {"W before B", alone(1, {f(0, 0), w(0, 0), b(0, 0)}), "W0@0 stands before B0@0"},
      {"recompute before forward", alone(1, {r(0, 0), f(0, 0), bw(0, 0)}),
       "R0@0 stands before F0@0"},
      {"recompute after backward", alone(1, {f(0, 0), bw(0, 0), r(0, 0)}),
       "BW0@0 stands before R0@0"},
      {"offload before forward", alone(1, {o(0, 0), f(0, 0), l(0, 0), bw(0, 0)}),
       "O0@0 stands before F0@0"},
      {"reload before offload", alone(1, {f(0, 0), l(0, 0), o(0, 0), bw(0, 0)}),
       "L0@0 stands before O0@0"},
      {"reload after backward", alone(1, {f(0, 0), o(0, 0), bw(0, 0), l(0, 0)}),
       "BW0@0 stands before L0@0"},
      {"slices of the forward descend",
       make_schedule("test", two_slices(), {{f(0, 0, 1), f(0, 0), bw(0, 0, 1), bw(0, 0)}}),
       "F0@0.1 stands before F0@0 on device 0"},
      {"slices of the backward ascend",
       make_schedule("test", two_slices(), {{f(0, 0), f(0, 0, 1), bw(0, 0), bw(0, 0, 1)}}),
       "BW0@0 stands before BW0@0.1 on device 0"},
      {"stages of one device descend",
       make_schedule("test", make_pipeline(1, 2, 1, PlacementKind::kLoop).value(),
                     {{f(0, 1), f(0, 0), bw(0, 1), bw(0, 0)}}),
       "F0@1 stands before F0@0 on device 0"},
      {"cycle of two heads",
       of({{f(0, 0), bw(0, 0), f(1, 0), bw(1, 0)}, {f(0, 1), f(1, 1), bw(0, 1), bw(1, 1)}}),
       "wait for each other in a cycle: BW0@0 (device 0) waits for BW0@1 (device 1) behind F1@1, "
       "which waits for F1@0 (device 0) behind BW0@0"},
  };
}

std::vector<Case> broken_shapes() {
  const auto edit = [](const std::function<void(Schedule&)>& change) {
    Schedule schedule = valid_schedule();
    change(schedule);
    return schedule;
  };
  return {
      {"offset missing", edit([](Schedule& s) { s.offsets.pop_back(); }),
       "2 devices need 3 offsets into the list of ops, not 2"},
      {"offsets end early", edit([](Schedule& s) { --s.offsets.back(); }),
       "the offsets run from 0 to 12, expected 0 to 13"},
      {"offsets descend", edit([](Schedule& s) { s.offsets[1] = 99; }),
       "the list of device 1 ends before it starts: 99 to 13"},
      {"placement too short", edit([](Schedule& s) { s.pipeline.device_of_stage.pop_back(); }),
       "the pipeline has 2 stages, but places 1 of them"},
      {"placement out of range", edit([](Schedule& s) { s.pipeline.device_of_stage[1] = 2; }),
       "stage 1 is placed on device 2, expected 0 to 1"},
      {"slice counts too short", edit([](Schedule& s) { s.pipeline.slices = {1}; }),
       "the pipeline has 2 micro-batches, but slice counts for 1"},
      {"no slice", edit([](Schedule& s) { s.pipeline.slices = {1, 0}; }),
       "micro-batch 1 has 0 slices, expected 1 to 65535"},
      {"no micro-batch", edit([](Schedule& s) { s.pipeline.microbatches = 0; }),
       "the pipeline has 2 devices, 2 stages and 0 micro-batches"},
  };
}

void check_refused(const std::vector<Case>& cases) {
  for (const Case& broken : cases) {
    CAPTURE(broken.what);
    const Diagnostics found = verify(broken.schedule);
    REQUIRE_FALSE(found.empty());
    CHECK_MESSAGE(found[0].message.find(broken.message) != std::string::npos, found[0].message);
  }
}

// A rule that the reference does not need: it would let an offload wait for a later forward.
bool forwards_precede_offloads(const Schedule& schedule) {
  const UnitIndex index(schedule);
  for (std::uint32_t i = 0; i < schedule.ops.size(); ++i) {
    const Op& op = schedule.ops[i];
    if (op.kind == OpKind::kOffload && index.forward(op.unit, op.direction) > i) {
      return false;
    }
  }
  return true;
}

}  // namespace

TEST_SUITE_BEGIN("schedule");

TEST_CASE("verify accepts a valid schedule") {
  CHECK_MESSAGE(verify(valid_schedule()).empty(), to_string(verify(valid_schedule())));
}

TEST_CASE("verify refuses what breaks a rule about ops, orders or shape, and names it") {
  check_refused(broken_units());
  check_refused(broken_orders());
  check_refused(broken_shapes());
}

TEST_CASE("a cycle is infeasible, a malformed schedule is bad input") {
  CHECK(verify(broken_orders().back().schedule)[0].kind == FailureKind::kInfeasible);
  CHECK(verify(broken_units().front().schedule)[0].kind == FailureKind::kBadInput);
}

TEST_CASE("verify finds a cycle that a stuck device only leads to") {
  // Devices 0 and 1 wait for each other; device 2 waits for device 1 and is not part of it.
  const Pipeline pipeline = make_pipeline(3, 1, 2, PlacementKind::kLoop).value();
  const Schedule schedule = make_schedule("test", pipeline,
                                          {{f(0, 0), bw(0, 0), f(1, 0), bw(1, 0)},
                                           {f(1, 1), f(0, 1), bw(0, 1), bw(1, 1)},
                                           {f(0, 2), f(1, 2), bw(0, 2), bw(1, 2)}});
  const Diagnostics found = verify(schedule);
  REQUIRE(found.size() == 1);
  CHECK(found[0].message.find("device 2") == std::string::npos);
  CHECK(found[0].message.find("BW0@0 (device 0) waits for BW0@1 (device 1) behind F1@1") !=
        std::string::npos);
}

TEST_CASE("verify stops at the limit of findings") {
  const Schedule empty = make_schedule("test", two_devices(50), {{}, {}});
  CHECK(verify(empty).size() == 20);
  CHECK(verify(empty, VerifyOptions{3}).size() == 3);
}

TEST_CASE("verify compares memory with capacity in list order") {
  const Schedule schedule =
      alone(3, {f(0, 0), f(1, 0), b(0, 0), f(2, 0), bw(1, 0), w(0, 0), bw(2, 0)});
  CostTable costs = uniform_costs(schedule.pipeline, 1, 1, 1);
  costs.memory.resident = {10};
  costs.memory.capacity = {15};  // 10 + 2 + 2, then 10 + 4 - 1 + 2
  CHECK(verify(schedule, costs).empty());
  costs.memory.capacity = {14};
  const Diagnostics found = verify(schedule, costs);
  REQUIRE(found.size() == 1);
  CHECK(found[0].message == "out of memory on device 0 at F2@0: needs 2 bytes, 1 are there");
  CHECK(found[0].hint == "device 0 needs a capacity of 15 bytes for this schedule; it has 14");
  CHECK(found[0].kind == FailureKind::kInfeasible);
  costs.memory.policy = MemoryPolicy::kWait;
  CHECK(verify(schedule, costs).empty());
}

TEST_CASE("recompute keeps the stage input, offload frees what is kept") {
  const Schedule schedule =
      alone(2, {f(0, 0), f(1, 0), o(1, 0), r(0, 0), bw(0, 0), l(1, 0), bw(1, 0)});
  CostTable costs = uniform_costs(schedule.pipeline, 1, 1, 1);
  costs.memory.forward = Grid::constant(10);
  costs.memory.backward_input = Grid::constant(-10);
  costs.memory.backward_weight = Grid::constant(0);
  costs.memory.stage_input = Grid::constant(3);
  costs.memory.capacity = {13};  // 3, 13, then 3, 10, 0, 10, 0
  CHECK(verify(schedule, costs).empty());
  costs.memory.capacity = {12};
  CHECK(verify(schedule, costs)[0].message.find("at F1@0: needs 10 bytes, 9 are there") !=
        std::string::npos);
}

TEST_CASE("verify refuses a split backward whose parts have no cost") {
  const Schedule schedule = alone(1, {f(0, 0), b(0, 0), w(0, 0)});
  CostTable costs = uniform_costs(schedule.pipeline, 1, 1, 1);
  costs.split_backward = false;
  const Diagnostics found = verify(schedule, costs);
  REQUIRE(found.size() == 1);
  CHECK(found[0].message.find("B0@0 splits the backward") != std::string::npos);
}

TEST_CASE("random valid schedules are accepted, random changes judged as the reference does") {
  Random random(7);
  int refused = 0;
  int accepted = 0;
  for (int round = 0; round < 400; ++round) {
    const Schedule schedule = test::random_schedule(random, test::random_pipeline(random));
    REQUIRE_MESSAGE(verify(schedule).empty(), to_string(verify(schedule)));
    const CostTable costs = test::random_costs(random, schedule.pipeline);
    std::vector<std::vector<Op>> lists;
    for (std::int32_t device = 0; device < schedule.pipeline.devices; ++device) {
      const auto ops = schedule.device_ops(device);
      lists.emplace_back(ops.begin(), ops.end());
    }
    const auto device =
        static_cast<std::size_t>(random.uniform(0, static_cast<std::int64_t>(lists.size()) - 1));
    std::vector<Op>& list = lists[device];
    const auto last = static_cast<std::int64_t>(list.size()) - 1;
    const auto place = static_cast<std::size_t>(random.uniform(0, last));
    const auto other = static_cast<std::size_t>(random.uniform(0, last));
    bool valid = false;
    const std::int64_t change = random.uniform(0, 4);
    if (change == 0) {  // drop
      valid = list[place].kind == OpKind::kRecompute;
      list.erase(list.begin() + static_cast<std::ptrdiff_t>(place));
    } else if (change == 1) {  // duplicate
      list.insert(list.begin() + static_cast<std::ptrdiff_t>(other), list[place]);
    } else if (change == 2 && lists.size() > 1) {  // move to another device
      std::vector<Op>& target = lists[(device + 1) % lists.size()];
      target.insert(target.begin(), list[place]);
      list.erase(list.begin() + static_cast<std::ptrdiff_t>(place));
    } else {
      std::swap(list[place], list[other]);
      const Schedule swapped = make_schedule("test", schedule.pipeline, lists);
      valid = test::reference_times(swapped, costs).complete && forwards_precede_offloads(swapped);
    }
    const Schedule changed = make_schedule("test", schedule.pipeline, lists);
    CAPTURE(round);
    CAPTURE(change);
    CHECK_MESSAGE(verify(changed).empty() == valid, to_string(verify(changed)));
    ++(valid ? accepted : refused);
  }
  CHECK(refused > 200);
  CHECK(accepted > 20);
}

TEST_SUITE_END();
