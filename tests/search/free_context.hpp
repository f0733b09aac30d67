// A job context that never stops, counts, and keeps what was found.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

#include "stagecraft/search/method.hpp"

namespace stagecraft::search {

class FreeContext final : public JobContext {
 public:
  [[nodiscard]] bool stopped() const override { return false; }
  void found(const Plan& plan) override {
    const std::scoped_lock lock(mutex_);
    plans.push_back(plan);
  }
  void count(std::uint64_t number) override { evaluations += number; }

  std::vector<Plan> plans;
  std::atomic<std::uint64_t> evaluations{0};

 private:
  std::mutex mutex_;
};

}  // namespace stagecraft::search
