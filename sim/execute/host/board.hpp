// The state of one run that all threads share: events, positions of the streams, transfers, links
// and memory pools. Plain data under one mutex, which is held shortly; threads and time are the
// clock's.
//
// Link streams have no thread. Their commands never block a processor, so whoever records the event
// that a link stream waits for carries its commands on.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

#include "engine/links.hpp"
#include "engine/memory_pool.hpp"
#include "execute/host/message_rows.hpp"
#include "execute/host/payload.hpp"
#include "execute/host/run_clock.hpp"
#include "execute/host/tie_order.hpp"
#include "stagecraft/execute/backend.hpp"

namespace stagecraft {

/// What holds a worker up.
enum class HeldBy : std::uint8_t {
  kNothing,
  kEvent,   ///< `event`, not recorded yet
  kMemory,  ///< its next op does not fit
  kFlow,    ///< its copy shares a host link
  kTurn,    ///< others go first at this instant
};

class Board {
 public:
  /// One worker for every stream that runs ops.
  struct Worker {
    StreamIndex stream = 0;
    std::int32_t device = 0;
    HeldBy held = HeldBy::kNothing;
    EventIndex event = kNoEvent;  ///< kEvent
    bool left = false;
  };

  /// `bodies`: transfers are done by somebody (due_transfer) and links are not modelled.
  Board(const ExecutionJob& job, bool bodies);

  /// Before anything else.
  void use(RunClock& clock);

  std::mutex mutex;

  [[nodiscard]] const std::vector<Worker>& workers() const { return workers_; }
  [[nodiscard]] std::size_t devices() const { return device_workers_.size(); }
  /// [P] its workers, copies first.
  [[nodiscard]] const std::vector<WorkerIndex>& workers_of(std::int32_t device) const {
    return device_workers_[static_cast<std::size_t>(device)];
  }
  /// True if something must happen at a time for which no worker waits by itself.
  [[nodiscard]] bool needs_courier() const;

  // What workers do.
  /// The next command of the worker's stream; nullptr after the last.
  [[nodiscard]] const Command* next(WorkerIndex worker) const;
  void done_with_command(WorkerIndex worker) { ++next_[workers_[worker].stream]; }
  /// When the event was or will be recorded; kNever if that is not known.
  [[nodiscard]] Time recorded(EventIndex event) const { return recorded_[event]; }
  /// When the event will probably be recorded; kNever if nothing is known. Only hints: who waits
  /// may sleep until then.
  [[nodiscard]] Time expected(EventIndex event) const { return expected_[event]; }
  void record(EventIndex event, std::int32_t device);
  void hold(WorkerIndex worker, HeldBy by, EventIndex event = kNoEvent);
  void let_go(WorkerIndex worker) { workers_[worker].held = HeldBy::kNothing; }
  void leave(WorkerIndex worker);
  /// False if the op must wait for memory.
  bool take_memory(OpIndex op);
  /// Starts the op; true if it ends when the links say so (flow_ended), not by its duration.
  bool begin(OpIndex op, WorkerIndex worker);
  [[nodiscard]] bool flow_ended(WorkerIndex worker) const { return flow_ended_[worker]; }
  /// Ends the op and goes on to the next command.
  void end(WorkerIndex worker, const Command& command);

  // Notes that messages carry.
  void send(const MessageNote& note, MessageIndex message) { sent_[message] = note; }
  [[nodiscard]] const MessageNote& received(MessageIndex message) const {
    return received_[message];
  }

  // Transfers that somebody must do (bodies).
  [[nodiscard]] std::optional<MessageIndex> due_transfer();
  void transferred(MessageIndex message);

  // What the clock does.
  /// Could the worker go on at this instant?
  [[nodiscard]] bool may_go(WorkerIndex worker) const;
  /// Something pushed comes due; the worker that must act at once, if any.
  WorkerIndex handle(const Event& event);
  [[nodiscard]] bool current(const Event& event);
  /// Nothing is under way: lets an op go ahead of others that wait for memory. False if none can.
  bool let_someone_overtake();
  void look_at_memory(std::int32_t device);

  // The end of the run.
  void stop();
  void fail(Diagnostic why);  ///< the first one is kept; stops the run
  [[nodiscard]] bool stopped() const { return stopped_; }
  [[nodiscard]] bool complete() const;
  [[nodiscard]] std::uint64_t commands_ended() const { return ended_; }
  [[nodiscard]] const std::optional<Diagnostic>& failure() const { return failure_; }
  /// Times are moved so that the first op starts at 0.
  [[nodiscard]] ExecutionRun result() const;

  // Owners of flows: a message's number, or a copy op with this bit. Task numbers stay below it.
  static constexpr std::uint32_t kCopyOwner = std::uint32_t{1} << 31U;

 private:
  void release(EventIndex event, std::int32_t device);
  void release_workers(EventIndex event);
  void carry_on(StreamIndex link_stream);
  [[nodiscard]] std::uint64_t place(StreamIndex link_stream, std::int32_t device) const;
  void record_at(EventIndex event, Time when, std::int32_t device);
  void expect(EventIndex event, Time when);
  void expect_end(OpIndex op, Time when);
  void begin_transfer(MessageIndex message);
  void end_transfer(MessageIndex message);
  void end_transfer_at(MessageIndex message, Time when);
  WorkerIndex end_flow(FlowId flow);
  void request_arbitration();
  void arbitrate();

  const ExecutionJob& job_;
  const ExecutionProgram& program_;
  const TaskGraph& graph_;
  Communication mode_;
  bool bodies_;
  RunClock* clock_ = nullptr;
  std::optional<TieOrder> ties_;
  Links links_;
  std::vector<MemoryPool> pools_;  // [P] if ops wait for memory

  std::vector<Worker> workers_;
  std::vector<std::vector<WorkerIndex>> device_workers_;
  std::vector<WorkerIndex> worker_of_;         // [streams]
  std::vector<std::uint32_t> next_;            // [streams]
  std::vector<Time> recorded_;                 // [events]
  std::vector<Time> expected_;                 // [events]
  std::vector<StreamIndex> first_waiter_;      // [events] chain of streams that wait for it
  std::vector<StreamIndex> next_waiter_;       // [streams]
  std::vector<bool> link_waits_;               // [events] a link stream waits for it
  std::vector<EventIndex> done_;               // [messages]
  std::vector<StreamIndex> released_;          // scratch
  std::vector<MessageIndex> due_;              // bodies: to be done by the next who can
  std::vector<StreamIndex> stream_of_due_;     // [messages] bodies: held up until it is done
  std::vector<std::uint32_t> blocking_sends_;  // [P]

  std::vector<Time> start_, end_;                    // [tasks]
  std::vector<Time> transfer_start_, transfer_end_;  // [messages]
  std::vector<Time> transfer_latency_;               // [messages]
  std::vector<WorkerIndex> runs_on_;                 // [tasks] of copies that share a link
  std::vector<bool> flow_ended_;                     // [workers]
  MessageRows messages_of_;                          // by producer
  std::vector<MessageNote> sent_, received_;         // [messages]
  std::uint64_t ended_ = 0;
  std::uint64_t waited_for_memory_ = 0;
  bool arbitration_pending_ = false;
  bool stopped_ = false;
  std::optional<Diagnostic> failure_;
};

}  // namespace stagecraft
