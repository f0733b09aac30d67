// Lines of a file, in bounded memory.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "data/lengths/bytes.hpp"

namespace stagecraft::data {

/// Longer lines are malformed.
inline constexpr std::size_t kLongestLine = std::size_t{1} << 26U;

struct Line {
  enum class Kind : std::uint8_t {
    kText,
    kEnd,
    kTooLong,  ///< more than kLongestLine; gone over
    kDamaged,  ///< no more can be read: see problem; the line it breaks off in is dropped
    kBroken,   ///< the same, because the system failed
  };
  Kind kind = Kind::kEnd;
  std::string_view text;     ///< without its end (LF or CR LF); valid until the next call
  std::int64_t number = 0;   ///< from 1
  std::string_view problem;  ///< of kDamaged and kBroken; valid as long as the reader
};

class LineReader {
 public:
  explicit LineReader(ByteStream stream) : stream_(std::move(stream)) {}

  /// The next line. A mark of byte order before the first one is taken off; the last one may lack
  /// its end.
  [[nodiscard]] Line next();

 private:
  [[nodiscard]] Line line_of(std::string_view text);
  [[nodiscard]] bool refill();

  ByteStream stream_;
  std::string_view block_;  ///< what is left of the last block
  std::string carry_;       ///< beginning of a line that goes on in the next block
  std::string problem_, reported_;
  std::int64_t number_ = 0;
  bool broken_ = false;
  bool at_end_ = false;
};

}  // namespace stagecraft::data
