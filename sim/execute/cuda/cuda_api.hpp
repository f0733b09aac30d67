// GpuApi on the CUDA runtime and driver.
//
// Partitions: a whole GPU is its primary context; a part of one is a green context of it (CUDA
// driver API, "Green Contexts"). Memory belongs to the primary context and is reachable from all
// partitions of a GPU; streams, events and the libraries' handles belong to their partition, whose
// context is made current before every call. Several GPUs: one thread drives all; cuda_channels.hpp
// says why that does not deadlock.
#pragma once

#include <cuda.h>
#include <cuda_runtime_api.h>

#include <memory>
#include <string>
#include <vector>

#include "execute/cuda/call_errors.hpp"
#include "execute/cuda/cuda_channels.hpp"
#include "execute/cuda/cuda_tensor_ops.hpp"
#include "execute/cuda/driver_calls.hpp"
#include "execute/cuda/gate.hpp"
#include "stagecraft/execute/gpu_api.hpp"

namespace stagecraft {

class CudaApi final : public GpuApi {
 public:
  CudaApi(const DriverCalls& driver, std::vector<GpuInfo> gpus);
  CudaApi(const CudaApi&) = delete;
  CudaApi& operator=(const CudaApi&) = delete;
  ~CudaApi() override;

  [[nodiscard]] std::vector<GpuInfo> gpus() const override { return gpus_; }
  [[nodiscard]] Result<std::vector<GpuPartition>> divide(std::int32_t gpu,
                                                         std::int32_t count) override;
  [[nodiscard]] Result<std::vector<GpuPartition>> whole(std::int32_t count) override;

  [[nodiscard]] Result<Queue> create_queue(std::int32_t partition, bool copies) override;
  [[nodiscard]] Result<GpuEvent> create_event(std::int32_t partition, bool timed) override;
  void record(Queue queue, GpuEvent event) override;
  void wait(Queue queue, GpuEvent event) override;
  [[nodiscard]] bool reached(GpuEvent event) override;
  [[nodiscard]] Time elapsed(GpuEvent from, GpuEvent to) override;

  [[nodiscard]] Result<void*> allocate(std::int32_t partition, Bytes bytes) override;
  [[nodiscard]] Result<void*> allocate_host(Bytes bytes) override;
  [[nodiscard]] Bytes held(std::int32_t partition) const override;
  void copy(Queue queue, void* to, const void* from, Bytes bytes) override;
  void upload(Queue queue, void* to, const void* from, Bytes bytes) override;
  [[nodiscard]] TensorOps& tensor_ops(std::int32_t partition) override;

  void begin_capture(Queue queue) override;
  [[nodiscard]] Result<GpuGraph> end_capture(Queue queue) override;
  [[nodiscard]] bool launch(Queue queue, GpuGraph graph) override;
  void hold(Queue queue) override;
  void resume() override;

  [[nodiscard]] Result<std::vector<GpuChannel>> create_channels(
      const std::vector<GpuChannelEnds>& ends) override;
  void exchange(Queue queue, const std::vector<GpuExchange>& members) override;
  [[nodiscard]] Result<GpuReduction> create_reduction(
      const std::vector<std::int32_t>& partitions) override;
  void all_reduce(GpuReduction reduction, const std::vector<GpuSummand>& summands,
                  std::int64_t count) override;

  [[nodiscard]] Diagnostics synchronize(Time limit) override;
  void abandon() override;
  void reset() override;

 private:
  struct Partition {
    GpuPartition info;
    CUcontext context = nullptr;
    CUgreenCtx green = nullptr;   // null: a whole GPU
    CUcontext primary = nullptr;  // of a green context's GPU
    std::unique_ptr<CudaTensorOps> ops;
    Bytes held = 0;
  };
  struct Stream {
    cudaStream_t stream = nullptr;
    std::int32_t partition = 0;
  };
  struct Event {
    cudaEvent_t event = nullptr;
    std::int32_t partition = 0;
  };
  struct Graph {
    cudaGraphExec_t exec = nullptr;
    std::int32_t partition = 0;
  };

  // Every call goes through one of these: false, and kept, if it failed.
  bool ok(const char* call, cudaError_t status);
  bool ok(const char* call, CUresult status);
  [[nodiscard]] static bool still_running(cudaError_t status);
  [[nodiscard]] Diagnostics failure();

  void activate(std::int32_t partition);
  [[nodiscard]] Partition& part(std::int32_t partition);
  [[nodiscard]] Diagnostics check_gpu(std::int32_t gpu, std::int32_t count) const;
  [[nodiscard]] bool make_primary(std::int32_t gpu, CUcontext& context);
  [[nodiscard]] Result<std::vector<CUdevResource>> split(std::int32_t gpu, std::int32_t count);
  [[nodiscard]] bool make_green(std::int32_t gpu, CUcontext primary, CUdevResource& resource);
  void connect_peers();
  [[nodiscard]] Result<std::vector<GpuPartition>> finish_partitions();
  [[nodiscard]] Result<CudaChannels*> channels();

  DriverCalls driver_;
  std::vector<GpuInfo> gpus_;
  CallErrors errors_;
  bool abandoned_ = false;
  std::int32_t active_ = -1;  // the partition whose context is current
  std::vector<Partition> partitions_;
  std::vector<Stream> streams_;
  std::vector<Event> events_;
  std::vector<Graph> graphs_;
  std::vector<std::pair<void*, std::int32_t>> memory_;  // with its partition
  std::vector<void*> host_memory_;
  std::unique_ptr<CudaChannels> channels_;
  std::unique_ptr<Gate> gate_ = std::make_unique<Gate>();
};

}  // namespace stagecraft
