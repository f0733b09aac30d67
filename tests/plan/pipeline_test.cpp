#include <doctest/doctest.h>

#include "stagecraft/plan/pipeline.hpp"
#include "support/reference.hpp"

using namespace stagecraft;

TEST_SUITE("plan") {
  TEST_CASE("placements put stages where their names say") {
    const Pipeline vee = *make_pipeline(4, 2, 8, PlacementKind::kVee);
    CHECK(vee.device_of_stage == std::vector<std::int32_t>{0, 1, 2, 3, 3, 2, 1, 0});
    CHECK(classify_placement(4, vee.device_of_stage) == PlacementKind::kVee);
    const Pipeline loop = *make_pipeline(2, 2, 8, PlacementKind::kLoop);
    CHECK(loop.device_of_stage == std::vector<std::int32_t>{0, 1, 0, 1});
    CHECK(loop.stages_of(1) == std::vector<std::int32_t>{1, 3});
  }

  TEST_CASE("a bidirectional pipeline mirrors the up direction") {
    const Pipeline both = *make_pipeline(4, 1, 8, PlacementKind::kBidirectional);
    CHECK(both.device(0, Direction::kUp) == 3);
    CHECK(both.microbatches_of(Direction::kUp) == 4);
    CHECK(both.global_microbatch(0, Direction::kUp) == 4);
  }

  TEST_CASE("what does not fit is refused with what would") {
    CHECK(make_pipeline(4, 3, 8, PlacementKind::kVee).failures()[0].message ==
          "placement vee needs 2 chunks per device, not 3");
    CHECK_FALSE(make_pipeline(0, 1, 8, PlacementKind::kLoop).ok());
    CHECK_FALSE(make_explicit_pipeline(3, {0, 1, 0}, 4).ok());
  }

  TEST_CASE("the reference evaluator knows GPipe on two devices") {
    const Pipeline pipeline = *make_pipeline(2, 1, 2, PlacementKind::kLoop);
    const auto f = [](int m, int s) { return make_op(OpKind::kForward, m, s); };
    const auto b = [](int m, int s) { return make_op(OpKind::kBackward, m, s); };
    const Schedule schedule =
        make_schedule("by hand", pipeline,
                      {{f(0, 0), f(1, 0), b(0, 0), b(1, 0)}, {f(0, 1), f(1, 1), b(0, 1), b(1, 1)}});
    const auto times = test::reference_times(schedule, uniform_costs(pipeline, 1, 1, 1));
    CHECK(times.complete);
    CHECK(times.makespan == 9);  // (M + P - 1)(F + BW)
    CHECK(test::reference_peaks(schedule, uniform_costs(pipeline, 1, 1, 1)) ==
          std::vector<Bytes>{4, 4});
  }
}
