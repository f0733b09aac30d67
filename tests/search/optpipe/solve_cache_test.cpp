#include <filesystem>

#include <doctest/doctest.h>

#include "search/optpipe/child_process.hpp"
#include "search/optpipe/need.hpp"
#include "search/optpipe/solve_cache.hpp"
#include "stagecraft/core/file.hpp"

namespace stagecraft::search {
namespace {

Instance unit_instance(Time factor, Bytes bytes, Bytes room) {
  Instance instance;
  instance.pipeline = make_pipeline(2, 1, 3, PlacementKind::kLoop).value();
  instance.costs = uniform_costs(instance.pipeline, 3 * factor, 4 * factor, 2 * factor, 1 * factor);
  instance.costs.memory.forward = Grid::constant(2 * bytes);
  instance.costs.memory.backward_input = Grid::constant(-bytes);
  instance.costs.memory.backward_weight = Grid::constant(-bytes);
  instance.costs.memory.stage_input = Grid::constant(0);
  instance.costs.memory.capacity = {room, room};
  instance.partition = {1, 1};
  return instance;
}

Schedule zb_h1(const Instance& instance) {
  return generate("zb-h1", {instance.pipeline, instance.costs, {}}).value();
}

TEST_SUITE("search") {
  TEST_CASE("equal instances have one key, whatever their units") {
    const auto key = [](const Instance& instance) {
      return SolveCache::key(instance, Objective::kMakespan, true);
    };
    const Instance base = unit_instance(1, 1, 6);
    CHECK(key(base) == key(unit_instance(7, 1, 6)));
    CHECK(key(base) == key(unit_instance(1, 5, 30)));
    CHECK(key(base) != key(unit_instance(1, 1, 8)));
    CHECK(key(base) != SolveCache::key(base, Objective::kSpan, true));
    CHECK(key(base) != SolveCache::key(base, Objective::kMakespan, false));
    Instance other = base;
    other.costs.forward = Grid::per_stage({3, 4});
    CHECK(key(base) != key(other));
    other = base;
    other.costs.network.host.host_link_of = {0, 0};
    CHECK(key(base) != key(other));
    other = base;
    other.costs.memory.resident = {1, 1};
    CHECK(key(base) != key(other));
    other.costs.memory.capacity = {7, 7};
    CHECK(key(base) == key(other));
    other = base;
    set_transfers_by_unit(other.pipeline, Grid::per_microbatch({1, 1, 2}, 3), Grid{}, other.costs);
    CHECK(other.costs.transfer_latency == base.costs.transfer_latency);
    CHECK(key(base) != key(other));
  }

  TEST_CASE("what is stored is found again, what is damaged or foreign is passed over") {
    const TemporaryFolder folder;
    const SolveCache cache((folder.path() / "new").string());
    const Instance instance = unit_instance(1, 1, 6);
    CHECK_FALSE(cache.find(instance, Objective::kMakespan, true).solution);
    CHECK(cache.find(instance, Objective::kMakespan, true).warning.empty());
    REQUIRE(cache.store(instance, Objective::kMakespan, true, {zb_h1(instance), true}).empty());
    const CachedSolution hit =
        need(cache.find(unit_instance(9, 2, 12), Objective::kMakespan, true).solution);
    CHECK(hit.optimal);
    CHECK(hit.schedule.ops == zb_h1(instance).ops);

    const std::string file =
        (folder.path() / "new" /
         ("optpipe-" + SolveCache::key(instance, Objective::kMakespan, true) + ".json"))
            .string();
    const std::string whole = read_file(file).value();
    for (const std::string& text :
         {std::string(), whole.substr(0, whole.size() / 2), std::string("[1, 2]"),
          std::string(R"({"stagecraft_cache": 1, "key": "0"})"),
          std::string(R"({"stagecraft_cache": "x", "key": 5, "schedule": 7})"),
          R"({"stagecraft_cache": 1, "key": ")" +
              SolveCache::key(instance, Objective::kMakespan, true) +
              R"(", "optimal": true, "schedule": "{}"})"}) {
      CAPTURE(text);
      REQUIRE(write_file(file, text).ok());
      const CacheAnswer answer = cache.find(instance, Objective::kMakespan, true);
      CHECK_FALSE(answer.solution);
      CHECK(answer.warning.find(file) != std::string::npos);
    }
  }
}

}  // namespace
}  // namespace stagecraft::search
