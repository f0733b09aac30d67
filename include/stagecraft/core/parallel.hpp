// Runs independent pieces of work on a few threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace stagecraft {

/// Calls work(i) once for every i < count, on `threads` threads (0: one per core). Pieces are taken
/// in order. The first exception is thrown again here, after all threads have ended.
template <typename Work>
void for_each_index(std::size_t count, int threads, Work&& work) {
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::exception_ptr failure;
  const auto loop = [&] {
    for (std::size_t i = next++; i < count; i = next++) {
      try {
        work(i);
      } catch (...) {
        const std::scoped_lock lock(mutex);
        failure = failure ? failure : std::current_exception();
        next = count;
      }
    }
  };
  const std::size_t wanted =
      threads > 0 ? static_cast<std::size_t>(threads) : std::thread::hardware_concurrency();
  const std::size_t workers = std::clamp<std::size_t>(wanted, 1, std::max<std::size_t>(count, 1));
  {
    std::vector<std::jthread> pool;
    for (std::size_t i = 1; i < workers; ++i) {
      pool.emplace_back(loop);
    }
    loop();
  }
  if (failure) {
    std::rethrow_exception(failure);
  }
}

}  // namespace stagecraft
