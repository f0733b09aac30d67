// What order search has to know of an instance, flattened: tasks, what they wait for across
// devices, what has to stand before what in a list, durations and memory.
//
// Where recomputation is open, every unit has an R task; one that is switched off takes no time and
// no memory and stands in its list all the same, so that switching changes numbers and no
// structure.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/engine/task_graph.hpp"
#include "stagecraft/search/plan.hpp"
#include "stagecraft/search/problem.hpp"

namespace stagecraft::search {

/// True if times follow from list orders alone: latency mode, memory policy fail. Then a replay
/// judges an order; otherwise a simulation has to.
[[nodiscard]] bool replay_judges(const CostTable& costs);

struct OrderTask {
  OpIndex needs[2] = {0, 0};      ///< on other devices; OrderModel::nothing() if none
  OpIndex consumers[2] = {0, 0};  ///< on other devices; OrderModel::nothing() if none
  Time needs_latency[2] = {0, 0};
  Time consumers_latency[2] = {0, 0};
};

/// An R task that can be switched on and off.
struct Recomputation {
  OpIndex task = kNoOp;
  OpIndex forward = kNoOp;
  OpIndex backward = kNoOp;
  Time duration = 0;  ///< when on
  Bytes freed = 0;    ///< F allocates so much less when on, and R so much
  bool on = false;    ///< at the start
};

/// What a device adds before its first and after its last op, by objective.
struct DeviceEnds {
  std::vector<Time> head;    ///< [P] a device is free from then on
  std::vector<Time> tail;    ///< [P] added behind its last end
  bool from_start = false;   ///< a device's time counts from its first start (span)
  bool replaceable = false;  ///< an estimate from below: the objective is measured otherwise
};

struct OrderModel {
  std::int32_t devices = 0;
  std::vector<std::size_t> offsets;  ///< [P+1] lists at the start are the tasks in order
  std::vector<Op> ops;               ///< [tasks]
  std::vector<OrderTask> tasks;      ///< [tasks]
  std::vector<std::uint16_t> device;
  std::vector<Time> duration;
  std::vector<Bytes> at_start, at_end;  ///< [tasks] changes of memory
  std::vector<OpIndex> order;           ///< a topological order
  /// [tasks+1], and tasks that have to stand before each in its own list.
  std::vector<std::uint32_t> local_start;
  std::vector<OpIndex> local_needs;
  /// [tasks] ops of one class do the same to units that may differ: kind, stage, direction.
  std::vector<std::uint32_t> klass;
  std::vector<Bytes> resident, capacity;  ///< [P]
  DeviceEnds ends;
  std::vector<Recomputation> recomputations;   ///< those that may be switched; otherwise empty
  std::vector<std::int32_t> recomputation_of;  ///< [tasks] index or -1
  bool pairs = false;                          ///< some task has two needs on other devices
  bool alike = true;  ///< ops of a class take equal times, transfers and bytes
  Time typical = 1;   ///< mean duration of the tasks that take time, at least 1

  [[nodiscard]] std::size_t size() const { return tasks.size(); }
  [[nodiscard]] OpIndex nothing() const {
    return static_cast<OpIndex>(tasks.size()) + static_cast<OpIndex>(devices);
  }
};

/// `schedule` must be complete and without copies; `recompute_open` adds an R for every unit that
/// has none. Fails as build_task_graph does.
[[nodiscard]] Result<OrderModel> make_order_model(const Instance& instance,
                                                  const Schedule& schedule, Objective objective,
                                                  bool recompute_open);

}  // namespace stagecraft::search
