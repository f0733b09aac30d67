#include "progress.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string>

#include <fmt/core.h>

namespace stagecraft::cli {

Progress::Progress(std::size_t total) : total_(total), visible_(::isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  clear();
}

void Progress::step(std::string_view what) {
  const std::scoped_lock lock(mutex_);
  ++done_;
  draw(what);
}

void Progress::at(std::size_t done, std::size_t total, std::string_view what) {
  const std::scoped_lock lock(mutex_);
  done_ = done;
  total_ = total;
  draw(what);
}

void Progress::draw(std::string_view what) {
  if (!visible_ || total_ == 0) {
    return;
  }
  constexpr std::size_t kWidth = 30;
  const std::size_t full = std::min(done_, total_) * kWidth / total_;
  fmt::print(stderr, "\r[{}{}] {}/{} {:<20.20}", std::string(full, '#'),
             std::string(kWidth - full, ' '), done_, total_, what);
  std::fflush(stderr);
}

void Progress::clear() {
  const std::scoped_lock lock(mutex_);
  if (visible_ && done_ > 0) {
    fmt::print(stderr, "\r{:<64}\r", "");
    std::fflush(stderr);
    visible_ = false;
  }
}

}  // namespace stagecraft::cli
