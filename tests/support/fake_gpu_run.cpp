// How the fake's queues run: in virtual time, each command as soon as what it waits for is there.
#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "support/fake_gpu.hpp"

namespace stagecraft::test {

FakeGpu::Memory* FakeGpu::memory_of(const void* data) {
  const auto* at = static_cast<const std::byte*>(data);
  auto after = memory_.upper_bound(at);
  if (after == memory_.begin()) {
    return nullptr;
  }
  auto& [begin, memory] = *std::prev(after);
  return static_cast<std::size_t>(at - begin) < memory.bytes ? &memory : nullptr;
}

void FakeGpu::check(Queue queue, const Kernel& kernel) {
  const Line& line = lines_[queue];
  const std::int32_t gpu = partitions_[static_cast<std::size_t>(line.partition)].info.gpu;
  for (const Access& access : kernel.accesses) {
    Memory* memory = memory_of(access.data);
    const std::size_t begin =
        memory == nullptr ? 0
                          : static_cast<std::size_t>(static_cast<const std::byte*>(access.data) -
                                                     memory->data.get());
    if (memory == nullptr || begin + access.bytes > memory->bytes) {
      problem(fmt::format("{} on queue {} leaves its memory", kernel.name, queue));
      continue;
    }
    if (!kernel.any_memory && memory->gpu != gpu) {
      problem(fmt::format("{} on queue {} reaches memory of another GPU", kernel.name, queue));
    }
    const std::size_t end = begin + access.bytes;
    std::string wrong = access.write
                            ? memory->clocks.write(begin, end, queue, line.clock)
                            : memory->clocks.read(begin, end, queue, line.clock, access.gaps);
    if (!wrong.empty()) {
      problem(fmt::format("{} on queue {} {}", kernel.name, queue, wrong));
    }
  }
}

void FakeGpu::hold(Queue queue) {
  if (!call("hold")) {
    lines_[queue].held = true;
  }
}

void FakeGpu::resume() {
  for (Line& line : lines_) {
    line.held = false;
  }
}

void FakeGpu::check_none_held() {
  for (const Line& line : lines_) {
    if (line.held) {
      problem("asking or waiting while a queue is held");
    }
  }
}

void FakeGpu::tick(Queue queue) {
  VectorTime& clock = lines_[queue].clock;
  if (clock.size() <= queue) {
    clock.resize(queue + 1, 0);
  }
  ++clock[queue];
}

void FakeGpu::run_all() {
  for (bool progress = true; progress;) {
    progress = false;
    for (Queue queue = 0; queue < lines_.size(); ++queue) {
      while (!lines_[queue].commands.empty() && step(queue)) {
        progress = true;
      }
    }
  }
}

// Runs the first command of a queue if it can.
bool FakeGpu::step(Queue queue) {
  Line& line = lines_[queue];
  if (line.hangs || line.held) {
    return false;
  }
  Command& command = line.commands.front();
  if (command.wait != nullptr) {
    if (!command.wait->done) {
      return false;
    }
    line.time = std::max(line.time, command.wait->time);
    merge(line.clock, command.wait->clock);
  } else if (command.group != nullptr) {
    if (!step_group(queue, command)) {
      return false;
    }
  } else if (command.sum != nullptr) {
    if (!step_sum(queue, command)) {
      return false;
    }
  } else if (command.record != nullptr) {
    command.record->done = true;
    command.record->time = line.time;
    command.record->clock = line.clock;
  } else {
    if (++commands_run_ == hang_at_) {
      line.hangs = true;
      return false;
    }
    tick(queue);
    check(queue, *command.kernel);
    command.kernel->run();
    line.time += command.kernel->duration;
  }
  line.commands.pop_front();
  return true;
}

// A group is through when every member was met by its other side.
bool FakeGpu::step_group(Queue queue, Command& command) {
  Line& line = lines_[queue];
  Group& group = *command.group;
  if (!group.posted) {
    if (++commands_run_ == hang_at_) {
      line.hangs = true;
      return false;
    }
    group.posted = true;
    tick(queue);
    for (auto& [match, sends] : group.members) {
      Side& side = sends ? match->send : match->receive;
      side.posted = true;
      side.time = line.time;
      side.clock = line.clock;
      if (match->send.posted && match->receive.posted) {
        deliver(*match);
      }
    }
  }
  const bool through = std::all_of(group.members.begin(), group.members.end(),
                                   [](const auto& member) { return member.first->done; });
  if (through) {
    for (const auto& [match, sends] : group.members) {
      line.time = std::max(line.time, match->end);
      if (!sends) {
        merge(line.clock, match->send.clock);
      }
    }
  }
  return through;
}

void FakeGpu::deliver(Match& match) {
  const auto bytes = static_cast<std::size_t>(match.send.bytes);
  if (match.send.bytes != match.receive.bytes) {
    problem(fmt::format("{} bytes sent, {} expected", match.send.bytes, match.receive.bytes));
    return;
  }
  check(match.send.queue, {"send", 0, {{match.send.data, bytes, false}}, {}, true});
  // The receiver's bytes are written in its own time, which knows of the sender's by then.
  merge(lines_[match.receive.queue].clock, match.send.clock);
  check(match.receive.queue, {"receive", 0, {{match.receive.data, bytes, true}}, {}, true});
  std::memcpy(match.receive.data, match.send.data, bytes);
  match.done = true;
  match.end = std::max(match.send.time, match.receive.time) + options_.launch +
              match.send.bytes / options_.copied_per_ns;
}

bool FakeGpu::step_sum(Queue queue, Command& command) {
  Line& line = lines_[queue];
  Sum& sum = *command.sum;
  if (!command.arrived) {
    command.arrived = true;
    tick(queue);
    ++sum.arrived;
    sum.time = std::max(sum.time, line.time);
    merge(sum.clock, line.clock);
  }
  if (sum.arrived < sum.queues.size()) {
    return false;
  }
  if (!sum.done) {
    sum.done = true;
    const auto count = static_cast<std::size_t>(sum.count);
    for (std::size_t i = 0; i < sum.data.size(); ++i) {
      merge(lines_[sum.queues[i]].clock, sum.clock);
      check(sum.queues[i],
            {"all_reduce", 0, {{sum.data[i], count * sizeof(float), true}}, {}, true});
    }
    for (std::size_t k = 0; k < count; ++k) {
      float total = 0.0F;
      for (const float* data : sum.data) {
        total += data[k];
      }
      for (float* data : sum.data) {
        data[k] = total;
      }
    }
    sum.time += options_.launch + sum.count * 4 / options_.copied_per_ns;
  }
  line.time = std::max(line.time, sum.time);
  return true;
}

}  // namespace stagecraft::test
