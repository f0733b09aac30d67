#include "wave.hpp"

#include <algorithm>

#include "stagecraft/core/check.hpp"

namespace stagecraft {
namespace {

/// List scheduling in steps of one slot. Micro-batches pass every stage in order, so what is ready
/// on a stage is a range of micro-batches.
class WaveList {
 public:
  WaveList(const Pipeline& pipeline, std::int32_t inflight)
      : pipeline_(pipeline),
        inflight_(inflight),
        stages_(static_cast<std::size_t>(pipeline.stages)),
        running_(static_cast<std::size_t>(pipeline.devices)),
        order_(static_cast<std::size_t>(pipeline.devices)) {
    for (std::int32_t device = 0; device < pipeline.devices; ++device) {
      held_.push_back(pipeline.stages_of(device));
      order_[static_cast<std::size_t>(device)].reserve(
          held_.back().size() * 2 * static_cast<std::size_t>(pipeline.microbatches));
    }
    stages_[0].forward_ready = pipeline.microbatches;
  }

  WaveOrder run() {
    std::int64_t left = std::int64_t{2} * pipeline_.stages * pipeline_.microbatches;
    while (left > 0) {
      for (std::size_t device = 0; device < running_.size(); ++device) {
        if (running_[device].slots > 0 && --running_[device].slots == 0) {
          finish(running_[device].op);
        }
      }
      bool busy = false;
      for (std::size_t device = 0; device < running_.size(); ++device) {
        if (running_[device].slots == 0 && start(device)) {
          --left;
        }
        busy = busy || running_[device].slots > 0;
      }
      STAGECRAFT_CHECK(busy || left == 0, "some op is always ready");
    }
    return std::move(order_);
  }

 private:
  struct Stage {  // counts of micro-batches
    std::int32_t forward_ready = 0;
    std::int32_t forward_started = 0;
    std::int32_t backward_ready = 0;
    std::int32_t backward_started = 0;
  };
  struct Running {
    WaveOp op;
    std::int32_t slots = 0;
  };

  Stage& at(std::int32_t stage) { return stages_[static_cast<std::size_t>(stage)]; }

  void finish(const WaveOp& op) {
    if (op.backward) {
      if (op.stage == 0) {
        ++finished_;
      } else {
        ++at(op.stage - 1).backward_ready;
      }
    } else if (op.stage + 1 < pipeline_.stages) {
      ++at(op.stage + 1).forward_ready;
    } else {
      ++at(op.stage).backward_ready;
    }
  }

  bool start(std::size_t device) {
    Running& running = running_[device];
    const std::vector<std::int32_t>& held = held_[device];
    std::int32_t chosen = -1;
    for (auto stage = held.rbegin(); stage != held.rend(); ++stage) {  // oldest, then deepest
      const Stage& s = at(*stage);
      if (s.backward_started < s.backward_ready &&
          (chosen < 0 || s.backward_started < at(chosen).backward_started)) {
        chosen = *stage;
      }
    }
    if (chosen >= 0) {
      running = {{true, at(chosen).backward_started++, chosen}, 2};
    } else {
      for (auto stage = held.rbegin(); stage != held.rend() && chosen < 0; ++stage) {
        const Stage& s = at(*stage);
        const bool room = *stage > 0 || s.forward_started < finished_ + inflight_;
        if (s.forward_started < s.forward_ready && room) {
          chosen = *stage;
        }
      }
      if (chosen < 0) {
        return false;
      }
      running = {{false, at(chosen).forward_started++, chosen}, 1};
    }
    order_[device].push_back(running.op);
    return true;
  }

  const Pipeline& pipeline_;
  std::int32_t inflight_;
  std::int32_t finished_ = 0;
  std::vector<Stage> stages_;
  std::vector<std::vector<std::int32_t>> held_;  // stages of every device, ascending
  std::vector<Running> running_;
  WaveOrder order_;
};

}  // namespace

WaveOrder wave_list_order(const Pipeline& pipeline, std::int32_t inflight) {
  return WaveList(pipeline, inflight).run();
}

WaveOrder wave_block_order(const Pipeline& pipeline) {
  // A position is three slots, F then BW; a device has V of them per interval.
  const std::int64_t chunks = pipeline.stages / pipeline.devices;
  const auto stages = static_cast<std::size_t>(pipeline.stages);
  struct Placed {
    std::int64_t position;
    WaveOp op;
  };
  std::vector<std::vector<Placed>> block(static_cast<std::size_t>(pipeline.devices));
  std::vector<std::vector<bool>> taken(block.size(),
                                       std::vector<bool>(static_cast<std::size_t>(chunks), false));
  const auto place = [&](std::int64_t earliest, const WaveOp& op) {
    const auto device = static_cast<std::size_t>(pipeline.device(op.stage));
    std::int64_t position = earliest;
    while (taken[device][static_cast<std::size_t>(position % chunks)]) {
      ++position;
    }
    taken[device][static_cast<std::size_t>(position % chunks)] = true;
    block[device].push_back({position, op});
    return position;
  };
  std::int64_t position = -1;
  for (std::size_t s = 0; s < stages; ++s) {
    position = place(position + 1, {false, 0, static_cast<std::int32_t>(s)});
  }
  for (std::vector<bool>& row : taken) {
    row.assign(row.size(), false);
  }
  --position;  // the last stage's BW may share the position of its F
  for (std::size_t s = stages; s-- > 0;) {
    position = place(position + 1, {true, 0, static_cast<std::int32_t>(s)});
  }

  WaveOrder order(block.size());
  for (std::size_t device = 0; device < block.size(); ++device) {
    struct Timed {
      std::int64_t slot;
      WaveOp op;
    };
    std::vector<Timed> timed;
    timed.reserve(block[device].size() * static_cast<std::size_t>(pipeline.microbatches));
    for (std::int32_t m = 0; m < pipeline.microbatches; ++m) {
      for (const Placed& placed : block[device]) {
        timed.push_back({2 * (placed.position + chunks * m) + (placed.op.backward ? 1 : 0),
                         {placed.op.backward, m, placed.op.stage}});
      }
    }
    std::sort(timed.begin(), timed.end(),
              [](const Timed& a, const Timed& b) { return a.slot < b.slot; });
    order[device].reserve(timed.size());
    for (const Timed& entry : timed) {
      order[device].push_back(entry.op);
    }
  }
  return order;
}

}  // namespace stagecraft
