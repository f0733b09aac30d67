// One order of all commands of a program that the program allows and that follows predicted times.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "stagecraft/execute/model_plan.hpp"
#include "stagecraft/execute/program.hpp"

namespace stagecraft {

/// Commands by what they run: indices into ExecutionProgram::commands.
struct CommandIndex {
  explicit CommandIndex(const ExecutionProgram& program);
  std::vector<std::uint32_t> task;     ///< [tasks]
  std::vector<std::uint32_t> send;     ///< [messages] kTransfer, or the sender's kExchange
  std::vector<std::uint32_t> receive;  ///< [messages] kTransfer, or the receiver's kExchange
};

struct CommandOrder {
  std::vector<std::uint32_t> order;  ///< as ModelPlan::order; what cannot run stands last
  std::vector<std::uint32_t> begin;  ///< [commands] place in `order`
  /// [commands] place from which on it has ended: where the last partner of an exchange stands,
  /// otherwise its own.
  std::vector<std::uint32_t> done;
};

/// Among the commands that may come next, the one of the earliest time: an op's start, the end of a
/// message's producer. `extra`: waits that must hold beside the program's.
[[nodiscard]] CommandOrder order_by_time(const ExecutionProgram& program,
                                         const CommandIndex& commands,
                                         std::span<const ModelPlan::Wait> extra,
                                         std::span<const Time> start, std::span<const Time> end);

}  // namespace stagecraft
