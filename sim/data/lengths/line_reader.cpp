#include "data/lengths/line_reader.hpp"

#include <cstring>
#include <utility>

namespace stagecraft::data {

bool LineReader::refill() {
  Block block = stream_.read();
  if (!block.problem.empty()) {
    problem_ = std::move(block.problem);
    broken_ = block.broken;
  }
  block_ = block.bytes;
  at_end_ = block_.empty();
  return !at_end_;
}

Line LineReader::line_of(std::string_view text) {
  ++number_;
  if (number_ == 1 && text.starts_with("\xEF\xBB\xBF")) {
    text.remove_prefix(3);
  }
  if (text.ends_with('\r')) {
    text.remove_suffix(1);
  }
  return {Line::Kind::kText, text, number_, {}};
}

Line LineReader::next() {
  carry_.clear();
  bool carried = false;
  bool too_long = false;
  while (!at_end_) {
    if (block_.empty() && !refill()) {
      break;
    }
    const auto* end = static_cast<const char*>(std::memchr(block_.data(), '\n', block_.size()));
    const std::size_t size =
        end == nullptr ? block_.size() : static_cast<std::size_t>(end - block_.data());
    const std::string_view part = block_.substr(0, size);
    block_.remove_prefix(end == nullptr ? size : size + 1);
    too_long = too_long || carry_.size() + size > kLongestLine;
    if (end != nullptr && !too_long) {
      return line_of(carried ? std::string_view(carry_.append(part)) : part);
    }
    if (end != nullptr) {
      break;
    }
    carried = true;
    if (too_long) {
      carry_ = {};  // gives the memory back
    } else {
      carry_ += part;
    }
  }
  if (!problem_.empty()) {
    // Told once; the end comes after it.
    reported_ = std::exchange(problem_, {});
    return {broken_ ? Line::Kind::kBroken : Line::Kind::kDamaged, {}, number_ + 1, reported_};
  }
  if (too_long) {
    return {Line::Kind::kTooLong, {}, ++number_, {}};
  }
  return carried ? line_of(carry_) : Line{Line::Kind::kEnd, {}, number_, {}};
}

}  // namespace stagecraft::data
