#include "search/bounds/op_windows.hpp"

#include <algorithm>

namespace stagecraft::search {
namespace {

class Windows {
 public:
  Windows(const Instance& instance, const WindowOptions& options)
      : pipeline_(instance.pipeline), costs_(instance.costs), options_(options) {
    out_.stages = pipeline_.stages;
    out_.microbatches = pipeline_.microbatches;
    const std::size_t units =
        static_cast<std::size_t>(out_.stages) * static_cast<std::size_t>(out_.microbatches);
    out_.forward.resize(units);
    out_.input.resize(units);
    out_.weight.resize(costs_.split_backward ? units : 0);
    for (std::int32_t s = 0; s < out_.stages; ++s) {
      for (std::int32_t m = 0; m < out_.microbatches; ++m) {
        set_durations(s, m);
      }
    }
    if (options.memory) {
      measure_memory();
    }
  }

  OpWindows run() {
    for (std::int32_t m = 0; m < out_.microbatches; ++m) {
      run_heads(m);
    }
    for (std::int32_t m = out_.microbatches; m-- > 0;) {
      run_tails(m);
    }
    return std::move(out_);
  }

 private:
  void set_durations(std::int32_t s, std::int32_t m) {
    const std::size_t i = out_.at(s, m);
    const Time whole = costs_.backward.at(s, m);
    out_.forward[i].duration = costs_.forward.at(s, m);
    out_.input[i].duration = whole;
    if (costs_.split_backward) {
      // A fused backward that is shorter than its parts may stand for both.
      const Time input = std::min(costs_.backward_input.at(s, m), whole);
      out_.input[i].duration = input;
      out_.weight[i].duration = std::min(costs_.backward_weight.at(s, m), whole - input);
    }
  }

  // Of how many units of its stage the activation must have been given up by B before F of unit m:
  // F holds a, B gives back b, W the rest. With room for A bytes, (m+1) a - (backwards) a <= A at
  // least, even if every W had run right after its B.
  void measure_memory() {
    room_.assign(static_cast<std::size_t>(out_.stages), out_.microbatches);
    const MemoryCosts& memory = costs_.memory;
    for (std::int32_t s = 0; s < out_.stages; ++s) {
      const std::int32_t d = pipeline_.device(s);
      const Bytes activation = memory.forward.at(s, 0);
      if (memory.capacity_of(d) == kUnlimited || activation <= 0) {
        continue;
      }
      const Bytes free = memory.capacity_of(d) - memory.resident_of(d);
      const auto fits =
          static_cast<std::int32_t>(std::clamp<Bytes>(free / activation, 0, out_.microbatches));
      room_[static_cast<std::size_t>(s)] = fits;
    }
  }

  [[nodiscard]] Time device_head(std::int32_t s) const {
    return options_.device_head.empty()
               ? 0
               : options_.device_head[static_cast<std::size_t>(pipeline_.device(s))];
  }
  [[nodiscard]] Time device_tail(std::int32_t s) const {
    return options_.device_tail.empty()
               ? 0
               : options_.device_tail[static_cast<std::size_t>(pipeline_.device(s))];
  }

  [[nodiscard]] Time crossing(std::int32_t from, std::int32_t to, std::int32_t m) const {
    return costs_.latency(pipeline_, from, to, Unit{m, 0, 0}, Direction::kOnly);
  }

  static Time end(const HeadTail& op) { return op.head + op.duration; }
  static void raise(Time& value, Time least) { value = std::max(value, least); }

  void run_heads(std::int32_t m) {
    for (std::int32_t s = 0; s < out_.stages; ++s) {
      const std::size_t i = out_.at(s, m);
      Time& head = out_.forward[i].head;
      head = device_head(s);
      if (s > 0) {
        raise(head, end(out_.forward[out_.at(s - 1, m)]) + crossing(s - 1, s, m));
      }
      if (options_.ordered && m > 0) {
        raise(head, end(out_.forward[out_.at(s, m - 1)]));
      }
      if (const std::int32_t freed = freed_before(s, m); freed >= 0) {
        raise(head, end(out_.input[out_.at(s, freed)]));
      }
    }
    for (std::int32_t s = out_.stages; s-- > 0;) {
      const std::size_t i = out_.at(s, m);
      Time& head = out_.input[i].head;
      head = end(out_.forward[i]);
      if (s + 1 < out_.stages) {
        raise(head, end(out_.input[out_.at(s + 1, m)]) + crossing(s + 1, s, m));
      }
      raise(head, device_head(s));
      if (options_.ordered && m > 0) {
        raise(head, end(out_.input[out_.at(s, m - 1)]));
      }
      if (!out_.weight.empty()) {
        out_.weight[i].head = std::max(end(out_.input[i]), device_head(s));
        if (options_.ordered && m > 0) {
          raise(out_.weight[i].head, end(out_.weight[out_.at(s, m - 1)]));
        }
      }
    }
  }

  // The unit whose backward must have ended before F of unit m may start, or -1.
  [[nodiscard]] std::int32_t freed_before(std::int32_t s, std::int32_t m) const {
    return room_.empty() ? -1 : m - std::max(1, room_[static_cast<std::size_t>(s)]);
  }
  // The unit whose F waits for the backward of unit m, or M.
  [[nodiscard]] std::int32_t waits_for(std::int32_t s, std::int32_t m) const {
    return room_.empty() ? out_.microbatches : m + std::max(1, room_[static_cast<std::size_t>(s)]);
  }

  static Time after(const HeadTail& op) { return op.duration + op.tail; }

  void run_tails(std::int32_t m) {
    const bool next = options_.ordered && m + 1 < out_.microbatches;
    for (std::int32_t s = 0; s < out_.stages; ++s) {
      const std::size_t i = out_.at(s, m);
      Time& tail = out_.input[i].tail;
      tail = device_tail(s);
      if (!out_.weight.empty()) {
        out_.weight[i].tail = device_tail(s);
        if (next) {
          raise(out_.weight[i].tail, after(out_.weight[out_.at(s, m + 1)]));
        }
        raise(tail, after(out_.weight[i]));
      }
      if (s > 0) {
        raise(tail, after(out_.input[out_.at(s - 1, m)]) + crossing(s, s - 1, m));
      }
      if (next) {
        raise(tail, after(out_.input[out_.at(s, m + 1)]));
      }
      if (const std::int32_t waiting = waits_for(s, m); waiting < out_.microbatches) {
        raise(tail, after(out_.forward[out_.at(s, waiting)]));
      }
    }
    for (std::int32_t s = out_.stages; s-- > 0;) {
      const std::size_t i = out_.at(s, m);
      Time& tail = out_.forward[i].tail;
      tail = after(out_.input[i]);
      if (s + 1 < out_.stages) {
        raise(tail, after(out_.forward[out_.at(s + 1, m)]) + crossing(s, s + 1, m));
      }
      if (next) {
        raise(tail, after(out_.forward[out_.at(s, m + 1)]));
      }
    }
  }

  const Pipeline& pipeline_;
  const CostTable& costs_;
  const WindowOptions& options_;
  std::vector<std::int32_t> room_;  // [S] units of the stage that fit at a time; empty: any number
  OpWindows out_;
};

}  // namespace

OpWindows op_windows(const Instance& instance, const WindowOptions& options) {
  return Windows(instance, options).run();
}

}  // namespace stagecraft::search
