// Who wrote and read which bytes, in vector time: finds accesses of two queues that nothing orders.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace stagecraft::test {

/// [queues] how many commands of each are known to have ended. (Mattern 1989.)
using VectorTime = std::vector<std::uint64_t>;
void merge(VectorTime& into, const VectorTime& other);

/// Bytes of one allocation.
class ByteClocks {
 public:
  explicit ByteClocks(std::size_t bytes) {
    cells_.emplace(0, Cell{});
    size_ = bytes;
  }

  /// The queue reads or writes [begin, end) at its `now`. Empty, or what is wrong: bytes that
  /// nobody wrote, or an access that is not ordered before.
  /// `gaps`: bytes that nobody wrote are no error.
  [[nodiscard]] std::string read(std::size_t begin, std::size_t end, std::uint32_t queue,
                                 const VectorTime& now, bool gaps = false);
  [[nodiscard]] std::string write(std::size_t begin, std::size_t end, std::uint32_t queue,
                                  const VectorTime& now);

 private:
  struct Access {
    std::uint32_t queue = 0;
    std::uint64_t time = 0;
  };
  struct Cell {
    bool written = false;
    Access write;
    std::vector<Access> reads;  // one per queue, since the last write
  };
  using Cells = std::map<std::size_t, Cell>;
  Cells::iterator split(std::size_t at);

  Cells cells_;  // by first byte; each reaches to the next
  std::size_t size_ = 0;
};

}  // namespace stagecraft::test
