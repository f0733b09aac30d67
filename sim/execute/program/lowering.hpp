// The state of one lowering; program.hpp says what it makes.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "execute/program/streams.hpp"
#include "stagecraft/engine/p2p.hpp"
#include "stagecraft/engine/task_graph.hpp"
#include "stagecraft/execute/program.hpp"

namespace stagecraft {

class Lowering {
 public:
  Lowering(const Schedule& schedule, const TaskGraph& graph, Communication mode,
           Transport transport);

  ExecutionProgram run();

 private:
  // The two sides of a message, as indices into done_ and posted_.
  static std::size_t received(MessageIndex message) { return 2 * std::size_t{message}; }
  static std::size_t sent(MessageIndex message) { return 2 * std::size_t{message} + 1; }
  static std::size_t side(const P2pMember& member) {
    return member.send ? sent(member.message) : received(member.message);
  }

  void number_messages(const std::vector<P2pMessage>& by_consumer);
  void find_waits();
  void make_events();
  void add_streams();
  void run_op(StreamIndex stream, OpIndex op);
  void lower_compute();
  void lower_copies();
  void lower_transfers();
  void exchange(StreamIndex stream, P2pMember member);

  // Rendezvous.
  void lower_calls();
  void number_members(P2pProgram& calls) const;
  void lower_device(const P2pProgram& calls, std::int32_t device);
  void post(std::int32_t device, std::span<const P2pMember> members);
  void post_call(std::int32_t device, std::span<const P2pMember> members, EventIndex posted);
  void post_members(std::span<const P2pMember> members, EventIndex posted);
  void match_posts();

  const Schedule& schedule_;
  const TaskGraph& graph_;
  bool paired_;
  bool at_once_ = false;  // rendezvous: every post is waited for at once
  ExecutionProgram program_;
  Streams streams_;
  std::vector<MessageIndex> number_;        // [messages by consumer] number in the program
  std::vector<MessageIndex> edge_message_;  // [edges] of those that cross devices
  std::vector<MessageIndex> sent_start_;    // [tasks+1] messages that each sends
  std::vector<std::uint32_t> wait_start_;   // [tasks+1] into waits_
  std::vector<OpIndex> waits_;
  std::vector<EventIndex> done_;    // [messages][2] when each side is through with it
  std::vector<EventIndex> posted_;  // [messages][2] rendezvous, kPush: when each side stands at it
  std::vector<StreamIndex> copy_stream_;  // [P]
};

}  // namespace stagecraft
