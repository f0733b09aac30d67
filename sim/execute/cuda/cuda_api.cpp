#include "execute/cuda/cuda_api.hpp"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <thread>

#include "stagecraft/core/check.hpp"

namespace stagecraft {

CudaApi::CudaApi(const DriverCalls& driver, std::vector<GpuInfo> gpus)
    : driver_(driver), gpus_(std::move(gpus)) {}

CudaApi::~CudaApi() {
  reset();
}

bool CudaApi::ok(const char* call, cudaError_t status) {
  if (status != cudaSuccess) {
    errors_.note(call, cudaGetErrorString(status));
    static_cast<void>(cudaGetLastError());  // noted; libraries that peek shall not see it again
  }
  return status == cudaSuccess;
}

// The runtime keeps "not ready", an answer, as its last error; whoever peeks would take it for one.
bool CudaApi::still_running(cudaError_t status) {
  if (status != cudaErrorNotReady) {
    return false;
  }
  static_cast<void>(cudaGetLastError());
  return true;
}

bool CudaApi::ok(const char* call, CUresult status) {
  if (status != CUDA_SUCCESS) {
    errors_.note(call, driver_.text(status));
  }
  return status == CUDA_SUCCESS;
}

Diagnostics CudaApi::failure() {
  Diagnostics result = errors_.take();
  STAGECRAFT_CHECK(!result.empty(), "a call failed");
  return result;
}

CudaApi::Partition& CudaApi::part(std::int32_t partition) {
  return partitions_[static_cast<std::size_t>(partition)];
}

void CudaApi::activate(std::int32_t partition) {
  if (active_ != partition) {
    active_ = partition;
    ok("cuCtxSetCurrent", driver_.set_current(part(partition).context));
  }
}

Result<Queue> CudaApi::create_queue(std::int32_t partition, bool copies) {
  activate(partition);
  cudaStream_t stream = nullptr;
  Partition& owner = part(partition);
  const bool made = owner.green != nullptr
                        ? ok("cuGreenCtxStreamCreate",
                             driver_.green_stream(&stream, owner.green, CU_STREAM_NON_BLOCKING, 0))
                        : ok("cudaStreamCreateWithFlags",
                             cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  if (!made) {
    return failure();
  }
  const auto queue = static_cast<Queue>(streams_.size());
  streams_.push_back({stream, partition});
  if (!copies) {
    if (Diagnostics wrong = owner.ops->prepare(queue); !wrong.empty()) {
      return wrong;
    }
    owner.held +=
        cuda_workspace_bytes(gpus_[static_cast<std::size_t>(owner.info.gpu)].compute_capability);
  }
  return queue;
}

Result<GpuEvent> CudaApi::create_event(std::int32_t partition, bool timed) {
  activate(partition);
  cudaEvent_t event = nullptr;
  if (!ok("cudaEventCreateWithFlags",
          cudaEventCreateWithFlags(&event, timed ? cudaEventDefault : cudaEventDisableTiming))) {
    return failure();
  }
  events_.push_back({event, partition});
  return static_cast<GpuEvent>(events_.size() - 1);
}

void CudaApi::record(Queue queue, GpuEvent event) {
  STAGECRAFT_CHECK(streams_[queue].partition == events_[event].partition,
                   "an event of the queue's partition");
  activate(streams_[queue].partition);
  ok("cudaEventRecord", cudaEventRecord(events_[event].event, streams_[queue].stream));
}

void CudaApi::wait(Queue queue, GpuEvent event) {
  activate(streams_[queue].partition);
  ok("cudaStreamWaitEvent", cudaStreamWaitEvent(streams_[queue].stream, events_[event].event, 0));
}

bool CudaApi::reached(GpuEvent event) {
  if (abandoned_ || errors_.any()) {
    return true;
  }
  activate(events_[event].partition);
  const cudaError_t status = cudaEventQuery(events_[event].event);
  if (still_running(status)) {
    if (channels_ != nullptr) {
      channels_->check();
    }
    return errors_.any();
  }
  ok("cudaEventQuery", status);
  return true;
}

Time CudaApi::elapsed(GpuEvent from, GpuEvent to) {
  STAGECRAFT_CHECK(events_[from].partition == events_[to].partition, "events of one partition");
  activate(events_[from].partition);
  float milliseconds = 0.0F;
  if (!ok("cudaEventElapsedTime",
          cudaEventElapsedTime(&milliseconds, events_[from].event, events_[to].event))) {
    return 0;
  }
  return std::llround(static_cast<double>(milliseconds) * 1e6);
}

Result<void*> CudaApi::allocate(std::int32_t partition, Bytes bytes) {
  activate(partition);
  void* data = nullptr;
  const cudaError_t status = cudaMalloc(&data, static_cast<std::size_t>(bytes));
  if (status == cudaErrorMemoryAllocation) {
    static_cast<void>(cudaGetLastError());  // an answer, not a fault
    std::size_t free = 0;
    std::size_t total = 0;
    ok("cudaMemGetInfo", cudaMemGetInfo(&free, &total));
    return infeasible(fmt::format("GPU {} has no room for {} bytes: {} of {} are free",
                                  part(partition).info.gpu, bytes, free, total));
  }
  if (!ok("cudaMalloc", status)) {
    return failure();
  }
  memory_.emplace_back(data, partition);
  part(partition).held += bytes;
  return data;
}

Result<void*> CudaApi::allocate_host(Bytes bytes) {
  void* data = nullptr;
  const cudaError_t status =
      cudaHostAlloc(&data, static_cast<std::size_t>(bytes), cudaHostAllocPortable);
  if (status == cudaErrorMemoryAllocation) {
    static_cast<void>(cudaGetLastError());
    return infeasible(fmt::format("the host has no room for {} bytes of pinned memory", bytes));
  }
  if (!ok("cudaHostAlloc", status)) {
    return failure();
  }
  host_memory_.push_back(data);
  return data;
}

Bytes CudaApi::held(std::int32_t partition) const {
  return partitions_[static_cast<std::size_t>(partition)].held;
}

void CudaApi::copy(Queue queue, void* to, const void* from, Bytes bytes) {
  activate(streams_[queue].partition);
  ok("cudaMemcpyAsync", cudaMemcpyAsync(to, from, static_cast<std::size_t>(bytes),
                                        cudaMemcpyDefault, streams_[queue].stream));
}

// From pageable memory the runtime returns when it has staged everything.
void CudaApi::upload(Queue queue, void* to, const void* from, Bytes bytes) {
  activate(streams_[queue].partition);
  ok("cudaMemcpyAsync", cudaMemcpyAsync(to, from, static_cast<std::size_t>(bytes),
                                        cudaMemcpyHostToDevice, streams_[queue].stream));
}

TensorOps& CudaApi::tensor_ops(std::int32_t partition) {
  activate(partition);
  return *part(partition).ops;
}

void CudaApi::begin_capture(Queue queue) {
  activate(streams_[queue].partition);
  ok("cudaStreamBeginCapture",
     cudaStreamBeginCapture(streams_[queue].stream, cudaStreamCaptureModeRelaxed));
}

Result<GpuGraph> CudaApi::end_capture(Queue queue) {
  activate(streams_[queue].partition);
  cudaGraph_t graph = nullptr;
  if (!ok("cudaStreamEndCapture", cudaStreamEndCapture(streams_[queue].stream, &graph))) {
    return failure();
  }
  cudaGraphExec_t exec = nullptr;
  const bool made = !errors_.any() &&  // of what was to be captured
                    ok("cudaGraphInstantiate", cudaGraphInstantiate(&exec, graph, 0)) &&
                    ok("cudaGraphUpload", cudaGraphUpload(exec, streams_[queue].stream));
  ok("cudaGraphDestroy", cudaGraphDestroy(graph));
  if (!made || errors_.any()) {
    if (exec != nullptr) {
      static_cast<void>(cudaGraphExecDestroy(exec));
    }
    return failure();
  }
  graphs_.push_back({exec, streams_[queue].partition});
  return static_cast<GpuGraph>(graphs_.size() - 1);
}

// What is wrong beyond the graph itself shows in what is issued instead.
bool CudaApi::launch(Queue queue, GpuGraph graph) {
  activate(streams_[queue].partition);
  if (cudaGraphLaunch(graphs_[graph].exec, streams_[queue].stream) == cudaSuccess) {
    return true;
  }
  static_cast<void>(cudaGetLastError());
  return false;
}

void CudaApi::hold(Queue queue) {
  activate(streams_[queue].partition);
  ok("cudaLaunchHostFunc", cudaLaunchHostFunc(streams_[queue].stream, Gate::pass, gate_->ticket()));
}

void CudaApi::resume() {
  gate_->open();
}

Result<CudaChannels*> CudaApi::channels() {
  if (channels_ == nullptr) {
    std::vector<int> gpus;
    for (const Partition& partition : partitions_) {
      STAGECRAFT_CHECK(partition.green == nullptr, "channels are between whole GPUs");
      gpus.push_back(partition.info.gpu);
    }
    Result<std::unique_ptr<CudaChannels>> opened = open_cuda_channels(
        std::move(gpus), [this](std::int32_t partition) { activate(partition); }, errors_);
    if (!opened) {
      return opened.failures();
    }
    channels_ = std::move(*opened);
  }
  active_ = -1;  // NCCL may leave another context current
  return channels_.get();
}

Result<std::vector<GpuChannel>> CudaApi::create_channels(const std::vector<GpuChannelEnds>& ends) {
  const Result<CudaChannels*> channels = this->channels();
  if (!channels) {
    return channels.failures();
  }
  Result<std::vector<GpuChannel>> created = (*channels)->create(ends);
  active_ = -1;
  return created;
}

void CudaApi::exchange(Queue queue, const std::vector<GpuExchange>& members) {
  activate(streams_[queue].partition);
  std::vector<CudaChannels::Member> all;
  all.reserve(members.size());
  for (const GpuExchange& member : members) {
    all.push_back({member.send, member.channel, member.data, member.bytes});
  }
  channels_->exchange(streams_[queue].stream, all);
  active_ = -1;
}

Result<GpuReduction> CudaApi::create_reduction(const std::vector<std::int32_t>& partitions) {
  const Result<CudaChannels*> channels = this->channels();
  if (!channels) {
    return channels.failures();
  }
  Result<GpuReduction> created = (*channels)->create_reduction(partitions);
  active_ = -1;
  return created;
}

void CudaApi::all_reduce(GpuReduction reduction, const std::vector<GpuSummand>& summands,
                         std::int64_t count) {
  std::vector<CudaChannels::Summand> all;
  all.reserve(summands.size());
  for (const GpuSummand& summand : summands) {
    all.push_back({streams_[summand.queue].stream, summand.data});
  }
  channels_->all_reduce(reduction, all, count);
  active_ = -1;
}

// Streams are asked, not waited for: a wait in the driver cannot be given up.
Diagnostics CudaApi::synchronize(Time limit) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::nanoseconds(limit);
  for (const Stream& stream : streams_) {
    while (!abandoned_ && !errors_.any()) {
      activate(stream.partition);
      const cudaError_t status = cudaStreamQuery(stream.stream);
      if (!still_running(status)) {
        ok("cudaStreamQuery", status);
        break;
      }
      if (channels_ != nullptr) {
        channels_->check();
      }
      if (std::chrono::steady_clock::now() > end) {
        abandon();
        break;
      }
      std::this_thread::sleep_for(std::chrono::microseconds(20));
    }
  }
  return errors_.take();
}

}  // namespace stagecraft
