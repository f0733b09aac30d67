// What the gradients of a bidirectional pipeline's replicas add to a program: waits, and circles.
#include <fmt/format.h>

#include "execute/stage/plan_buffers.hpp"

namespace stagecraft {
namespace {

/// G of a device in an iteration: every pass ends with G and U.
OpIndex reduction_of(const TaskGraph& graph, std::int32_t device, std::int32_t iteration) {
  const auto d = static_cast<std::size_t>(device);
  const std::size_t pass = graph.schedule_offsets[d + 1] - graph.schedule_offsets[d] + 2;
  return static_cast<OpIndex>(graph.offsets[d] + (static_cast<std::size_t>(iteration) + 1) * pass -
                              2);
}

}  // namespace

std::vector<ModelPlan::Wait> replica_waits(const Pipeline& pipeline, const TaskGraph& graph,
                                           const CommandIndex& commands) {
  std::vector<ModelPlan::Wait> waits;
  if (!pipeline.bidirectional() || !graph.iteration_end) {
    return waits;
  }
  for (std::int32_t device = 0; device < pipeline.devices; ++device) {
    const std::int32_t mirror = pipeline.devices - 1 - device;
    for (std::int32_t i = 0; i < graph.iterations && mirror != device; ++i) {
      const OpIndex step = reduction_of(graph, device, i) + 1;
      waits.push_back({commands.task[step], commands.task[reduction_of(graph, mirror, i)]});
    }
  }
  return waits;
}

Diagnostics check_program(const Schedule& schedule, const TaskGraph& graph,
                          const ExecutionProgram& program) {
  const CommandIndex commands(program);
  const std::vector<ModelPlan::Wait> waits = replica_waits(schedule.pipeline, graph, commands);
  if (waits.empty() || program.circular) {
    return {};
  }
  const std::vector<Time> any(graph.size(), 0);
  const CommandOrder order = order_by_time(program, commands, waits, any, any);
  const auto ended = [&](std::uint32_t command) {
    return order.done[command] < program.commands.size();
  };
  for (const ModelPlan::Wait& wait : waits) {
    // The first U of a circle has its own device's G behind it.
    const OpIndex step = program.commands[wait.command].index;
    if (!ended(wait.until) && ended(commands.task[step - 1])) {
      const OpIndex reduction = program.commands[wait.until].index;
      return {infeasible(
          fmt::format("deadlock: the optimizer step of device {} in iteration {} needs the "
                      "gradients of the other replica on device {}, where a call before the "
                      "gradient reduction waits for what follows that step",
                      graph.device[step], graph.origin(step).iteration, graph.device[reduction]),
          "turn optimizer.post_validation off, or choose a mode of communication without calls")};
    }
  }
  return {};
}

}  // namespace stagecraft
