#include "execute/program/streams.hpp"

#include "stagecraft/core/check.hpp"

namespace stagecraft {
namespace {

constexpr StreamIndex kNoStream = UINT32_MAX;

std::uint64_t key_of(const StreamSpec& spec) {
  const auto device = static_cast<std::uint64_t>(spec.device);
  const auto peer = static_cast<std::uint64_t>(spec.peer + 1);
  return (device << 32U) | (peer << 3U) | (static_cast<std::uint64_t>(spec.data) << 1U) |
         (spec.receives ? 1U : 0U);
}

}  // namespace

StreamIndex Streams::add(const StreamSpec& spec) {
  specs_.push_back(spec);
  lists_.emplace_back();
  return static_cast<StreamIndex>(specs_.size() - 1);
}

StreamIndex Streams::link(const StreamSpec& spec) {
  const auto [at, fresh] = links_.try_emplace(key_of(spec), kNoStream);
  if (fresh) {
    at->second = add(spec);
  }
  return at->second;
}

void Streams::wait(StreamIndex stream, EventIndex event) {
  STAGECRAFT_CHECK(event < events_, "an event that something records");
  if (last_waiter_.size() < events_) {
    last_waiter_.resize(events_, kNoStream);
  }
  if (last_waiter_[event] != stream) {
    last_waiter_[event] = stream;
    push(stream, {CommandKind::kWait, stream, event});
  }
}

}  // namespace stagecraft
