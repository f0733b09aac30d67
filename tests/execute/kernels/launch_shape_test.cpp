#include "execute/cuda/launch_shape.hpp"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <vector>

#include "selftest/emulated_ops.hpp"

namespace stagecraft {
namespace {

using selftest::HostBlock;
using selftest::ThreadOrder;

constexpr std::int64_t kHuge = (std::int64_t{1} << 33) + 5;

/// Notes which elements a grid works on.
struct Recorder {
  std::vector<std::int32_t>* times;

  template <int N>
  void pack(std::int64_t i) const {
    for (std::int64_t j = i; j < i + N; ++j) {
      ++times->at(static_cast<std::size_t>(j));
    }
  }
};

/// Notes the smallest and largest element, and counts.
struct Range {
  std::int64_t* low;
  std::int64_t* high;
  std::int64_t* count;

  template <int N>
  void pack(std::int64_t i) const {
    *low = std::min(*low, i);
    *high = std::max(*high, i + N - 1);
    *count += N;
  }
};

TEST_SUITE_BEGIN("execute");

TEST_CASE("a grid over elements takes every one once") {
  CHECK(rc::check([] {
    const auto count = *rc::gen::inRange<std::int64_t>(1, 20000);
    const auto multiprocessors = *rc::gen::inRange(1, 4);
    const bool vectors = *rc::gen::arbitrary<bool>();
    const LaunchGrid grid = element_grid(count, vectors ? 8 : 1, multiprocessors);
    std::vector<std::int32_t> times(static_cast<std::size_t>(count), 0);
    const std::vector<int> order = selftest::thread_order(grid.threads, ThreadOrder::kUp);
    for (std::int64_t b = 0; b < grid.blocks; ++b) {
      HostBlock block(b, grid, order);
      if (vectors) {
        for_packs<8>(block, count, Recorder{&times});
      } else {
        for_packs<1>(block, count, Recorder{&times});
      }
    }
    RC_ASSERT(times == std::vector<std::int32_t>(times.size(), 1));
  }));
}

TEST_CASE("a grid over more than 2^32 elements ends where they end") {
  const LaunchGrid grid = element_grid(kHuge, 8, 132);
  CHECK(grid.blocks == 132 * 8);
  const std::vector<int> first = {0};
  const std::vector<int> last = {grid.threads - 1};
  std::int64_t low = kHuge;
  std::int64_t high = 0;
  std::int64_t count = 0;
  HostBlock begin(0, grid, first);
  for_packs<8>(begin, kHuge, Range{&low, &high, &count});
  CHECK(low == 0);
  HostBlock end(grid.blocks - 1, grid, last);
  for_packs<8>(end, kHuge, Range{&low, &high, &count});
  CHECK(high < kHuge);
  // The thread that takes the rest: packs are dealt in turn.
  const std::int64_t packs = kHuge / 8;
  const std::int64_t threads = grid.blocks * grid.threads;
  const std::vector<int> rest = {static_cast<int>(packs % threads % grid.threads)};
  HostBlock owner(packs % threads / grid.threads, grid, rest);
  count = 0;
  for_packs<8>(owner, kHuge, Range{&low, &high, &count});
  CHECK(high == kHuge - 1);
  CHECK(count % 8 == 5);
}

TEST_CASE("more rows than blocks are taken in turn") {
  constexpr std::int64_t kRows = 2 * kMostBlocks + 3;
  const LaunchGrid grid = row_grid(kRows, 8, 8);
  CHECK(grid.blocks == kMostBlocks);
  CHECK(grid.threads == kWarp);
  // All rows lie in one place: strides of 0. Block 2 gets the last row.
  std::vector<Bf16> from(8, to_bf16(2.0F));
  std::vector<Bf16> to(8, to_bf16(0.0F));
  const CopyRowsKernel<1> kernel{kRows, 8, from.data(), 0, to.data(), 0};
  const std::vector<int> order = selftest::thread_order(grid.threads, ThreadOrder::kUp);
  HostBlock block(2, grid, order);
  kernel(block);
  CHECK(to_float(to[7]) == 2.0F);
}

TEST_CASE("rows get a power of two of threads") {
  CHECK(row_grid(5, 1, 1).threads == 32);
  CHECK(row_grid(5, 33, 1).threads == 64);
  CHECK(row_grid(5, 1024, 8).threads == 128);
  CHECK(row_grid(5, 1032, 8).threads == 256);
  CHECK(row_grid(5, 100000, 8).threads == kMostRowThreads);
  CHECK(row_grid(5, 1, 1).blocks == 5);
}

TEST_CASE("chunks of a gain's gradient cover all rows and fit the workspace") {
  CHECK(rc::check([] {
    const auto rows = *rc::gen::inRange<std::int64_t>(1, 1 << 20);
    const auto width = *rc::gen::inRange<std::int64_t>(1, 1 << 15);
    const auto room = width * *rc::gen::inRange<std::int64_t>(1, 300);
    const auto lanes = *rc::gen::element(1, 8);
    const GainChunks chunks = gain_chunks(rows, width, lanes, room);
    RC_ASSERT(chunks.chunks >= 1);
    RC_ASSERT(chunks.chunks * width <= room);
    RC_ASSERT(chunks.chunks <= kGainChunks);
    RC_ASSERT(chunks.chunks * chunks.rows >= rows);
    RC_ASSERT((chunks.chunks - 1) * chunks.rows < rows);  // none is empty
    RC_ASSERT(chunks.tiles * kGainThreads * lanes >= width);
  }));
}

TEST_CASE("16 bytes at a time needs all pointers at multiples of 16") {
  alignas(16) const float data[8] = {};
  CHECK(aligned16(data, data + 4));
  CHECK(!aligned16(data, data + 1));
  CHECK(aligned16(data, static_cast<const float*>(nullptr)));
}

TEST_SUITE_END();

}  // namespace
}  // namespace stagecraft
