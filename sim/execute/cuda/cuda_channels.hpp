// Messages and sums between GPUs: what GpuApi says of channels and reductions, made of NCCL
// communicators.
//
// One process and one thread drive all GPUs. Calls that set up connections (making communicators,
// the first message between two ranks, the first sum) wait for all ranks; they are made in create,
// for all ranks within one ncclGroupStart/ncclGroupEnd, as NCCL demands of a single thread. After
// that a send or receive only puts a kernel on its stream and returns, so each side can be issued
// in a group of its own at its own place: the kernels find one another on the GPUs. What must hold:
//   - two operations of one communicator on a GPU run in the order of issue, so channels that must
//     not hold up one another have communicators of their own (GpuChannelEnds::group);
//   - a kernel that waits for its partner occupies a few multiprocessors; the partner's must still
//     be able to start, so streams must not share hardware queues (CUDA_DEVICE_MAX_CONNECTIONS)
//     and nothing that synchronises a device (cudaMalloc, cudaFree) may come in between.
// Sums have all their members in one call, hence in one group.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "execute/cuda/call_errors.hpp"
#include "stagecraft/execute/gpu_api.hpp"

struct CUstream_st;

namespace stagecraft {

class CudaChannels {
 public:
  CudaChannels() = default;
  CudaChannels(const CudaChannels&) = delete;
  CudaChannels& operator=(const CudaChannels&) = delete;
  virtual ~CudaChannels() = default;

  struct Member {
    bool send = false;
    GpuChannel channel = 0;
    void* data = nullptr;
    Bytes bytes = 0;
  };
  struct Summand {
    CUstream_st* stream = nullptr;
    float* data = nullptr;
  };
  [[nodiscard]] virtual Result<std::vector<GpuChannel>> create(
      const std::vector<GpuChannelEnds>& ends) = 0;
  virtual void exchange(CUstream_st* stream, const std::vector<Member>& members) = 0;
  [[nodiscard]] virtual Result<GpuReduction> create_reduction(
      const std::vector<std::int32_t>& partitions) = 0;
  virtual void all_reduce(GpuReduction reduction, const std::vector<Summand>& summands,
                          std::int64_t count) = 0;
  /// Failures that NCCL found while kernels ran go to the errors given to open.
  virtual void check() = 0;
  /// Ends whatever runs.
  virtual void abort() = 0;
};

/// `gpus`: the GPU of each partition. `activate` makes a partition's context current. Fails (bad
/// input) if NCCL cannot be loaded or the program was built without.
[[nodiscard]] Result<std::unique_ptr<CudaChannels>> open_cuda_channels(
    std::vector<int> gpus, std::function<void(std::int32_t)> activate, CallErrors& errors);

/// "2.28.9", or empty if NCCL is not there.
[[nodiscard]] std::string nccl_version();

}  // namespace stagecraft
