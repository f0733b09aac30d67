// Numbers and words as reports print them. Exact figures are in the JSON.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "stagecraft/core/op.hpp"
#include "stagecraft/core/units.hpp"
#include "stagecraft/engine/timeline.hpp"

namespace stagecraft::report {

/// A unit for a whole column: value / divisor, printed with `decimals` digits.
struct Scale {
  std::string_view unit;
  std::int64_t divisor = 1;
  int decimals = 0;
};

/// The unit that suits the largest of `values`, with as many decimals (at most 3) as they need.
[[nodiscard]] Scale time_scale(std::span<const Time> values);
[[nodiscard]] Scale memory_scale(std::span<const Bytes> values);
[[nodiscard]] std::string scaled(std::int64_t value, const Scale& scale);

/// "1331.21 ms", "12 ns".
[[nodiscard]] std::string time_text(Time value);
/// Three significant digits, for sentences: "2.63 µs", "125 ms".
[[nodiscard]] std::string rough_time_text(Time value);
/// "78.12 GiB", "16 B".
[[nodiscard]] std::string memory_text(Bytes value);
/// 0.1234 -> "12.3 %".
[[nodiscard]] std::string percent_text(double fraction);

/// "forward", "backward", "backward for weights", "overlapped pair" ...
[[nodiscard]] std::string_view op_word(OpKind kind);

/// "loop", "vee x2": the placement and, if more than one, the chunks per device.
[[nodiscard]] std::string placement_text(const Pipeline& pipeline);

/// Position of each stage among the stages of its device: 0 for the first chunk.
[[nodiscard]] std::vector<int> chunk_of_stage(const Pipeline& pipeline);

/// Columns of text, each padded to its widest cell. Columns in `left` are aligned to the left. The
/// first row is the head, underlined.
class TextTable {
 public:
  explicit TextTable(std::vector<bool> left) : left_(std::move(left)) {}
  void add_row(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  [[nodiscard]] std::string str() const;

 private:
  std::vector<bool> left_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace stagecraft::report
