#include "stagecraft/execute/gpu_backend.hpp"

#include <fmt/format.h>

#include <memory>

#include "execute/gpu/gpu_program.hpp"
#include "execute/gpu/gpu_run.hpp"
#include "execute/gpu/stop_point.hpp"
#include "stagecraft/core/check.hpp"
#include "stagecraft/core/hash.hpp"
#include "stagecraft/engine/simulate.hpp"

namespace stagecraft {
namespace {

/// What a ready program depends on. Times count: the plan of buffers follows them.
std::uint64_t key_of(const ExecutionJob& job) {
  Hash hash;
  const auto add = [&hash](auto value) { hash.add(static_cast<std::uint64_t>(value)); };
  for (const Op& op : job.schedule.ops) {
    add(op.kind);
    add(op.direction);
    add(op.partner_direction);
    for (const Unit& unit : {op.unit, op.partner}) {
      add(unit.microbatch);
      add(unit.stage);
      add(unit.slice);
    }
  }
  for (const std::int32_t device : job.schedule.pipeline.device_of_stage) {
    add(device);
  }
  for (const std::int32_t slices : job.schedule.pipeline.slices) {
    add(slices);
  }
  for (const Time duration : job.graph.duration) {
    add(duration);
  }
  for (const Command& command : job.program.commands) {
    add(command.kind);
    add(command.stream);
    add(command.index);
    add(command.done);
  }
  add(job.graph.iterations);
  add(job.program.transport);
  return hash.value();
}

class StageGpuBackend final : public GpuBackend {
 public:
  StageGpuBackend(GpuApi& api, const StageModel& model, const GpuOptions& options, bool divided,
                  std::vector<GpuPartition> partitions)
      : api_(api),
        model_(model),
        options_(options),
        divided_(divided),
        partitions_(std::move(partitions)),
        element_(api.tensor_ops(0).element_size()) {}
  StageGpuBackend(const StageGpuBackend&) = delete;
  StageGpuBackend& operator=(const StageGpuBackend&) = delete;
  ~StageGpuBackend() override { api_.reset(); }

  [[nodiscard]] std::string name() const override {
    const GpuInfo info = api_.gpus()[static_cast<std::size_t>(partitions_.front().gpu)];
    if (divided_) {
      return fmt::format("cuda ({}, {} partitions of {} SMs)", info.name, partitions_.size(),
                         partitions_.front().multiprocessors);
    }
    return fmt::format("cuda ({} x {})", partitions_.size(), info.name);
  }

  [[nodiscard]] Transport transport() const override {
    return divided_ ? Transport::kPush : Transport::kPaired;
  }

  [[nodiscard]] Diagnostics refuse(const ExecutionJob& job) const override {
    const Pipeline& pipeline = job.schedule.pipeline;
    if (static_cast<std::size_t>(pipeline.devices) != partitions_.size()) {
      return {bad_input(fmt::format("the schedule has {} devices, the backend {} partitions",
                                    pipeline.devices, partitions_.size()))};
    }
    if (job.costs.memory.policy == MemoryPolicy::kWait) {
      return {infeasible("ops cannot wait for memory on a GPU: what is issued is issued",
                         "set memory.policy to fail, or use --backend host")};
    }
    if (Diagnostics wrong = check_model(model_, pipeline); !wrong.empty()) {
      return wrong;
    }
    if (Diagnostics wrong = check_plan(job.schedule); !wrong.empty()) {
      return wrong;
    }
    if (job.program.circular) {
      return {
          explain_stop(job.program, job.schedule, job.graph, job.costs, stop_point(job.program))};
    }
    if (Diagnostics wrong = check_program(job.schedule, job.graph, job.program); !wrong.empty()) {
      return wrong;
    }
    std::vector<std::int32_t> gpus;
    gpus.reserve(partitions_.size());
    for (const GpuPartition& partition : partitions_) {
      gpus.push_back(partition.gpu);
    }
    return check_memory(job, model_, plan(job), api_.gpus(), gpus, element_);
  }

  [[nodiscard]] Result<ExecutionRun> run(const ExecutionJob& job) override {
    if (stuck_) {
      return infeasible("the GPU was given up after a run that did not end");
    }
    if (Diagnostics failed = make_ready(job); !failed.empty()) {
      return failed;
    }
    GpuRun run(api_, job, model_, *ready_, state_, options_.graphs);
    Result<ExecutionRun> result = run.run();
    stuck_ = run.stuck();
    if (!result) {
      ready_.reset();
    }
    return result;
  }

  [[nodiscard]] Result<std::vector<float>> gradients(std::int32_t stage,
                                                     Direction direction) override {
    STAGECRAFT_CHECK(ready_ != nullptr, "gradients after a run");
    for (std::size_t d = 0; d < ready_->devices.size(); ++d) {
      for (std::size_t r = 0; r < ready_->devices[d].replicas.size(); ++r) {
        const StageReplica& replica = ready_->devices[d].replicas[r];
        if (replica.stage == stage && replica.direction == direction) {
          return download(ready_->queues[d], ready_->devices[d].weights[r].gradients,
                          stage_parameters(model_, stage));
        }
      }
    }
    return bad_input(fmt::format("there is no stage {}", stage));
  }

 private:
  [[nodiscard]] ModelPlan plan(const ExecutionJob& job) const {
    const SimulationResult times =
        simulate(job.schedule, job.graph, job.costs, {.waits = false, .transfers = false});
    return plan_model(job.schedule, job.graph, job.program, model_, element_, times.timeline.start,
                      times.timeline.end);
  }

  // Memory, queues and events stay from one run of a program to the next.
  Diagnostics make_ready(const ExecutionJob& job) {
    const std::uint64_t key = key_of(job);
    if (ready_ != nullptr && key == key_) {
      return {};
    }
    ready_.reset();
    state_ = {};
    api_.reset();
    const auto devices = static_cast<std::int32_t>(partitions_.size());
    const Result<std::vector<GpuPartition>> partitions =
        divided_ ? api_.divide(options_.gpu, devices) : api_.whole(devices);
    if (!partitions) {
      return partitions.failures();
    }
    Result<GpuProgram> ready = ready_program(api_, job, model_, plan(job), divided_, options_.seed);
    if (!ready) {
      return ready.failures();
    }
    ready_ = std::make_unique<GpuProgram>(std::move(*ready));
    key_ = key;
    return {};
  }

  Result<std::vector<float>> download(Queue queue, const float* from, std::int64_t count) {
    const auto bytes = static_cast<Bytes>(sizeof(float)) * count;
    const Result<void*> staging = api_.allocate_host(bytes);
    if (!staging) {
      return staging.failures();
    }
    api_.copy(queue, *staging, from, bytes);
    if (Diagnostics failed = api_.synchronize(); !failed.empty()) {
      return failed;
    }
    const auto* values = static_cast<const float*>(*staging);
    return std::vector<float>(values, values + count);
  }

  GpuApi& api_;
  const StageModel& model_;
  GpuOptions options_;
  bool divided_;
  std::vector<GpuPartition> partitions_;
  std::int32_t element_;
  std::unique_ptr<GpuProgram> ready_;
  std::uint64_t key_ = 0;
  GpuRunState state_;
  bool stuck_ = false;
};

}  // namespace

Result<std::unique_ptr<GpuBackend>> make_gpu_backend(GpuApi& api, const StageModel& model,
                                                     const Pipeline& pipeline,
                                                     const GpuOptions& options) {
  const bool enough = api.gpus().size() >= static_cast<std::size_t>(pipeline.devices);
  const bool divided = options.use == GpuUse::kDivided || (options.use == GpuUse::kAuto && !enough);
  api.reset();
  Result<std::vector<GpuPartition>> partitions =
      divided ? api.divide(options.gpu, pipeline.devices) : api.whole(pipeline.devices);
  if (!partitions) {
    return partitions.failures();
  }
  return std::unique_ptr<GpuBackend>(
      std::make_unique<StageGpuBackend>(api, model, options, divided, std::move(*partitions)));
}

}  // namespace stagecraft
