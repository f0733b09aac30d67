#include <cstdio>

#include <stagecraft/engine/evaluate.hpp>
#include <stagecraft/generators/generator.hpp>

int main() {
  const stagecraft::Pipeline pipeline =
      *stagecraft::make_pipeline(4, 1, 8, stagecraft::PlacementKind::kLoop);
  const stagecraft::CostTable costs = stagecraft::uniform_costs(pipeline, 1000, 1000, 1000);
  const auto schedule = stagecraft::generate("1f1b", {pipeline, costs, {}});
  std::printf("%lld\n", static_cast<long long>(stagecraft::evaluate(*schedule, costs).makespan));
}
