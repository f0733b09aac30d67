// Partitions of GPUs: whole ones with peer access, or green contexts of one.
#include <fmt/format.h>

#include <algorithm>

#include "execute/cuda/cuda_api.hpp"
#include "stagecraft/core/check.hpp"

namespace stagecraft {

Diagnostics CudaApi::check_gpu(std::int32_t gpu, std::int32_t count) const {
  STAGECRAFT_CHECK(partitions_.empty(), "divide and whole come after reset");
  STAGECRAFT_CHECK(count > 0, "a positive number of partitions");
  if (abandoned_) {
    return {infeasible("the GPU was given up after work on it did not end")};
  }
  if (gpu < 0 || static_cast<std::size_t>(gpu) >= gpus_.size()) {
    return {bad_input(fmt::format("there is no GPU {}; this machine has {}", gpu, gpus_.size()))};
  }
  return {};
}

// The primary context, made and current: cudaFree(0) is the documented way to make it.
bool CudaApi::make_primary(std::int32_t gpu, CUcontext& context) {
  active_ = -1;
  return ok("cudaSetDevice", cudaSetDevice(gpu)) && ok("cudaFree", cudaFree(nullptr)) &&
         ok("cuCtxGetCurrent", driver_.get_current(&context));
}

// Groups of multiprocessors of equal size, as many as asked for. The driver may make fewer groups
// than the sizes alone allow (it keeps them symmetric over the GPU's clusters), so the size goes
// down until there are enough.
Result<std::vector<CUdevResource>> CudaApi::split(std::int32_t gpu, std::int32_t count) {
  CUdevice device = 0;
  CUdevResource all{};
  if (!ok("cuDeviceGet", driver_.device(&device, gpu)) ||
      !ok("cuDeviceGetDevResource",
          driver_.device_resource(device, &all, CU_DEV_RESOURCE_TYPE_SM))) {
    return failure();
  }
  const unsigned least = std::max(1U, all.sm.minSmPartitionSize);
  const unsigned step = std::max(1U, all.sm.smCoscheduledAlignment);
  const auto wanted = static_cast<unsigned>(count);
  for (unsigned size = all.sm.smCount / wanted / step * step; size >= least; size -= step) {
    unsigned groups = 0;
    if (!ok("cuDevSmResourceSplitByCount",
            driver_.split(nullptr, &groups, &all, nullptr, 0, size))) {
      return failure();
    }
    if (groups >= wanted) {
      std::vector<CUdevResource> result(wanted);
      groups = wanted;
      if (!ok("cuDevSmResourceSplitByCount",
              driver_.split(result.data(), &groups, &all, nullptr, 0, size))) {
        return failure();
      }
      if (groups == wanted) {
        return result;
      }
    }
    if (size < step) {
      break;
    }
  }
  unsigned most = 0;
  if (!ok("cuDevSmResourceSplitByCount", driver_.split(nullptr, &most, &all, nullptr, 0, least))) {
    return failure();
  }
  return infeasible(
      fmt::format("{} cannot be divided into {} partitions: it has {} multiprocessors, and the "
                  "driver makes partitions of at least {} (in steps of {})",
                  gpus_[static_cast<std::size_t>(gpu)].name, count, all.sm.smCount, least, step),
      fmt::format("at most {} partitions fit", most));
}

bool CudaApi::make_green(std::int32_t gpu, CUcontext primary, CUdevResource& resource) {
  CUdevice device = 0;
  CUdevResourceDesc description = nullptr;
  Partition partition;
  partition.info = {gpu, static_cast<std::int32_t>(resource.sm.smCount)};
  partition.primary = primary;
  if (!ok("cuDeviceGet", driver_.device(&device, gpu)) ||
      !ok("cuDevResourceGenerateDesc", driver_.describe(&description, &resource, 1)) ||
      !ok("cuGreenCtxCreate", driver_.green_create(&partition.green, description, device,
                                                   CU_GREEN_CTX_DEFAULT_STREAM))) {
    return false;
  }
  const bool made =
      ok("cuCtxFromGreenCtx", driver_.green_context(&partition.context, partition.green));
  partitions_.push_back(std::move(partition));
  return made;
}

Result<std::vector<GpuPartition>> CudaApi::divide(std::int32_t gpu, std::int32_t count) {
  if (Diagnostics wrong = check_gpu(gpu, count); !wrong.empty()) {
    return wrong;
  }
  CUcontext primary = nullptr;
  if (!make_primary(gpu, primary)) {
    return failure();
  }
  if (count == 1) {
    Partition all;
    all.info = {gpu, gpus_[static_cast<std::size_t>(gpu)].multiprocessors};
    all.context = primary;
    partitions_.push_back(std::move(all));
    return finish_partitions();
  }
  Result<std::vector<CUdevResource>> groups = split(gpu, count);
  if (!groups) {
    return groups.failures();
  }
  for (CUdevResource& group : *groups) {
    if (!make_green(gpu, primary, group)) {
      return failure();
    }
  }
  return finish_partitions();
}

Result<std::vector<GpuPartition>> CudaApi::whole(std::int32_t count) {
  if (Diagnostics wrong = check_gpu(0, count); !wrong.empty()) {
    return wrong;
  }
  if (static_cast<std::size_t>(count) > gpus_.size()) {
    return infeasible(
        fmt::format("{} devices need as many GPUs, this machine has {}", count, gpus_.size()),
        fmt::format("at most {} devices fit; or divide one GPU: --gpus divided", gpus_.size()));
  }
  for (std::int32_t gpu = 0; gpu < count; ++gpu) {
    Partition all;
    all.info = {gpu, gpus_[static_cast<std::size_t>(gpu)].multiprocessors};
    if (!make_primary(gpu, all.context)) {
      return failure();
    }
    partitions_.push_back(std::move(all));
  }
  connect_peers();
  return finish_partitions();
}

// Where two GPUs have no peer access, copies go through the host by themselves.
void CudaApi::connect_peers() {
  for (std::size_t p = 0; p < partitions_.size(); ++p) {
    activate(static_cast<std::int32_t>(p));
    for (std::size_t q = 0; q < partitions_.size(); ++q) {
      int possible = 0;
      const int own = partitions_[p].info.gpu;
      const int other = partitions_[q].info.gpu;
      if (p == q ||
          !ok("cudaDeviceCanAccessPeer", cudaDeviceCanAccessPeer(&possible, own, other)) ||
          possible == 0) {
        continue;
      }
      const cudaError_t status = cudaDeviceEnablePeerAccess(other, 0);
      if (status == cudaErrorPeerAccessAlreadyEnabled) {
        static_cast<void>(cudaGetLastError());  // not a failure; forget it
      } else {
        ok("cudaDeviceEnablePeerAccess", status);
      }
    }
  }
}

Result<std::vector<GpuPartition>> CudaApi::finish_partitions() {
  std::vector<GpuPartition> result;
  for (std::size_t p = 0; p < partitions_.size(); ++p) {
    Partition& partition = partitions_[p];
    activate(static_cast<std::int32_t>(p));
    CudaTensorOpsConfig config;
    config.stream = [this](Queue queue) { return streams_[queue].stream; };
    config.multiprocessors = partition.info.multiprocessors;
    config.compute_capability =
        gpus_[static_cast<std::size_t>(partition.info.gpu)].compute_capability;
    config.failed = [this](const std::string& call, const std::string& text) {
      errors_.note(call, text);
    };
    Result<std::unique_ptr<CudaTensorOps>> ops = make_cuda_tensor_ops(config);
    if (!ops) {
      return ops.failures();
    }
    partition.ops = std::move(*ops);
    result.push_back(partition.info);
  }
  if (errors_.any()) {
    return failure();
  }
  return result;
}

void CudaApi::reset() {
  if (abandoned_) {
    return;
  }
  channels_.reset();
  active_ = -1;  // NCCL may leave another context current
  for (const Graph& graph : graphs_) {
    activate(graph.partition);
    ok("cudaGraphExecDestroy", cudaGraphExecDestroy(graph.exec));
  }
  graphs_.clear();
  for (std::size_t p = 0; p < partitions_.size(); ++p) {
    activate(static_cast<std::int32_t>(p));
    partitions_[p].ops.reset();
  }
  for (const Event& event : events_) {
    activate(event.partition);
    ok("cudaEventDestroy", cudaEventDestroy(event.event));
  }
  events_.clear();
  for (const Stream& stream : streams_) {
    activate(stream.partition);
    ok("cudaStreamDestroy", cudaStreamDestroy(stream.stream));
  }
  streams_.clear();
  for (const auto& [data, partition] : memory_) {
    activate(partition);
    ok("cudaFree", cudaFree(data));
  }
  memory_.clear();
  for (void* data : host_memory_) {
    ok("cudaFreeHost", cudaFreeHost(data));
  }
  host_memory_.clear();
  for (const Partition& partition : partitions_) {
    if (partition.green != nullptr) {
      // Not while it is current. cudaSetDevice may think that nothing changes.
      ok("cuCtxSetCurrent", driver_.set_current(partition.primary));
      ok("cuGreenCtxDestroy", driver_.green_destroy(partition.green));
    }
  }
  partitions_.clear();
  gate_->forget();
  active_ = -1;
}

void CudaApi::abandon() {
  if (abandoned_) {
    return;
  }
  abandoned_ = true;
  if (channels_ != nullptr) {
    channels_->abort();
  }
  // Freeing waits for the GPU, which may never come to an end: what is there stays.
  // NOLINTBEGIN(bugprone-unused-return-value)
  static_cast<void>(channels_.release());
  gate_->open();
  static_cast<void>(gate_.release());
  gate_ = std::make_unique<Gate>();
  for (Partition& partition : partitions_) {
    static_cast<void>(partition.ops.release());
  }
  // NOLINTEND(bugprone-unused-return-value)
  errors_.note("synchronize", "the GPU's work did not end and was given up");
}

}  // namespace stagecraft
