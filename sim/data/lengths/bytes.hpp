// The bytes of a file or of standard input, block by block, decompressed where they are gzip.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "stagecraft/core/diagnostics.hpp"

namespace stagecraft::data {

/// What a read gives: bytes, the end, or why there are no more.
struct Block {
  std::string_view bytes;  ///< valid until the next read; empty: the end, or a failure
  std::string problem;     ///< "": none
  bool broken = false;     ///< the system failed; otherwise the gzip stream is damaged
};

class ByteStream {
 public:
  /// "-": standard input. gzip is told by its first bytes; `must_be_gzip`: anything else is damage.
  [[nodiscard]] static Result<ByteStream> open(const std::string& path, bool must_be_gzip);
  ByteStream(ByteStream&&) noexcept;
  ByteStream& operator=(ByteStream&&) noexcept;
  ~ByteStream();

  [[nodiscard]] Block read();

 private:
  struct State;
  explicit ByteStream(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// Why a file cannot be read, without reading it; nothing if it can. A pipe is not opened, which
/// would end whoever writes to it.
[[nodiscard]] Diagnostics check_readable(const std::string& path);

/// False for "-" and what else can be read only once.
[[nodiscard]] bool can_be_read_again(const std::string& path);

}  // namespace stagecraft::data
