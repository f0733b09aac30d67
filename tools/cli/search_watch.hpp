// What a search says while it runs: one line on standard error, drawn only if that is a terminal.
#pragma once

#include <chrono>
#include <mutex>

#include "stagecraft/search/driver.hpp"

namespace stagecraft::cli {

class SearchWatch {
 public:
  /// Silent if not `visible`, whatever standard error is.
  SearchWatch(search::Objective objective, bool visible);
  ~SearchWatch();
  SearchWatch(const SearchWatch&) = delete;
  SearchWatch& operator=(const SearchWatch&) = delete;

  /// A better plan or bound.
  void improved(const search::Improvement& step);
  /// Time passes; may be called as often as one likes, from any thread.
  void tick();
  /// Takes the line away, so that other messages can be printed.
  void clear();

 private:
  void draw();

  std::mutex mutex_;
  search::Objective objective_;
  bool visible_;
  bool drawn_ = false;
  search::Improvement last_;
  std::chrono::steady_clock::time_point begin_, next_;
  double before_ = 0.0;  ///< seconds a resumed search had taken at the last improvement
};

}  // namespace stagecraft::cli
