// The state of one simulation; see simulate.hpp for what it means.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/links.hpp"
#include "engine/memory_pool.hpp"
#include "stagecraft/engine/event_queue.hpp"
#include "stagecraft/engine/p2p.hpp"
#include "stagecraft/engine/simulate.hpp"
#include "stagecraft/engine/task_graph.hpp"

namespace stagecraft {

class Simulator {
 public:
  Simulator(const Schedule& schedule, const TaskGraph& graph, const CostTable& costs,
            const SimulateOptions& options);

  SimulationResult run();

  /// One of the two streams of a device.
  struct Stream {
    OpIndex head = 0;  ///< the next op in list order, or `end`
    OpIndex end = 0;
    bool busy = false;
  };
  struct Device {
    Stream compute, copies;
    std::uint32_t blocking_sends = 0;  ///< on their way
    std::size_t step = 0;              ///< rendezvous: next step of the program
    Time free_since = 0;               ///< of its compute stream
    Time partners_posted = 0;          ///< rendezvous: of the calls waited for since the last op
    bool start_pending = false;
  };
  struct OpState {
    Time arrived = 0;
    std::uint32_t missing = 0;  ///< producers whose data is not under way yet
    OpIndex last_producer = kNoOp;
    bool started = false;
    bool ended = false;
  };
  struct Message {
    bool sent = false;      ///< the sender has posted it
    bool received = false;  ///< the receiver has posted it
    bool done = false;
    Time matched = 0;
  };

  // For the report of why nothing runs (deadlock.cpp).
  [[nodiscard]] const TaskGraph& graph() const { return graph_; }
  [[nodiscard]] const Schedule& schedule() const { return schedule_; }
  [[nodiscard]] const P2pProgram& program() const { return program_; }
  [[nodiscard]] const std::vector<Device>& devices() const { return devices_; }
  [[nodiscard]] const std::vector<OpState>& ops() const { return ops_; }
  [[nodiscard]] const std::vector<Message>& messages() const { return messages_; }
  [[nodiscard]] const std::vector<MemoryPool>& pools() const { return pools_; }
  [[nodiscard]] bool rendezvous() const { return mode_ == Communication::kRendezvous; }

 private:
  void handle(const Event& event);
  void look_at(std::int32_t device);
  void advance_compute(std::int32_t device);
  void advance_copies(std::int32_t device);
  bool advance_calls(std::int32_t device);
  void post(const P2pStep& step);
  bool waited_for(Device& at, const P2pStep& step);
  bool ready(OpIndex op) const;
  bool take_memory(OpIndex op, std::int32_t device);
  void begin(OpIndex op, std::int32_t device, Time stream_free);
  void end_op(OpIndex op);
  void skip(Stream& stream, bool copies);

  void deliver(OpIndex producer, TaskSuccessors::Edge edge);
  void arrive(OpIndex consumer, OpIndex producer, Time when);
  void begin_transfer(std::uint32_t transfer, Time latency);
  void end_transfer(std::uint32_t transfer);
  void begin_copy(OpIndex op, std::int32_t device);
  void end_flow(FlowId flow);
  void arbitrate();
  void request_arbitration();
  bool let_someone_overtake();
  void finish(SimulationResult& result);

  const Schedule& schedule_;
  const TaskGraph& graph_;
  const CostTable& costs_;
  SimulateOptions options_;
  Communication mode_;
  TaskSuccessors successors_;
  P2pProgram program_;  // rendezvous only
  Links links_;
  EventQueue queue_;
  std::vector<Device> devices_;
  std::vector<OpState> ops_;
  std::vector<Message> messages_;
  std::vector<MemoryPool> pools_;  // [P] if ops wait for memory
  // Transfers and how much later than its last byte the data of each arrives. In rendezvous mode
  // numbered as messages.
  std::vector<Transfer> transfers_;
  std::vector<Time> transfer_latency_;
  std::vector<Time> start_, end_;
  std::vector<OpWait> waits_;
  std::size_t left_ = 0;
  bool arbitration_pending_ = false;
};

/// Why nothing runs any more although ops are left: the chain of causes.
[[nodiscard]] Diagnostic explain_stop(const Simulator& simulator, Outcome& outcome);

}  // namespace stagecraft
