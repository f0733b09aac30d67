// The first failure of a driver or library call, kept until somebody asks for it.
#pragma once

#include <string>
#include <utility>

#include "stagecraft/core/diagnostics.hpp"

namespace stagecraft {

class CallErrors {
 public:
  /// Later failures follow from the first, as a rule: only that is kept.
  void note(const std::string& call, const std::string& text) {
    if (first_.empty()) {
      first_ = call + ": " + text;
    }
  }
  [[nodiscard]] bool any() const { return !first_.empty(); }
  /// The first failure since the last call (infeasible), if any.
  [[nodiscard]] Diagnostics take() {
    if (first_.empty()) {
      return {};
    }
    return {infeasible(std::exchange(first_, std::string()))};
  }

 private:
  std::string first_;
};

}  // namespace stagecraft
