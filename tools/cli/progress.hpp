// A progress bar on standard error, drawn only if that is a terminal.
#pragma once

#include <cstddef>
#include <mutex>
#include <string_view>

namespace stagecraft::cli {

class Progress {
 public:
  /// `total` steps of work.
  explicit Progress(std::size_t total);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// One step is done; `what` names it. May be called from any thread.
  void step(std::string_view what);

  /// As far as `done` of `total`, where both are counted elsewhere.
  void at(std::size_t done, std::size_t total, std::string_view what);

  /// Takes the bar away, so that other messages can be printed.
  void clear();

 private:
  void draw(std::string_view what);

  std::mutex mutex_;
  std::size_t done_ = 0;
  std::size_t total_;
  bool visible_;
};

}  // namespace stagecraft::cli
