// Generator eager-1f1b: the default warm-up keeps within memory.
#include <doctest/doctest.h>

#include "generators/generated.hpp"

using namespace stagecraft;
using test::generated;
using test::reference_peaks;

namespace {

CostTable limited(const Pipeline& pipeline, std::vector<Bytes> capacity) {
  CostTable costs = uniform_costs(pipeline, 1, 1, 1);
  costs.memory.forward = Grid::constant(1);
  costs.memory.backward_input = Grid::constant(0);
  costs.memory.backward_weight = Grid::constant(-1);
  costs.memory.capacity = std::move(capacity);
  return costs;
}

}  // namespace

TEST_SUITE("generators") {
  TEST_CASE("eager-1f1b warms up as far as every device's memory allows") {
    const Pipeline pipeline = *make_pipeline(4, 1, 8, PlacementKind::kLoop);
    const auto peaks = [&](const CostTable& costs, const GeneratorOptions& options) {
      return reference_peaks(generated("eager-1f1b", pipeline, costs, options), costs);
    };
    const CostTable four = limited(pipeline, {4, 4, 4, 4});
    CHECK(peaks(four, {}) == std::vector<Bytes>{4, 4, 3, 1});
    CHECK(verify(generated("eager-1f1b", pipeline, four), four).empty());
    CHECK(peaks(limited(pipeline, {6, 9, 9, 9}), {}) == std::vector<Bytes>{6, 5, 3, 1});
    CHECK(peaks(limited(pipeline, {2, 2, 2, 2}), {}) == std::vector<Bytes>{4, 3, 2, 1});
    CHECK(peaks(four, {{"warmup", "2"}}) == std::vector<Bytes>{6, 5, 3, 1});
    CHECK(peaks(limited(pipeline, {}), {}) == std::vector<Bytes>{7, 5, 3, 1});
  }
}
