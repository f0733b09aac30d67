// The few driver calls that the CUDA backend is built on, so that everything above them runs and is
// tested against a fake device on a machine without a GPU.
//
// Failures: a call that can fail for want of memory or of a feature returns a Result; anything else
// that goes wrong (a kernel fault, a lost device) is kept and returned by synchronize, with the
// name of the call and the driver's text, as CUDA's sticky errors are.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/core/units.hpp"
#include "stagecraft/execute/tensor_ops.hpp"

namespace stagecraft {

struct GpuInfo {
  std::string name;                     ///< "NVIDIA H200"
  std::int32_t compute_capability = 0;  ///< 90 for 9.0
  std::int32_t multiprocessors = 0;
  Bytes memory = 0;
  std::int32_t driver = 0;   ///< 13000 for 13.0
  std::int32_t toolkit = 0;  ///< that the program was built with
  std::string nccl;          ///< version, empty without
};

/// A set of multiprocessors with streams of its own: a whole GPU, or a green context of one.
struct GpuPartition {
  std::int32_t gpu = 0;
  std::int32_t multiprocessors = 0;
};

using GpuEvent = std::uint32_t;
using GpuGraph = std::uint32_t;
using GpuChannel = std::uint32_t;

/// One member of a grouped exchange: this rank's side of a message.
struct GpuExchange {
  GpuChannel channel = 0;
  bool send = false;
  void* data = nullptr;
  Bytes bytes = 0;
};

class GpuApi {
 public:
  GpuApi() = default;
  GpuApi(const GpuApi&) = delete;
  GpuApi& operator=(const GpuApi&) = delete;
  virtual ~GpuApi() = default;

  [[nodiscard]] virtual std::vector<GpuInfo> gpus() const = 0;

  /// Divides one GPU into `count` partitions of equal size (green contexts; sizes are multiples of
  /// what the GPU splits by, the rest stays unused), or gives `count` whole GPUs to as many
  /// partitions. Fails (infeasible) with the largest count that would do.
  [[nodiscard]] virtual Result<std::vector<GpuPartition>> divide(std::int32_t gpu,
                                                                 std::int32_t count) = 0;
  [[nodiscard]] virtual Result<std::vector<GpuPartition>> whole(std::int32_t count) = 0;

  // Everything below names partitions by their index in the last result of divide or whole.

  /// A queue of a partition; `copies` asks for one that does not compute.
  [[nodiscard]] virtual Result<Queue> create_queue(std::int32_t partition, bool copies) = 0;
  [[nodiscard]] virtual Result<GpuEvent> create_event(bool timed) = 0;
  virtual void record(Queue queue, GpuEvent event) = 0;
  virtual void wait(Queue queue, GpuEvent event) = 0;
  [[nodiscard]] virtual bool reached(GpuEvent event) = 0;
  /// ns from one timed event to another, both reached.
  [[nodiscard]] virtual Time elapsed(GpuEvent from, GpuEvent to) = 0;

  [[nodiscard]] virtual Result<void*> allocate(std::int32_t partition, Bytes bytes) = 0;
  [[nodiscard]] virtual Result<void*> allocate_host(Bytes bytes) = 0;  ///< pinned
  /// Bytes that all allocations of a partition's GPU take at this moment, as the driver says.
  [[nodiscard]] virtual Bytes used(std::int32_t partition) = 0;
  /// Any direction: device, pinned host, another GPU.
  virtual void copy(Queue queue, void* to, const void* from, Bytes bytes) = 0;
  /// A host function in the queue's order; it must not call this API.
  virtual void upload(Queue queue, void* to, const void* from, Bytes bytes) = 0;  ///< from pageable

  /// The arithmetic of a partition, whose queues it takes.
  [[nodiscard]] virtual TensorOps& tensor_ops(std::int32_t partition) = 0;

  /// Records what is issued to `queue` until end_capture as one graph instead of running it.
  virtual void begin_capture(Queue queue) = 0;
  [[nodiscard]] virtual Result<GpuGraph> end_capture(Queue queue) = 0;
  virtual void launch(Queue queue, GpuGraph graph) = 0;

  /// Point-to-point channels between partitions on different GPUs (NCCL). All of them are made at
  /// once; messages of one channel match first in, first out.
  struct ChannelEnds {
    std::int32_t from = 0;
    std::int32_t to = 0;
  };
  [[nodiscard]] virtual Result<std::vector<GpuChannel>> create_channels(
      const std::vector<ChannelEnds>& ends) = 0;
  /// Issues sends and receives of one partition as one group.
  virtual void exchange(Queue queue, const std::vector<GpuExchange>& members) = 0;
  /// Sums `count` floats over the partitions named; every one of them calls it, in the same order.
  virtual void all_reduce(Queue queue, const std::vector<std::int32_t>& partitions, float* data,
                          std::int64_t count) = 0;

  /// Waits for everything; the first failure since the last call, if any.
  [[nodiscard]] virtual Diagnostics synchronize() = 0;
  /// Frees all queues, events, graphs, channels, memory and partitions.
  virtual void reset() = 0;
};

/// Is the CUDA backend built in?
[[nodiscard]] bool cuda_built();

/// The GPUs of this machine. Fails (bad input) if the CUDA backend is not built in, if there is no
/// driver, or no GPU; the hint says how to get it.
[[nodiscard]] Result<std::unique_ptr<GpuApi>> open_cuda();

}  // namespace stagecraft
