// Ways to cut GPUs into groups.
#include "search/elastic/groups/partitions.hpp"

#include <algorithm>
#include <set>

#include <doctest/doctest.h>

using namespace stagecraft::elastic::rounds;

namespace {

std::int32_t gpus_in(std::span<const std::int32_t> degrees, const Partition& partition) {
  std::int32_t sum = 0;
  for (std::size_t i = 0; i < degrees.size(); ++i) {
    CHECK(partition[i] >= 0);
    sum += degrees[i] * partition[i];
  }
  return sum;
}

}  // namespace

TEST_SUITE_BEGIN("search");

// Binary partitions, OEIS A018819 at even arguments: 2 4 10 36 202 1828.
TEST_CASE("groups: the partitions of powers of two are as many as is known") {
  const std::vector<std::int32_t> degrees = {1, 2, 4, 8, 16, 32, 64};
  const std::vector<std::size_t> known = {1, 2, 4, 10, 36, 202, 1828};
  for (std::size_t i = 0; i < degrees.size(); ++i) {
    const auto few = std::span(degrees).first(i + 1);
    const auto all = all_partitions(few, degrees[i]);
    CHECK(all.size() == known[i]);
    CHECK(count_partitions(few, degrees[i], 1 << 20) == static_cast<std::int64_t>(known[i]));
    CHECK(std::set<Partition>(all.begin(), all.end()).size() == all.size());
    for (const Partition& partition : all) {
      CHECK(gpus_in(few, partition) == degrees[i]);
    }
  }
  CHECK(count_partitions(degrees, 256, 4097) == 4097);
}

TEST_CASE("groups: neighbours keep the number of GPUs and reach every partition") {
  const std::vector<std::int32_t> degrees = {1, 2, 4, 8};
  const std::int32_t gpus = 24;
  const auto uniform = uniform_partitions(degrees, gpus);
  CHECK(uniform.size() == degrees.size());
  std::set<Partition> seen(uniform.begin(), uniform.begin() + 1);
  std::vector<Partition> open(seen.begin(), seen.end());
  while (!open.empty()) {
    const Partition partition = open.back();
    open.pop_back();
    for (const Partition& next : neighbours(degrees, partition)) {
      CHECK(gpus_in(degrees, next) == gpus);
      if (seen.insert(next).second) {
        open.push_back(next);
      }
    }
  }
  const auto all = all_partitions(degrees, gpus);
  CHECK(seen == std::set<Partition>(all.begin(), all.end()));
}

TEST_SUITE_END();
