#include "report/sample.hpp"

#include <utility>

#include "stagecraft/engine/evaluate.hpp"
#include "stagecraft/generators/generator.hpp"

namespace stagecraft::test {

Run sample_run(const Schedule& schedule, const CostTable& costs) {
  PreparedRun prepared;
  prepared.scenario = "sample";
  prepared.schedule = schedule.name;
  prepared.pipeline = schedule.pipeline;
  prepared.costs = costs;
  return make_run(prepared, evaluate(schedule, costs));
}

CostTable sample_costs(const Pipeline& pipeline) {
  constexpr Bytes kGiB = Bytes{1} << 30U;
  CostTable costs =
      uniform_costs(pipeline, 2 * kMicrosecond, 2 * kMicrosecond, kMicrosecond, kMicrosecond / 2);
  costs.memory.forward = Grid::constant(2 * kGiB);
  costs.memory.backward_input = Grid::constant(-kGiB);
  costs.memory.backward_weight = Grid::constant(-kGiB);
  costs.memory.capacity.assign(static_cast<std::size_t>(pipeline.devices), 20 * kGiB);
  return costs;
}

Run sample_run(const std::string& schedule) {
  const Pipeline pipeline = make_pipeline(4, 1, 8, PlacementKind::kLoop).value();
  const CostTable costs = sample_costs(pipeline);
  return sample_run(generate(schedule, {pipeline, costs, {}}).value(), costs);
}

}  // namespace stagecraft::test
