// The queue of pending events of a simulation, with one total order of simultaneous events.
//
// Events come out by (time, class, sequence number). A class says what happens to things at an
// instant and so in which order: see EventClass. Among events of one time and class, the one pushed
// first comes first. An event may push others at the current instant, of any class; they are
// delivered before time advances, so that all effects of an instant are settled first.
//
// Two parts: a binary heap for the future and one first-in-first-out list per class for the current
// instant, where most pushes of a pipeline with equal costs land. There is no cancelling: an event
// that may become stale carries a generation number, which its owner compares.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <queue>
#include <vector>

#include "stagecraft/core/check.hpp"
#include "stagecraft/core/units.hpp"

namespace stagecraft {

/// What an event does; lower values come first within an instant.
enum class EventClass : std::uint8_t {
  /// An op ends: its device becomes free and its memory is released. First, so that whatever else
  /// happens at this instant sees the resources that it frees.
  kOpEnd,
  /// The last byte of a transfer or copy has left: its links are free.
  kFlowEnd,
  /// The data of a transfer is there. After the ends of flows, since it may follow one at once.
  kTransferEnd,
  /// An op's last data arrived. After all ends, so that an op never seems to wait for memory or for
  /// a device that is given back at the same instant.
  kReady,
  /// A device looks for what to start. After everything it could start with is known.
  kStart,
  /// Links are shared out anew, once for all transfers that ended or were requested at this
  /// instant; last, because starts and ends request transfers.
  kArbitrate,
};
inline constexpr std::size_t kEventClassCount = 6;

struct Event {
  Time time = 0;
  std::uint64_t order = 0;       ///< class in the top 8 bits, sequence number below
  std::uint32_t subject = 0;     ///< op, device or link; the class says which
  std::uint32_t generation = 0;  ///< for owners that outdate events

  [[nodiscard]] EventClass event_class() const { return static_cast<EventClass>(order >> 56U); }
};
static_assert(sizeof(Event) == 24, "heap moves are the cost of the queue");

class EventQueue {
 public:
  /// `time` must not lie before now().
  void push(Time time, EventClass event_class, std::uint32_t subject,
            std::uint32_t generation = 0) {
    STAGECRAFT_CHECK(time >= now_, "an event in the past");
    const auto lane = static_cast<std::size_t>(event_class);
    const Event event{time, (std::uint64_t{lane} << 56U) | sequence_++, subject, generation};
    if (time == now_) {
      lanes_[lane].push(event);
      ++current_;
    } else {
      future_.push(event);
    }
  }

  [[nodiscard]] bool empty() const { return current_ == 0 && future_.empty(); }

  /// The next event; time advances to it. The queue must not be empty.
  Event pop() {
    if (current_ == 0 && (future_.empty() || future_.top().time > now_)) {
      STAGECRAFT_CHECK(!future_.empty(), "pop of an empty event queue");
      now_ = future_.top().time;
    }
    ++delivered_;
    const bool heap = !future_.empty() && future_.top().time == now_;
    // An event of this instant in the heap was pushed before time got here, so before any event of
    // its class in the lists.
    const std::size_t last =
        heap ? static_cast<std::size_t>(future_.top().event_class()) : kEventClassCount;
    for (std::size_t lane = 0; current_ > 0 && lane < last; ++lane) {
      if (!lanes_[lane].empty()) {
        --current_;
        return lanes_[lane].pop();
      }
    }
    const Event event = future_.top();
    future_.pop();
    return event;
  }

  /// True if no event of the current instant is left.
  [[nodiscard]] bool settled() const {
    return current_ == 0 && (future_.empty() || future_.top().time > now_);
  }

  [[nodiscard]] Time now() const { return now_; }
  [[nodiscard]] std::uint64_t delivered() const { return delivered_; }  ///< events popped so far

 private:
  struct Lane {
    std::vector<Event> events;
    std::size_t head = 0;

    [[nodiscard]] bool empty() const { return head == events.size(); }
    void push(const Event& event) { events.push_back(event); }
    Event pop() {
      const Event event = events[head++];
      if (head == events.size()) {
        events.clear();
        head = 0;
      }
      return event;
    }
  };
  struct Later {
    bool operator()(const Event& a, const Event& b) const {
      return a.time != b.time ? a.time > b.time : a.order > b.order;
    }
  };

  std::priority_queue<Event, std::vector<Event>, Later> future_;
  std::array<Lane, kEventClassCount> lanes_;
  std::size_t current_ = 0;  ///< events in the lanes
  Time now_ = 0;
  std::uint64_t sequence_ = 0;
  std::uint64_t delivered_ = 0;
};

}  // namespace stagecraft
