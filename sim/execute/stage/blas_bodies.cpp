// The host backend with stages as op bodies: a planned program, arenas of plain memory, messages
// and offloads as memory copies.
#include "stagecraft/execute/blas_bodies.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <new>
#include <tuple>
#include <utility>

#include "execute/stage/host_memory.hpp"
#include "stagecraft/core/check.hpp"
#include "stagecraft/engine/simulate.hpp"
#include "stagecraft/execute/host_backend.hpp"
#include "stagecraft/execute/model_plan.hpp"
#include "stagecraft/execute/planned_ops.hpp"

namespace stagecraft {
namespace {

constexpr std::int32_t kElement = sizeof(float);

using Replica = std::pair<std::int32_t, Direction>;  // stage, direction

/// All that a run works on.
class HostTraining final : public OpBodies {
 public:
  HostTraining(const StageModel& model, const BlasOptions& options, const ExecutionJob& job,
               const ModelPlan& plan, TensorOps& ops)
      : model_(model),
        options_(options),
        pipeline_(job.schedule.pipeline),
        graph_(job.graph),
        messages_(job.program.messages),
        plan_(plan),
        ops_(ops) {
    for (std::int32_t d = 0; d < pipeline_.devices; ++d) {
      const auto i = static_cast<std::size_t>(d);
      arenas_.emplace_back(plan.arena[i]);
      hosts_.emplace_back(plan.host_arena[i]);
      workspaces_.emplace_back(device_workspace(model, pipeline_, d, kElement));
    }
    for (std::int32_t s = 0; s < pipeline_.stages; ++s) {
      for (const Direction d : directions()) {
        weights_.emplace(Replica{s, d}, initial_weights(model, s, options.seed));
      }
    }
    if (pipeline_.bidirectional()) {
      sums_ = std::vector<Sum>(static_cast<std::size_t>(pipeline_.stages));
    }
    for (std::int32_t m = 0; m < pipeline_.microbatches; ++m) {
      std::vector<std::vector<float>>& slices = inputs_.emplace_back();
      for (std::int32_t q = 0; q < pipeline_.slices_of(m); ++q) {
        slices.push_back(initial_input(model, m, q, options.seed));
      }
    }
    if (options.keep_gradients) {
      kept_.resize(static_cast<std::size_t>(job.graph.iterations));
      for (auto& iteration : kept_) {
        for (const auto& [replica, weights] : weights_) {
          iteration[replica];  // so that devices find their entries without changing the map
        }
      }
    }
  }

  void run(OpIndex task, const Op& op, std::int32_t device) override {
    switch (op.kind) {
      case OpKind::kGradientReduce:
        return;  // its end tells the other replica that these gradients are complete
      case OpKind::kOptimizer:
        return step(device, graph_.origin(task).iteration);
      case OpKind::kOffload:
      case OpKind::kReload:
        return copy(plan_.uses_of(task).front(), device);
      default:
        for (const PlannedUse& use : plan_.uses_of(task)) {
          run_planned(view(device), model_, pipeline_, use);
        }
    }
  }

  void transfer(const P2pMessage& message) override {
    const auto i = static_cast<std::size_t>(number(message));
    const PlannedSlot& from = plan_.message_source[i];
    const PlannedSlot& to = plan_.message_slot[i];
    std::memcpy(arena(message.to_device) + to.offset, arena(message.from_device) + from.offset,
                static_cast<std::size_t>(from.bytes));
  }

  /// Runs without U leave their gradients in place.
  void finish() {
    if (!graph_.iteration_end && options_.keep_gradients) {
      for (std::int32_t s = 0; s < pipeline_.stages && pipeline_.bidirectional(); ++s) {
        sum_replicas(s, 0);
      }
      for (const auto& [replica, weights] : weights_) {
        kept_[0][replica] = weights.gradients;
      }
    }
  }

  [[nodiscard]] Bytes held(std::int32_t device) const {
    const auto i = static_cast<std::size_t>(device);
    Bytes bytes = arenas_[i].bytes() + workspaces_[i].bytes();
    for (const auto& [replica, weights] : weights_) {
      bytes += pipeline_.device(replica.first, replica.second) == device ? weights.bytes() : 0;
    }
    return bytes;
  }

  [[nodiscard]] std::vector<std::map<Replica, std::vector<float>>> take_gradients() {
    return std::move(kept_);
  }

 private:
  [[nodiscard]] std::vector<Direction> directions() const {
    return pipeline_.bidirectional() ? std::vector{Direction::kDown, Direction::kUp}
                                     : std::vector{Direction::kOnly};
  }
  [[nodiscard]] std::byte* arena(std::int32_t device) const {
    return arenas_[static_cast<std::size_t>(device)].data();
  }

  [[nodiscard]] StageDevice view(std::int32_t device) {
    const AlignedBytes& workspace = workspaces_[static_cast<std::size_t>(device)];
    return {
        ops_,
        0,
        arena(device),
        {workspace.data(), workspace.bytes()},
        [this](std::int32_t stage, Direction d) { return weights_.at(Replica{stage, d}).view(); },
        [this](std::int32_t microbatch, std::int32_t slice) -> const void* {
          return inputs_[static_cast<std::size_t>(microbatch)][static_cast<std::size_t>(slice)]
              .data();
        }};
  }

  void copy(const PlannedUse& use, std::int32_t device) {
    const PlannedSlot slot = offloaded_slot(use);
    std::byte* here = arena(device) + slot.offset;
    std::byte* host = hosts_[static_cast<std::size_t>(device)].data() + use.host_offset;
    const bool out = use.op.kind == OpKind::kOffload;
    std::memcpy(out ? host : here, out ? here : host, static_cast<std::size_t>(slot.bytes));
  }

  [[nodiscard]] std::ptrdiff_t number(const P2pMessage& message) const {
    const auto key = [](const P2pMessage& m) { return std::tuple(m.producer, m.consumer); };
    auto at =
        std::lower_bound(messages_.begin(), messages_.end(), message,
                         [&](const P2pMessage& a, const P2pMessage& b) { return key(a) < key(b); });
    while (at != messages_.end() && key(*at) == key(message) && at->gradient != message.gradient) {
      ++at;
    }
    STAGECRAFT_CHECK(at != messages_.end() && key(*at) == key(message), "a message of the program");
    return at - messages_.begin();
  }

  template <typename Visit>
  void for_each_replica(std::int32_t device, Visit&& visit) {
    for (auto& [replica, weights] : weights_) {
      if (pipeline_.device(replica.first, replica.second) == device) {
        visit(replica, weights);
      }
    }
  }

  /// Whoever needs the sum of both replicas first makes it, for both. By then both have done G
  /// (plan_model), and neither touches its gradients between G and its own U, which waits here.
  void sum_replicas(std::int32_t stage, std::int32_t iteration) {
    Sum& sum = sums_[static_cast<std::size_t>(stage)];
    const std::lock_guard lock(sum.mutex);
    if (sum.made <= iteration) {
      sum_gradients(ops_, weights_.at({stage, Direction::kDown}),
                    weights_.at({stage, Direction::kUp}));
      sum.made = iteration + 1;
    }
  }

  /// The stages that it has in the down direction first: the other device begins with the rest.
  void sum_replicas_of(std::int32_t device, std::int32_t iteration) {
    for (const Direction d : {Direction::kDown, Direction::kUp}) {
      for (std::int32_t s = 0; s < pipeline_.stages; ++s) {
        if (pipeline_.device(s, d) == device) {
          sum_replicas(s, iteration);
        }
      }
    }
  }

  void step(std::int32_t device, std::int32_t iteration) {
    const StageDevice here = view(device);
    if (pipeline_.bidirectional()) {
      sum_replicas_of(device, iteration);
    }
    for_each_replica(device, [&](const Replica& replica, HostWeights& weights) {
      if (options_.keep_gradients) {
        kept_[static_cast<std::size_t>(iteration)].at(replica) = weights.gradients;
      }
      stage_optimizer({ops_, 0, model_, replica.first, weights.view(), {}, here.workspace},
                      options_.rate, iteration + 1);
    });
  }

  /// Of a stage's gradients over its replicas.
  struct Sum {
    std::mutex mutex;
    std::int32_t made = 0;  // iterations
  };

  const StageModel& model_;
  const BlasOptions& options_;
  const Pipeline& pipeline_;
  const TaskGraph& graph_;
  const std::vector<P2pMessage>& messages_;
  const ModelPlan& plan_;
  TensorOps& ops_;
  std::vector<AlignedBytes> arenas_, hosts_, workspaces_;  // [P]
  std::map<Replica, HostWeights> weights_;
  std::vector<Sum> sums_;                                    // [stages] of a bidirectional pipeline
  std::vector<std::vector<std::vector<float>>> inputs_;      // [M][slices]
  std::vector<std::map<Replica, std::vector<float>>> kept_;  // [iterations]
};

class BlasHostBackend final : public BlasBackend {
 public:
  BlasHostBackend(StageModel model, const BlasOptions& options)
      : model_(std::move(model)), options_(options), ops_(make_host_tensor_ops()) {}

  [[nodiscard]] std::string name() const override {
    return "host (stages in float32, " + blas_name() + ")";
  }

  [[nodiscard]] Diagnostics refuse(const ExecutionJob& job) const override {
    Diagnostics problems = check_model(model_, job.schedule.pipeline);
    for (const Diagnostics& more :
         {check_plan(job.schedule), check_program(job.schedule, job.graph, job.program)}) {
      problems.insert(problems.end(), more.begin(), more.end());
    }
    if (job.program.transport != Transport::kPush) {
      problems.push_back(bad_input("the host backend runs programs that push their messages"));
    }
    return problems;
  }

  [[nodiscard]] Result<ExecutionRun> run(const ExecutionJob& job) override {
    if (Diagnostics problems = refuse(job); !problems.empty()) {
      return problems;
    }
    try {
      return train(job);
    } catch (const std::bad_alloc&) {
      return infeasible("the host has not enough memory for the model's weights and activations",
                        "a smaller `execute:` section, or fewer micro-batches");
    }
  }

  [[nodiscard]] const std::vector<float>& gradients(std::int32_t iteration, std::int32_t stage,
                                                    Direction direction) const override {
    STAGECRAFT_CHECK(static_cast<std::size_t>(iteration) < gradients_.size(),
                     "an iteration of a run that kept its gradients");
    return gradients_[static_cast<std::size_t>(iteration)].at({stage, direction});
  }

 private:
  [[nodiscard]] Result<ExecutionRun> train(const ExecutionJob& job) {
    const SimulationResult predicted =
        simulate(job.schedule, job.graph, job.costs, {.waits = false, .transfers = false});
    const ModelPlan plan = plan_model(job.schedule, job.graph, job.program, model_, kElement,
                                      predicted.timeline.start, predicted.timeline.end);
    const ExecutionProgram planned = with_plan(job.program, plan);
    HostTraining training(model_, options_, job, plan, *ops_);
    TaskGraph graph = job.graph;  // messages take what their copies take
    std::fill(graph.crossing_latency.begin(), graph.crossing_latency.end(), Time{0});
    Result<ExecutionRun> run =
        make_host_backend(training, name())
            ->run({job.schedule, graph, job.costs, planned, job.watchdog, job.interrupted});
    if (!run) {
      return run;
    }
    training.finish();
    run->next = without_plan(job.program, planned, run->next);
    for (std::int32_t d = 0; d < job.schedule.pipeline.devices; ++d) {
      run->held.push_back(training.held(d));
    }
    gradients_ = training.take_gradients();
    return run;
  }

  StageModel model_;
  BlasOptions options_;
  std::unique_ptr<TensorOps> ops_;
  std::vector<std::map<Replica, std::vector<float>>> gradients_;  // [iterations]
};

}  // namespace

std::unique_ptr<BlasBackend> make_blas_backend(const StageModel& model,
                                               const BlasOptions& options) {
  return std::make_unique<BlasHostBackend>(model, options);
}

}  // namespace stagecraft
