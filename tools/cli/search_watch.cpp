#include "search_watch.hpp"

#include <unistd.h>

#include <cstdio>
#include <string>

#include <fmt/core.h>

#include "stagecraft/core/text.hpp"
#include "stagecraft/report/search_report.hpp"

namespace stagecraft::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kInterval = std::chrono::milliseconds(200);

double seconds_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

}  // namespace

SearchWatch::SearchWatch(search::Objective objective, bool visible)
    : objective_(objective),
      visible_(visible && ::isatty(STDERR_FILENO) == 1),
      begin_(Clock::now()),
      next_(begin_ + kInterval) {}

SearchWatch::~SearchWatch() {
  clear();
}

void SearchWatch::improved(const search::Improvement& step) {
  const std::scoped_lock lock(mutex_);
  last_ = step;
  before_ = step.seconds - seconds_between(begin_, Clock::now());
  draw();
}

void SearchWatch::tick() {
  if (!visible_) {
    return;
  }
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (lock.owns_lock() && Clock::now() >= next_) {
    draw();
  }
}

void SearchWatch::draw() {
  if (!visible_) {
    return;
  }
  const auto now = Clock::now();
  next_ = now + kInterval;
  drawn_ = true;
  std::string text = fmt::format("{:.1f} s  ", before_ + seconds_between(begin_, now));
  text += last_.value > 0 ? "best " + objective_text(last_.value, objective_) : "no plan yet";
  if (last_.bound > 0) {
    text += "  bound " + objective_text(last_.bound, objective_);
  }
  if (last_.bound > 0 && last_.value > 0) {
    text += fmt::format(
        "  gap {:.2f} %",
        100.0 * (static_cast<double>(last_.value) / static_cast<double>(last_.bound) - 1.0));
  }
  if (last_.evaluations > 0) {
    text += fmt::format("  {} candidates",
                        with_thousands(static_cast<std::int64_t>(last_.evaluations)));
  }
  fmt::print(stderr, "\r{:<79.79}", text);
  std::fflush(stderr);
}

void SearchWatch::clear() {
  const std::scoped_lock lock(mutex_);
  if (drawn_) {
    fmt::print(stderr, "\r{:<79}\r", "");
    std::fflush(stderr);
    drawn_ = false;
  }
}

}  // namespace stagecraft::cli
