// The streams of a program while it is made: commands stream by stream, events, and the link
// streams found so far.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "stagecraft/execute/program.hpp"

namespace stagecraft {

class Streams {
 public:
  StreamIndex add(const StreamSpec& spec);
  /// The link stream that `spec` describes; made if there is none yet.
  StreamIndex link(const StreamSpec& spec);

  EventIndex new_event() { return events_++; }
  [[nodiscard]] std::uint32_t events() const { return events_; }

  void run(StreamIndex stream, OpIndex op) { push(stream, {CommandKind::kOp, stream, op}); }
  void transfer(StreamIndex stream, MessageIndex message, EventIndex done) {
    push(stream, {CommandKind::kTransfer, stream, message, 0, done});
  }
  void exchange(StreamIndex stream, std::uint32_t first, std::uint32_t count, EventIndex done) {
    push(stream, {CommandKind::kExchange, stream, first, count, done});
  }
  void record(StreamIndex stream, EventIndex event) {
    push(stream, {CommandKind::kRecord, stream, event});
  }
  /// Nothing if the stream has waited for the event already.
  void wait(StreamIndex stream, EventIndex event);

  [[nodiscard]] const std::vector<std::vector<Command>>& lists() const { return lists_; }
  [[nodiscard]] std::vector<StreamSpec> take_specs() { return std::move(specs_); }

 private:
  void push(StreamIndex stream, const Command& command) { lists_[stream].push_back(command); }

  std::vector<StreamSpec> specs_;
  std::vector<std::vector<Command>> lists_;
  std::unordered_map<std::uint64_t, StreamIndex> links_;
  // [events] the last stream that waits for each, to leave out waits for what was waited for.
  std::vector<StreamIndex> last_waiter_;
  std::uint32_t events_ = 0;
};

/// Fills commands, circular, stream_commands and stream_offsets of `program`, whose members stand
/// already, in an order in which one thread can issue the lists. O(commands).
void order_commands(const Streams& streams, ExecutionProgram& program);

}  // namespace stagecraft
