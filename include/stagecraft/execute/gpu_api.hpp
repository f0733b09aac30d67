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
using GpuReduction = std::uint32_t;

/// A way for messages from one partition to another on a different GPU (NCCL). Messages of one
/// channel match first in, first out. Channels of one group (>= 0) share one communicator of all
/// partitions, as calls with any number of partners need it; -1: a communicator of the two alone,
/// whose messages no others can hold up.
struct GpuChannelEnds {
  std::int32_t from = 0;
  std::int32_t to = 0;
  std::int32_t group = -1;
};

/// One member of a grouped exchange: this rank's side of a message.
struct GpuExchange {
  GpuChannel channel = 0;
  bool send = false;
  void* data = nullptr;
  Bytes bytes = 0;
};

/// One partition's share of a reduction.
struct GpuSummand {
  Queue queue = 0;
  float* data = nullptr;
};

/// Calls come from one thread. Partitions are named by their index in the last result of divide or
/// whole.
class GpuApi {
 public:
  GpuApi() = default;
  GpuApi(const GpuApi&) = delete;
  GpuApi& operator=(const GpuApi&) = delete;
  virtual ~GpuApi() = default;

  [[nodiscard]] virtual std::vector<GpuInfo> gpus() const = 0;

  /// Divides one GPU into `count` partitions of equal size (green contexts; sizes are multiples of
  /// what the GPU splits by, the rest stays unused), or gives `count` whole GPUs to as many
  /// partitions, which can read one another's memory. Fails (infeasible) with the largest count
  /// that would do. Only after reset, or at first.
  [[nodiscard]] virtual Result<std::vector<GpuPartition>> divide(std::int32_t gpu,
                                                                 std::int32_t count) = 0;
  [[nodiscard]] virtual Result<std::vector<GpuPartition>> whole(std::int32_t count) = 0;

  /// A queue of a partition; `copies` asks for one that does not compute. Queues that compute take
  /// memory for themselves.
  [[nodiscard]] virtual Result<Queue> create_queue(std::int32_t partition, bool copies) = 0;

  // Events are recorded on queues of their partition only; queues of any may wait for them. A wait
  // counts what was recorded when it was issued: record first.
  [[nodiscard]] virtual Result<GpuEvent> create_event(std::int32_t partition, bool timed) = 0;
  virtual void record(Queue queue, GpuEvent event) = 0;
  virtual void wait(Queue queue, GpuEvent event) = 0;
  /// Never blocks; true as well after a failure, so that nobody waits for what will not come.
  [[nodiscard]] virtual bool reached(GpuEvent event) = 0;
  /// ns from one timed event to another of the same partition, both reached.
  [[nodiscard]] virtual Time elapsed(GpuEvent from, GpuEvent to) = 0;

  [[nodiscard]] virtual Result<void*> allocate(std::int32_t partition, Bytes bytes) = 0;
  [[nodiscard]] virtual Result<void*> allocate_host(Bytes bytes) = 0;  ///< pinned
  /// Bytes that a partition took so far, by allocate and for its queues.
  [[nodiscard]] virtual Bytes held(std::int32_t partition) const = 0;
  /// Any direction: device, another GPU, pinned host.
  virtual void copy(Queue queue, void* to, const void* from, Bytes bytes) = 0;
  /// To a device from ordinary host memory, which may be reused at once. May block the caller.
  virtual void upload(Queue queue, void* to, const void* from, Bytes bytes) = 0;

  /// The arithmetic of a partition, whose queues it takes.
  [[nodiscard]] virtual TensorOps& tensor_ops(std::int32_t partition) = 0;

  /// Records what is issued to `queue` until end_capture as one graph instead of running it: ops
  /// and copies only, that ran before without (the first launch of a kernel loads its code).
  /// Launched on the queue it was captured from.
  /// A capture that fails has run nothing and is no failure of anything else: issue directly then.
  virtual void begin_capture(Queue queue) = 0;
  [[nodiscard]] virtual Result<GpuGraph> end_capture(Queue queue) = 0;
  /// False if the graph was refused: nothing was issued then.
  [[nodiscard]] virtual bool launch(Queue queue, GpuGraph graph) = 0;

  /// Holds up what is issued to the queue from now on, until resume: so that it then runs without
  /// waiting for the host. In between only calls that issue, with kernels that ran before, and no
  /// more than a driver's queue takes (about a thousand).
  virtual void hold(Queue queue) = 0;
  /// Lets all queues go that were held.
  virtual void resume() = 0;

  /// Called once after whole, with all channels: sets up every connection, so that later one side
  /// of a message can be issued long before the other without blocking the thread.
  [[nodiscard]] virtual Result<std::vector<GpuChannel>> create_channels(
      const std::vector<GpuChannelEnds>& ends) = 0;
  /// Issues sends and receives of one partition as one group, all of channels of one communicator;
  /// the queue goes on when all of them are through.
  virtual void exchange(Queue queue, const std::vector<GpuExchange>& members) = 0;
  /// For sums over these (different) partitions.
  [[nodiscard]] virtual Result<GpuReduction> create_reduction(
      const std::vector<std::int32_t>& partitions) = 0;
  /// Sums `count` floats in place; one summand per partition, in the order of create_reduction.
  virtual void all_reduce(GpuReduction reduction, const std::vector<GpuSummand>& summands,
                          std::int64_t count) = 0;

  /// Waits for everything, but not longer than `limit`: then nothing is waited for any more, by
  /// this or any other call (abandon). The first failure since the last call, if any.
  [[nodiscard]] virtual Diagnostics synchronize(Time limit = 60 * kSecond) = 0;
  /// Gives up what still runs. Communicators are aborted, everything else is left as it is; from
  /// then on every call that can fail does.
  virtual void abandon() = 0;
  /// Frees all queues, events, graphs, channels, memory and partitions. Nothing must run.
  virtual void reset() = 0;
};

/// Is the CUDA backend built in?
[[nodiscard]] bool cuda_built();

/// The GPUs of this machine. Fails (bad input) if the CUDA backend is not built in, if there is no
/// driver, or no GPU; the hint says how to get it.
[[nodiscard]] Result<std::unique_ptr<GpuApi>> open_cuda();

}  // namespace stagecraft
