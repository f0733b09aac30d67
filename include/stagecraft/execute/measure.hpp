// Measures what single ops and transfers take, each alone or with the other devices kept busy: what
// `stagecraft calibrate --device` writes into a scenario.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/core/op.hpp"
#include "stagecraft/cost/cost_table.hpp"
#include "stagecraft/execute/gpu_api.hpp"
#include "stagecraft/execute/gpu_backend.hpp"
#include "stagecraft/execute/stage_model.hpp"
#include "stagecraft/plan/pipeline.hpp"

namespace stagecraft {

/// Samples of one quantity.
struct Sample {
  Time median = 0;  ///< ns
  Time low = 0;     ///< first quartile
  Time high = 0;    ///< third quartile
  std::int32_t count = 0;
};

struct MeasuredOp {
  OpKind kind = OpKind::kForward;
  std::int32_t stage = 0;
  std::int32_t tokens = 0;   ///< of the slice
  std::int32_t context = 0;  ///< tokens of the slices before it
  Sample alone;
  /// While all other devices run the same op over and over (on the host: the same ops in turn);
  /// count 0 if not measured.
  Sample together;
  std::int32_t beside = -1;  ///< kOverlapped: the stage of the backward
};

struct MeasureOptions {
  std::int32_t warm_up = 3;
  std::int32_t repeat = 11;
  bool together = true;  ///< also measure with the other devices busy
  /// Which of the two goes into the costs.
  bool costs_together = true;
  /// On GPUs: overlapped pairs (kOverlapped) of the schedules that the costs are for. They are
  /// measured as they are; forwards in none of them beside a backward of their own stage.
  std::vector<Op> pairs;
  std::function<bool()> interrupted;
  std::function<void(std::size_t done, std::size_t of)> progress;
};

struct Measurement {
  std::string device;  ///< "NVIDIA H200, 4 partitions of 32 SMs", "host, 2 cores, OpenBLAS"
  bool interrupted = false;
  std::vector<MeasuredOp> ops;  ///< every kind that a schedule may use, stage and slice shape once
  Sample transfer_latency;      ///< a message of 4 bytes
  std::vector<Sample> transfers;         ///< [S-1] of a boundary's message
  Sample host_copy_alone;                ///< offload of the largest block
  Sample host_copy_together;             ///< while all devices copy
  Sample launch;                         ///< an op that does nothing
  double interference = 0.0;             ///< mean of together / alone - 1 over compute ops
  std::vector<Time> optimizer_step;      ///< [P]
  std::vector<Time> gradient_reduction;  ///< [P]
  /// Everything above as costs: durations per (stage, micro-batch, slice), transfers, memory.
  CostTable costs;
};

[[nodiscard]] Result<Measurement> measure_host(const StageModel& model, const Pipeline& pipeline,
                                               const MeasureOptions& options = {});
/// On the partitions that make_gpu_backend would make; the api is reset before and after. Ops are
/// issued as graphs, pairs on two queues.
[[nodiscard]] Result<Measurement> measure_gpu(GpuApi& api, const StageModel& model,
                                              const Pipeline& pipeline,
                                              const MeasureOptions& options = {},
                                              const GpuOptions& gpu = {});

}  // namespace stagecraft
