// How many blocks and threads a kernel gets, and when it may load 16 bytes at a time.
#pragma once

#include <algorithm>
#include <cstdint>

namespace stagecraft {

struct LaunchGrid {
  std::int64_t blocks = 0;  ///< 0: nothing to do
  std::int32_t threads = 0;
};

inline constexpr std::int32_t kWarp = 32;
inline constexpr std::int32_t kElementThreads = 256;
inline constexpr std::int32_t kMostRowThreads = 512;
inline constexpr std::int32_t kGainThreads = 128;
inline constexpr std::int64_t kMostBlocks = std::int64_t{1}
                                            << 30;           // the hardware's limit: 2^31 - 1
inline constexpr std::int32_t kBlocksPerMultiprocessor = 8;  // 2048 threads of 256
inline constexpr std::int64_t kGainChunks = 128;
inline constexpr std::int64_t kGainChunkRows = 16;

[[nodiscard]] constexpr std::int64_t divide_up(std::int64_t count, std::int64_t by) {
  return (count + by - 1) / by;
}

/// A block per row, with a thread (of a power of two, at most kMostRowThreads) per `lanes`
/// elements.
[[nodiscard]] constexpr LaunchGrid row_grid(std::int64_t rows, std::int64_t width,
                                            std::int32_t lanes) {
  std::int32_t threads = kWarp;
  while (threads < kMostRowThreads && std::int64_t{threads} * lanes < width) {
    threads *= 2;
  }
  return {std::min(rows, kMostBlocks), threads};
}

/// Enough threads for all elements, at most as many as the multiprocessors hold at once: then each
/// takes several packs in turn.
[[nodiscard]] constexpr LaunchGrid element_grid(std::int64_t count, std::int32_t lanes,
                                                std::int32_t multiprocessors) {
  return {std::min(divide_up(count, std::int64_t{kElementThreads} * lanes),
                   std::int64_t{kBlocksPerMultiprocessor} * multiprocessors),
          kElementThreads};
}

/// How the rows of a gain's gradient are divided into chunks that are summed first. Depends on the
/// sizes alone, so that every GPU adds in the same order.
struct GainChunks {
  std::int64_t chunks = 0;
  std::int64_t rows = 0;   ///< of a chunk; the last one may have fewer
  std::int64_t tiles = 0;  ///< blocks side by side over the width
};

/// `room`: floats of the workspace, at least `width`.
[[nodiscard]] constexpr GainChunks gain_chunks(std::int64_t rows, std::int64_t width,
                                               std::int32_t lanes, std::int64_t room) {
  const std::int64_t most = std::min(kGainChunks, room / width);
  GainChunks result;
  result.rows = std::max(kGainChunkRows, divide_up(rows, most));
  result.chunks = divide_up(rows, result.rows);
  result.tiles = divide_up(width, std::int64_t{kGainThreads} * lanes);
  return result;
}

/// May all of these be loaded 16 bytes (8 elements of bf16) at a time?
template <class... Pointers>
[[nodiscard]] bool aligned16(const Pointers*... pointers) {
  // A null pointer stands for an operand that is left out.
  return ((reinterpret_cast<std::uintptr_t>(pointers) % 16 == 0) && ...);
}

}  // namespace stagecraft
