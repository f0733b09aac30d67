// The memory of one device, granted first come, first served.
#pragma once

#include <algorithm>
#include <vector>

#include "stagecraft/core/units.hpp"
#include "stagecraft/engine/timeline.hpp"

namespace stagecraft {

class MemoryPool {
 public:
  MemoryPool(Bytes capacity, Bytes used) : capacity_(capacity), used_(used) {}

  /// Takes `bytes` for `op` if they fit and no other op waits; otherwise the op waits in line
  /// (once, however often it asks). An op that needs nothing never waits.
  bool take(OpIndex op, Bytes bytes) {
    const bool in_line = std::find(line_.begin(), line_.end(), op) != line_.end();
    if (bytes > 0 && ((!line_.empty() && line_.front() != op && overtaker_ != op) ||
                      used_ + bytes > capacity_)) {
      if (!in_line) {
        line_.push_back(op);
      }
      return false;
    }
    used_ += bytes;
    if (in_line) {
      line_.erase(std::find(line_.begin(), line_.end(), op));
    }
    overtaker_ = kNoOp;
    return true;
  }

  /// `bytes` <= 0.
  void give_back(Bytes bytes) { used_ += bytes; }

  /// Lets an op go ahead of those before it in line.
  void let_overtake(OpIndex op) { overtaker_ = op; }

  [[nodiscard]] bool fits(Bytes bytes) const { return used_ + bytes <= capacity_; }
  [[nodiscard]] const std::vector<OpIndex>& line() const { return line_; }
  [[nodiscard]] Bytes used() const { return used_; }
  [[nodiscard]] Bytes capacity() const { return capacity_; }

 private:
  Bytes capacity_;
  Bytes used_;
  std::vector<OpIndex> line_;  // at most one op per stream
  OpIndex overtaker_ = kNoOp;
};

}  // namespace stagecraft
