// Schedules written and read again, and what the readers say of texts that are no schedules.
#include <doctest/doctest.h>

#include "stagecraft/core/random.hpp"
#include "stagecraft/schedule/json.hpp"
#include "stagecraft/schedule/pytorch_csv.hpp"
#include "stagecraft/schedule/text.hpp"
#include "support/random_schedule.hpp"

using namespace stagecraft;

namespace {

bool same(const Schedule& a, const Schedule& b) {
  return a.pipeline == b.pipeline && a.ops == b.ops && a.offsets == b.offsets && a.p2p == b.p2p;
}

Pipeline line(std::int32_t devices, std::int32_t microbatches) {
  return *make_pipeline(devices, 1, microbatches, PlacementKind::kLoop);
}

template <typename Parsed>
std::string complaint(const Parsed& parsed) {
  REQUIRE_FALSE(parsed.ok());
  return to_string(parsed.failures());
}

std::string ops_complaint(std::string_view text, const Pipeline& pipeline) {
  return complaint(parse_ops_text(text, pipeline, "x.ops"));
}
std::string json_complaint(std::string_view text) {
  return complaint(parse_schedule_json(text, "x.json"));
}
std::string csv_complaint(std::string_view text) {
  return complaint(parse_pytorch_csv(text, "x.csv"));
}

void check_has(const std::string& text, std::string_view part) {
  CAPTURE(text);
  CHECK(text.find(part) != std::string::npos);
}

}  // namespace

TEST_SUITE("schedule") {
  TEST_CASE("the text form of every op parses to the op") {
    Random random(1);
    for (int round = 0; round < 2000; ++round) {
      const auto kind = static_cast<OpKind>(random.uniform(0, kOpKindCount - 1));
      const bool both = random.chance(1, 3);
      const auto unit = [&](OpKind of) {
        const Direction direction = !both                 ? Direction::kOnly
                                    : random.chance(1, 2) ? Direction::kDown
                                                          : Direction::kUp;
        return make_op(of, static_cast<std::int32_t>(random.uniform(0, 3000)),
                       static_cast<std::int32_t>(random.uniform(0, 65534)),
                       static_cast<std::int32_t>(random.uniform(0, 1) * random.uniform(0, 65535)),
                       direction);
      };
      Op op = unit(kind);
      if (kind == OpKind::kOverlapped) {
        op = make_overlapped(unit(OpKind::kForward), unit(OpKind::kBackward));
      } else if (kind == OpKind::kGradientReduce || kind == OpKind::kOptimizer) {
        op = make_op(kind, 0, op.unit.stage);
      }
      CHECK(parse_op(to_string(op)) == op);
    }
    CHECK(parse_op("F3@5.0") == make_op(OpKind::kForward, 3, 5));
    for (const char* wrong : {"",         "F",          "F3",
                              "3@5",      "F@5",        "F3@",
                              "F3@5.",    "F3@5.x",     "F3@5 ",
                              " F3@5",    "F-1@0",      "F03@5",
                              "F3@65536", "F3@5.65536", "F99999999999@0",
                              "X3@5",     "f3@5",       "F3@5+B3@5",
                              "F3@5+",    "W1@0+BW0@0", "F3@5+BW3@5+BW4@5",
                              "G1@0",     "G@>0",       "F3@=5"}) {
      CAPTURE(wrong);
      CHECK_FALSE(parse_op(wrong).has_value());
    }
  }

  TEST_CASE("ops text and JSON give back any schedule") {
    Random random(2);
    for (int round = 0; round < 300; ++round) {
      const Pipeline pipeline = test::random_pipeline(random);
      Schedule schedule = test::random_schedule(random, pipeline);
      const Result<Schedule> from_text = parse_ops_text(to_ops_text(schedule), pipeline, "x");
      REQUIRE_MESSAGE(from_text.ok(), (from_text.ok() ? "" : to_string(from_text.failures())));
      CHECK(same(*from_text, schedule));
      schedule.p2p = static_cast<P2pLowering>(random.uniform(0, 4));
      schedule.name = "a \"name\"\n";
      const Result<Schedule> from_json = parse_schedule_json(to_schedule_json(schedule), "x");
      REQUIRE_MESSAGE(from_json.ok(), (from_json.ok() ? "" : to_string(from_json.failures())));
      CHECK(same(*from_json, schedule));
      CHECK(from_json->name == schedule.name);
    }
  }

  TEST_CASE("PyTorch's CSV gives back any schedule that it can hold, and names what it cannot") {
    Random random(3);
    int held = 0;
    for (int round = 0; round < 400; ++round) {
      test::RandomShape shape;
      if (round % 2 == 0) {
        shape.most_slices = 1;
        shape.bidirectional = shape.recompute = shape.offload = shape.overlapped = false;
      }
      const Pipeline pipeline = test::random_pipeline(random, shape);
      const Schedule schedule = test::random_schedule(random, pipeline, shape);
      const Result<std::string> csv = to_pytorch_csv(schedule);
      bool fits = !pipeline.sliced();
      for (const Op& op : schedule.ops) {
        fits = fits && op.direction == Direction::kOnly &&
               (op.kind == OpKind::kForward || op.kind == OpKind::kBackward ||
                op.kind == OpKind::kBackwardInput || op.kind == OpKind::kBackwardWeight);
      }
      REQUIRE(csv.ok() == fits);
      if (!fits) {
        check_has(to_string(csv.failures()), "PyTorch's schedule CSV has no ");
        continue;
      }
      ++held;
      const Result<Schedule> back = parse_pytorch_csv(*csv, "x");
      REQUIRE_MESSAGE(back.ok(), (back.ok() ? "" : to_string(back.failures())));
      // The name of the placement is not in the file; one device is loop and vee alike.
      CHECK(back->pipeline.device_of_stage == pipeline.device_of_stage);
      CHECK(back->pipeline.microbatches == pipeline.microbatches);
      CHECK(back->ops == schedule.ops);
      CHECK(back->offsets == schedule.offsets);
    }
    CHECK(held > 150);
  }

  TEST_CASE("the formats look as documented") {
    const Pipeline two = line(2, 1);
    const Result<Schedule> schedule = parse_ops_text("F0@0 BW0@0\nF0@1\tB0@1  W0@1\r\n", two, "x");
    REQUIRE(schedule.ok());
    CHECK(to_ops_text(*schedule) == "F0@0 BW0@0\nF0@1 B0@1 W0@1\n");
    CHECK(*to_pytorch_csv(*schedule) == "0F0,0B0\n1F0,1I0,1W0\n");
    CHECK(to_schedule_json(*schedule) ==
          R"({"stagecraft_schedule": 1,
 "name": "x",
 "p2p": "batched",
 "pipeline": {"device_of_stage":[0,1],"devices":2,"microbatches":1,"placement":"loop","stages":2},
 "ops": [
  ["F0@0", "BW0@0"],
  ["F0@1", "B0@1", "W0@1"]
 ]}
)");
    // Idle steps and blanks, as PyTorch writes and reads them.
    const Result<Schedule> padded = parse_pytorch_csv("0F0,, 0B0 ,\n,1F0,1I0,1W0\n", "x");
    REQUIRE(padded.ok());
    CHECK(same(*padded, *schedule));
  }

  TEST_CASE("ops text errors say where and what") {
    const Pipeline two = line(2, 3);
    const std::string message = ops_complaint("F0@0 F1@0 Q2@0\nF0@1 F7@1 F0@0\n", two);
    check_has(message, "x.ops:1:11: error: 'Q2@0' is not an op");
    check_has(message, "F0@0 F1@0 Q2@0\n            ^");
    check_has(message, "x.ops:2:6: error: F7@1: micro-batch 7 is not among 0 to 2");
    check_has(message, "x.ops:2:11: error: F0@0: stage 0 is on device 0, not on 1");
    check_has(ops_complaint("F0@0\n", two),
              "x.ops:2:1: error: the text has 1 lines, expected one "
              "for each of 2 devices");
    check_has(ops_complaint("\n\n\n", two), "x.ops:3:1: error: the text has 3 lines");
    check_has(ops_complaint("F0@2\n\n", two), "stage 2 is not among 0 to 1");
    check_has(ops_complaint("F0@0.1\n\n", two), "slice 1 is not among 0 to 0");
    check_has(ops_complaint("F0@>0\n\n", two), "the pipeline has one direction");
    check_has(ops_complaint("G@0\n\n", two), "added by the engine");
    const Pipeline both = *make_pipeline(2, 1, 3, PlacementKind::kBidirectional);
    check_has(ops_complaint("F0@0\n\n", both), "needs '>' or '<'");
    check_has(ops_complaint("F1@<1\n\n", both), "micro-batch 1 is not among 0 to 0");
    check_has(ops_complaint("F0@>0+BW1@<1\n\n", both), "micro-batch 1 is not among 0 to 0");
    check_has(ops_complaint("F0@<0\n\n", both), "stage 0 is on device 1, not on 0");
    std::string many;
    for (int i = 0; i < 100; ++i) {
      many += "x ";
    }
    CHECK(parse_ops_text(many + "\n\n", two, "x").failures().size() == 20);
  }

  TEST_CASE("JSON errors say where and what") {
    const std::string good = R"({"stagecraft_schedule": 1,
 "pipeline": {"devices": 1, "stages": 1, "microbatches": 1, "placement": "loop",
  "device_of_stage": [0]},
 "ops": [["F0@0", "BW0@0"]]})";
    CHECK(parse_schedule_json(good, "x.json").ok());
    const auto with = [&](std::string_view from, std::string_view to) {
      std::string text = good;
      const std::size_t at = text.find(from);
      REQUIRE(at != std::string::npos);
      return json_complaint(text.replace(at, from.size(), to));
    };
    check_has(with("BW0@0", "BW0@1"), "x.json:4:19: error: BW0@1: stage 1 is not among 0 to 0");
    check_has(with("\"BW0@0\"", "7"), "x.json:4:19: error: an op must be a string");
    check_has(with("\"BW0@0\"", "\"?\""), "x.json:4:19: error: '?' is not an op");
    check_has(with("loop", "vee"), "x.json:2:74: error: placement vee does not have these devices");
    check_has(with("loop", "lop"), "must be one of: loop vee wave bidirectional explicit");
    check_has(with("\"stages\"", "\"stage\""), "x.json:2:38: error: unknown key 'stage'");
    check_has(with("\"stages\"", "\"stage\""), "did you mean 'stages'?");
    check_has(with("\"stages\"", "\"stage\""), "x.json:2:14: error: key 'stages' is missing");
    check_has(with("\"microbatches\": 1", "\"microbatches\": 3000000000"),
              "must be an integer from 1 to 2");
    check_has(with("\"devices\": 1", "\"devices\": 2"), "must be an integer from 1 to 1");
    check_has(with("[0]", "[0, 0]"), "must be a list of 1 integers");
    check_has(with("[0]", "[0], \"slices\": [0]"), "'slices' must be an integer from 1 to 65535");
    check_has(with("[[\"F0@0\", \"BW0@0\"]]", "[7]"), "the ops of device 0 must be a list");
    check_has(with("schedule\": 1", "schedule\": 2"), "the version under 'stagecraft_schedule'");
    check_has(with("\"ops\"", "\"p2p\": \"bached\", \"ops\""), "'p2p' must be one of: batched");
    check_has(with("\"ops\"", "\"name\": 7, \"ops\""), "'name' must be a string");
    check_has(with("[[", "[[["), "x.json:4:29: error: not valid JSON");
    check_has(json_complaint("{\"ops\": [\n  ]"), "x.json:2:4: error: not valid JSON");
    check_has(json_complaint("[1e999]"), "x.json:1:1: error: a number is too large");
    check_has(json_complaint(""), "x.json:1:1: error: not valid JSON");
    check_has(json_complaint("[]"), "a schedule must be an object");
    check_has(json_complaint("{}"), "key 'ops' is missing");
  }

  TEST_CASE("CSV errors say where and what") {
    check_has(csv_complaint("0F0,0SEND_F0\n"),
              "x.csv:1:5: error: '0SEND_F0' is not a compute "
              "action");
    check_has(csv_complaint("0F0\n0B0\n"), "x.csv:2:1: error: stage 0 is on rank 0 and on rank 1");
    check_has(csv_complaint("0F0,2F0\n"), "no rank has stage 1");
    check_has(csv_complaint("0F2147483647\n"), "micro-batch 2147483647 does not fit 1 actions");
    check_has(csv_complaint("0F0\n\n"), "device 1 holds no stage");
    check_has(csv_complaint(""), "at least 1 device");
    check_has(csv_complaint("(0F0;1B0)OVERLAP_F_B\n"), "is not a compute action");
    for (const char* wrong :
         {"F0", "0F", "0X0", "70000F0", "0F99999999999", "0F0.1", "-1F0", "0F-1"}) {
      CAPTURE(wrong);
      CHECK_FALSE(parse_pytorch_csv(wrong, "x").ok());
    }
  }
}
