#include "execute/gpu/gpu_program.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "stagecraft/core/check.hpp"

namespace stagecraft {
namespace {

/// The half of the producer's op whose result a message carries.
Op sending_half(const ExecutionJob& job, const P2pMessage& message) {
  const Op op = op_of(job.graph, job.schedule, message.producer);
  if (op.kind != OpKind::kOverlapped) {
    return op;
  }
  return message.gradient ? backward_half(op) : forward_half(op);
}

class Ready {
 public:
  Ready(GpuApi& api, const ExecutionJob& job, const StageModel& model, GpuProgram& ready)
      : api_(api), job_(job), model_(model), ready_(ready) {}

  Diagnostics run(std::uint64_t seed) {
    const bool pairs = has_pairs(job_.graph);
    make_queues(pairs);
    make_memory(seed, pairs);
    make_events(pairs);
    size_messages();
    make_channels();
    make_replica_pairs();
    for (std::int32_t d = 0; d < job_.graph.devices && failures_.empty(); ++d) {
      ready_.held.push_back(api_.held(d));
    }
    if (failures_.empty()) {
      failures_ = api_.synchronize();
    }
    return failures_;
  }

 private:
  template <class T, class Place>
  bool keep(const Result<T>& result, Place& place) {
    if (!result) {
      if (failures_.empty()) {
        failures_ = result.failures();
      }
      return false;
    }
    place = *result;
    return true;
  }
  GpuEvent event(std::int32_t partition, bool timed) {
    GpuEvent made = kNone;
    if (failures_.empty()) {
      keep(api_.create_event(partition, timed), made);
    }
    return made;
  }
  EventPair timed(std::int32_t partition) {
    return {event(partition, true), event(partition, true)};
  }

  void make_queues(bool pairs) {
    const std::vector<StreamSpec>& streams = ready_.program.streams;
    ready_.queues.assign(streams.size(), 0);
    ready_.second.assign(static_cast<std::size_t>(job_.graph.devices), kNone);
    for (std::size_t s = 0; s < streams.size() && failures_.empty(); ++s) {
      const bool copies = streams[s].kind != StreamKind::kCompute;
      keep(api_.create_queue(streams[s].device, copies), ready_.queues[s]);
    }
    for (std::int32_t d = 0; d < job_.graph.devices && pairs && failures_.empty(); ++d) {
      keep(api_.create_queue(d, false), ready_.second[static_cast<std::size_t>(d)]);
    }
  }

  void make_memory(std::uint64_t seed, bool pairs) {
    for (std::int32_t d = 0; d < job_.graph.devices && failures_.empty(); ++d) {
      const auto i = static_cast<std::size_t>(d);
      DeviceMemory memory;
      keep(allocate_device(api_, d, ready_.queues[i], model_, job_.schedule.pipeline, seed, pairs,
                           ready_.plan.arena[i], ready_.plan.host_arena[i]),
           memory);
      ready_.devices.push_back(std::move(memory));
    }
  }

  void make_events(bool pairs) {
    const ExecutionProgram& program = ready_.program;
    ready_.events.assign(program.events, kNone);
    ready_.task_times.assign(job_.graph.size(), {});
    ready_.sent_times.assign(program.messages.size(), {});
    ready_.received_times.assign(program.messages.size(), {});
    for (const Command& command : program.commands) {
      const std::int32_t device = program.streams[command.stream].device;
      switch (command.kind) {
        case CommandKind::kOp:
          ready_.task_times[command.index] = timed(device);
          break;
        case CommandKind::kTransfer:
          ready_.sent_times[command.index] = ready_.received_times[command.index] = timed(device);
          break;
        case CommandKind::kExchange:
          time_members(command, timed(device));
          break;
        case CommandKind::kRecord:
          ready_.events[command.index] = event(device, false);
          break;
        case CommandKind::kWait:
          break;
      }
      if (command.done != kNoEvent) {
        ready_.events[command.done] = event(device, false);
      }
    }
    for (std::int32_t d = 0; d < job_.graph.devices; ++d) {
      ready_.base.push_back(event(d, true));
      ready_.fork.push_back(pairs ? event(d, false) : kNone);
      ready_.join.push_back(pairs ? event(d, false) : kNone);
    }
  }

  void time_members(const Command& command, EventPair times) {
    for (std::uint32_t i = command.index; i < command.index + command.count; ++i) {
      const P2pMember& member = ready_.program.members[i];
      (member.send ? ready_.sent_times : ready_.received_times)[member.message] = times;
    }
  }

  void size_messages() {
    for (const P2pMessage& message : ready_.program.messages) {
      const Op half = sending_half(job_, message);
      const std::int32_t m =
          job_.schedule.pipeline.global_microbatch(half.unit.microbatch, half.direction);
      ready_.message_bytes.push_back(Bytes{model_.tokens_of(m, half.unit.slice)} * model_.hidden *
                                     api_.tensor_ops(0).element_size());
    }
  }

  // One channel per (from, to) and kind of link stream; what the calls of rendezvous use shares a
  // communicator for the activations and one for the gradients.
  void make_channels() {
    const ExecutionProgram& program = ready_.program;
    if (program.transport == Transport::kPush || !failures_.empty()) {
      return;
    }
    std::map<std::tuple<std::int32_t, std::int32_t, LinkData>, std::uint32_t> known;
    std::vector<GpuChannelEnds> ends;
    std::vector<std::uint32_t> number(program.messages.size(), kNone);
    for (const Command& command : program.commands) {
      if (command.kind != CommandKind::kExchange) {
        continue;
      }
      const StreamSpec& stream = program.streams[command.stream];
      for (std::uint32_t i = command.index; i < command.index + command.count; ++i) {
        const P2pMember& member = program.members[i];
        const P2pMessage& message = program.messages[member.message];
        const auto [place, fresh] =
            known.try_emplace({message.from_device, message.to_device, stream.data},
                              static_cast<std::uint32_t>(ends.size()));
        if (fresh) {
          const std::int32_t call = stream.data == LinkData::kGradients ? 1 : 0;
          ends.push_back({message.from_device, message.to_device, stream.peer < 0 ? call : -1});
        }
        number[member.message] = place->second;
      }
    }
    std::vector<GpuChannel> channels;
    if (ends.empty() || !keep(api_.create_channels(ends), channels)) {
      return;
    }
    for (const std::uint32_t channel : number) {
      ready_.sends.push_back(channels[channel]);
    }
  }

  void make_replica_pairs() {
    const Pipeline& pipeline = job_.schedule.pipeline;
    if (!pipeline.bidirectional() || !job_.graph.iteration_end || !failures_.empty()) {
      return;
    }
    ready_.pairs.resize(static_cast<std::size_t>(pipeline.devices));
    for (std::int32_t d = 0; d < pipeline.devices; ++d) {
      ready_.reduce_ready.push_back(event(d, false));
      ready_.reduce_done.push_back(event(d, false));
      const std::int32_t other = pipeline.devices - 1 - d;
      ReplicaPair& pair = ready_.pairs[static_cast<std::size_t>(d)];
      pair = {std::min(d, other), std::max(d, other), kNone};
      if (d > other) {
        pair.reduction = ready_.pairs[static_cast<std::size_t>(other)].reduction;
      } else if (d < other && !ready_.divided && failures_.empty()) {
        keep(api_.create_reduction({d, other}), pair.reduction);
      }
    }
  }

  GpuApi& api_;
  const ExecutionJob& job_;
  const StageModel& model_;
  GpuProgram& ready_;
  Diagnostics failures_;
};

}  // namespace

bool has_pairs(const TaskGraph& graph) {
  return std::find(graph.kind.begin(), graph.kind.end(), OpKind::kOverlapped) != graph.kind.end();
}

Diagnostics check_memory(const ExecutionJob& job, const StageModel& model, const ModelPlan& plan,
                         const std::vector<GpuInfo>& gpus,
                         const std::vector<std::int32_t>& gpu_of_device,
                         std::int32_t element_size) {
  const bool pairs = has_pairs(job.graph);
  std::vector<Bytes> needed(gpus.size(), 0);
  for (std::int32_t d = 0; d < job.graph.devices; ++d) {
    const auto i = static_cast<std::size_t>(d);
    needed[static_cast<std::size_t>(gpu_of_device[i])] +=
        device_bytes(model, job.schedule.pipeline, d, element_size).all(pairs) + plan.arena[i];
  }
  Diagnostics problems;
  for (std::size_t gpu = 0; gpu < gpus.size(); ++gpu) {
    if (needed[gpu] > gpus[gpu].memory) {
      problems.push_back(infeasible(
          fmt::format("the stages need {} bytes on GPU {} ({}), which has {}", needed[gpu], gpu,
                      gpus[gpu].name, gpus[gpu].memory),
          "fewer tokens, micro-batches in flight or layers, or a schedule that holds less"));
    }
  }
  return problems;
}

Result<GpuProgram> ready_program(GpuApi& api, const ExecutionJob& job, const StageModel& model,
                                 ModelPlan plan, bool divided, std::uint64_t seed) {
  GpuProgram ready;
  ready.program = with_plan(job.program, plan);
  ready.plan = std::move(plan);
  ready.divided = divided;
  if (Diagnostics failures = Ready(api, job, model, ready).run(seed); !failures.empty()) {
    return failures;
  }
  return ready;
}

}  // namespace stagecraft
