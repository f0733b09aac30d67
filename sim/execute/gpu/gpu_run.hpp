// One run of a ready program: issues its commands, watches them end, reads the clocks.
//
// Order of issue: the program's, in which every event is recorded before anybody waits for it. Only
// where both replicas of a stage sum their gradients, a device's commands are put off until the
// other device's have come to the same point.
// The host never runs far ahead (kAhead) and only asks whether events were reached, so it cannot
// be caught in a driver call that waits for a GPU that hangs.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "execute/gpu/gpu_program.hpp"
#include "stagecraft/execute/backend.hpp"

namespace stagecraft {

/// What lasts from one run of a program to the next.
struct GpuRunState {
  /// By what an op computes on what; kNone: the driver refused it, issue the op directly.
  std::map<std::vector<std::int64_t>, GpuGraph> graphs;
  bool ran = false;        ///< every kernel was launched once, so captures may begin
  std::int32_t steps = 0;  ///< optimizer steps so far
};

class GpuRun {
 public:
  GpuRun(GpuApi& api, const ExecutionJob& job, const StageModel& model, const GpuProgram& ready,
         GpuRunState& state, bool graphs);

  Result<ExecutionRun> run();
  /// Commands of the program did not end in time; the GPU was given up.
  [[nodiscard]] bool stuck() const { return stuck_; }

 private:
  /// Something whose end can be seen: commands of its stream up to `commands` have ended then.
  struct Mark {
    std::uint32_t commands = 0;
    GpuEvent event = kNone;
  };

  void clear_gradients();
  void start_clocks();
  void issue_all();
  bool issue(const Command& command);
  void drain();
  void issue_op(const Command& command);
  void compute(OpIndex task);
  void run_use(const PlannedUse& use, std::int32_t device, int lane);
  [[nodiscard]] std::vector<std::int64_t> graph_key(const PlannedUse& use, std::int32_t device,
                                                    int lane) const;
  void load_kernels();
  void load_kernels(int lane);
  void capture_all();
  void copy_block(const PlannedUse& use, std::int32_t device, Queue queue);
  bool meet(const Command& command);
  void reduce(const ReplicaPair& pair);
  void reduce_here(std::size_t own, std::size_t other);
  void reduce_across(const ReplicaPair& pair);
  void step(OpIndex task);
  void transfer(const Command& command);
  void exchange(const Command& command);
  [[nodiscard]] EventPair times_of(const Command& exchange) const;
  void read_exchange(const Command& command, std::int32_t device, ExecutionRun& result);

  bool throttle(StreamIndex stream);
  bool wait_until(const std::function<bool()>& done);
  bool watch();
  [[nodiscard]] std::vector<std::uint32_t> ended() const;
  void read_clocks(ExecutionRun& result);

  GpuApi& api_;
  const ExecutionJob& job_;
  const StageModel& model_;
  const GpuProgram& ready_;
  GpuRunState& state_;
  bool graphs_;

  bool stuck_ = false;
  bool interrupted_ = false;
  Diagnostics failures_;                      // of what comes before the run proper
  std::vector<bool> recorded_;                // [events] in this run
  std::vector<std::deque<Command>> put_off_;  // [streams]
  std::size_t put_off_count_ = 0;
  std::vector<std::int32_t> arrived_;     // [P] reductions that it has come to
  std::vector<bool> waiting_;             // [P] at a reduction, for the other replica
  std::vector<OpIndex> reduction_task_;   // [P]
  std::vector<std::uint32_t> issued_;     // [streams] commands
  std::vector<std::vector<Mark>> marks_;  // [streams]
  std::vector<std::size_t> passed_;       // [streams] marks seen to be reached
  std::vector<StageDevice> lanes_[2];     // [P] compute queue, second queue
  double launches_ = 0.0, graph_launches_ = 0.0, refused_ = 0.0;
};

}  // namespace stagecraft
