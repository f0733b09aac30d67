#include "execute/host/payload.hpp"

#include <cstring>
#include <string>

#include "stagecraft/core/random.hpp"

namespace stagecraft {
namespace {

std::uint64_t mix(std::uint64_t value) {
  return Random(value).next();
}

std::uint64_t word_of(const Unit& unit) {
  return (static_cast<std::uint64_t>(static_cast<std::uint32_t>(unit.microbatch)) << 32U) |
         (static_cast<std::uint64_t>(unit.stage) << 16U) | unit.slice;
}

std::uint64_t checksum(const MessageNote& note) {
  std::uint64_t sum = mix((std::uint64_t{note.producer} << 32U) | note.consumer);
  for (const std::uint64_t word : note.payload) {
    sum = mix(sum ^ word);
  }
  return sum;
}

}  // namespace

MessageNote make_note(OpIndex producer, OpIndex consumer, const Op& name) {
  MessageNote note{producer, consumer, {}, 0};
  note.payload[0] = (static_cast<std::uint64_t>(name.kind) << 16U) |
                    (static_cast<std::uint64_t>(name.direction) << 8U) |
                    static_cast<std::uint64_t>(name.partner_direction);
  note.payload[1] = word_of(name.unit);
  note.payload[2] = word_of(name.partner);
  note.payload[3] = mix(note.payload[0] ^ note.payload[1]);
  note.payload[4] = mix(note.payload[2] ^ producer);
  note.checksum = checksum(note);
  return note;
}

std::string check_note(const MessageNote& note, const P2pMessage& message, const Schedule& schedule,
                       const TaskGraph& graph) {
  const auto name = [&](OpIndex op) { return to_string(op_of(graph, schedule, op)); };
  const std::string consumer = name(message.consumer);
  if (note.producer == kNoOp) {
    return consumer + " started before the data of " + name(message.producer) + " was sent";
  }
  if (note.producer != message.producer || note.consumer != message.consumer) {
    return consumer + " received data of another op than " + name(message.producer);
  }
  const MessageNote expected =
      make_note(message.producer, message.consumer, op_of(graph, schedule, message.producer));
  if (note.checksum != checksum(note) || note.payload != expected.payload) {
    return consumer + " received damaged data of " + name(message.producer);
  }
  return {};
}

CopyBuffers::CopyBuffers(Bytes largest)
    : from_(static_cast<std::size_t>(largest), 1), to_(from_.size()) {}

void CopyBuffers::copy_piece(Bytes at, Bytes bytes) {
  std::memcpy(to_.data() + at, from_.data() + at, static_cast<std::size_t>(bytes));
  copied_ += bytes;
}

}  // namespace stagecraft
