// The messages of a program by one of their ends, as rows of a table.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "stagecraft/execute/program.hpp"

namespace stagecraft {

class MessageRows {
 public:
  MessageRows() = default;

  /// `end` is &P2pMessage::producer or &P2pMessage::consumer.
  MessageRows(const std::vector<P2pMessage>& messages, std::size_t tasks, OpIndex P2pMessage::* end)
      : start_(tasks + 1, 0), rows_(messages.size()) {
    for (const P2pMessage& message : messages) {
      ++start_[message.*end + 1];
    }
    for (std::size_t task = 0; task < tasks; ++task) {
      start_[task + 1] += start_[task];
    }
    std::vector<std::uint32_t> at(start_.begin(), start_.end() - 1);
    for (MessageIndex message = 0; message < messages.size(); ++message) {
      rows_[at[messages[message].*end]++] = message;
    }
  }

  /// None at all if made without messages.
  [[nodiscard]] std::span<const MessageIndex> of(OpIndex op) const {
    return rows_.empty() ? std::span<const MessageIndex>()
                         : std::span(rows_).subspan(start_[op], start_[op + 1] - start_[op]);
  }

 private:
  std::vector<std::uint32_t> start_;
  std::vector<MessageIndex> rows_;
};

}  // namespace stagecraft
