// InfiniPipe's workload-balanced sequence chunking (2509.21275, algorithm 1): mesh, split, buckets.
//
// Ours where the paper is silent:
// - A sequence not longer than the first mesh slice is short, a longer one is cut; one that ends at
//   a mesh point has no tail.
// - T_t is the time of the longest of the mesh slices, which differ by the rounding to tokens.
// - T_m is token_threshold times the first mesh slice, and never more than the capacity.
// - A longest sequence of fewer tokens than K is cut into slices of one token.
#include <algorithm>
#include <cmath>

#include <fmt/core.h>

#include "data/formation/balanced_buckets.hpp"
#include "data/formation/balanced_mesh.hpp"
#include "data/formation/inputs.hpp"

namespace stagecraft::data {
namespace {

Diagnostics problems_of(const GlobalBatch& batch, const BalancedOptions& options) {
  Diagnostics problems = batch_problems(batch);
  append(problems, cost_problems(options.costs, options.fixed));
  if (options.slices < 1 || options.slices > kMostSlices) {
    problems.push_back(bad_input(fmt::format(
        "the longest sequence is cut into 1 to {} slices, not {}", kMostSlices, options.slices)));
  }
  if (options.capacity < 0) {
    problems.push_back(bad_input(
        fmt::format("the capacity of a slice is a number of tokens, not {}", options.capacity),
        "0 means no limit"));
  }
  if (!std::isfinite(options.token_threshold) || options.token_threshold < 1) {
    problems.push_back(bad_input(
        fmt::format("the token threshold must be at least 1, not {}", options.token_threshold),
        "below 1 the longest short sequences would fit nowhere"));
  }
  return problems;
}

/// K, raised to what the capacity needs.
Result<std::int64_t> mesh_slices(Tokens longest, const BalancedOptions& options) {
  const std::int64_t slices = std::min<std::int64_t>(options.slices, longest);
  if (options.capacity == 0) {
    return slices;
  }
  if ((longest - 1) / options.capacity >= kMostSlices ||
      options.costs.of(0, longest) / options.costs.of(0, options.capacity + 1) >=
          static_cast<double>(kMostSlices)) {
    return bad_input(
        fmt::format("slices of at most {} tokens cut the longest sequence of {} into "
                    "more than {}",
                    options.capacity, longest, kMostSlices));
  }
  return slices_within(longest, slices, options.costs, options.capacity);
}

double longest_time(const std::vector<Tokens>& mesh, const BalancedOptions& options) {
  double longest = 0;
  Tokens begin = 0;
  for (const Tokens end : mesh) {
    longest = std::max(longest, options.costs.of(begin, end));
    begin = end;
  }
  return options.fixed + longest;
}

/// Slices [0, e_1), [e_1, e_2), ... of a sequence, up to its last full one, and the tail.
MicroBatch cut_at(const std::vector<Tokens>& mesh, const Piece& all) {
  MicroBatch microbatch;
  Tokens begin = 0;
  for (const Tokens point : mesh) {
    const Tokens end = std::min(point, all.tokens);
    microbatch.slices.push_back({{{all.sequence, begin, end - begin, end - begin}}});
    begin = end;
    if (begin == all.tokens) {
      break;
    }
  }
  return microbatch;
}

void sort_longest_first(std::vector<MicroBatch>& microbatches) {
  struct Key {
    std::size_t slices;
    Tokens tokens;
    std::int32_t sequence;
    std::size_t index;
  };
  std::vector<Key> keys;
  keys.reserve(microbatches.size());
  for (const MicroBatch& microbatch : microbatches) {
    Key key{microbatch.slices.size(), microbatch.tokens(),
            microbatch.slices.front().pieces.front().sequence, keys.size()};
    for (const Slice& slice : microbatch.slices) {
      for (const Piece& piece : slice.pieces) {
        key.sequence = std::min(key.sequence, piece.sequence);
      }
    }
    keys.push_back(key);
  }
  std::sort(keys.begin(), keys.end(), [](const Key& a, const Key& b) {
    if (a.slices != b.slices) {
      return a.slices > b.slices;
    }
    return a.tokens != b.tokens ? a.tokens > b.tokens : a.sequence < b.sequence;
  });
  std::vector<MicroBatch> sorted;
  sorted.reserve(keys.size());
  for (const Key& key : keys) {
    sorted.push_back(std::move(microbatches[key.index]));
  }
  microbatches = std::move(sorted);
}

}  // namespace

Result<Formation> balanced_chunks(const GlobalBatch& batch, const BalancedOptions& options) {
  if (Diagnostics problems = problems_of(batch, options); !problems.empty()) {
    return problems;
  }
  const std::vector<std::int32_t> order = longest_first(batch);
  const Tokens longest = whole(batch, order.front()).tokens;
  const auto slices = mesh_slices(longest, options);
  if (!slices.ok()) {
    return slices.failures();
  }
  const std::vector<Tokens> mesh = equal_time_mesh(longest, *slices, options.costs);

  Formation formation{"balanced", {}};
  std::vector<Bucket> buckets;
  std::vector<std::size_t> hybrids;  // micro-batch of a bucket that begins with a tail
  std::vector<Short> shorts;
  for (const std::int32_t sequence : order) {
    const Piece all = whole(batch, sequence);
    if (all.tokens <= mesh.front()) {
      shorts.push_back({sequence, all.tokens, options.costs.of(0, all.tokens)});
      continue;
    }
    if (!std::binary_search(mesh.begin(), mesh.end(), all.tokens)) {
      const Tokens begin = *std::prev(std::lower_bound(mesh.begin(), mesh.end(), all.tokens));
      buckets.push_back(
          {options.fixed + options.costs.of(begin, all.tokens), all.tokens - begin, {}});
      hybrids.push_back(formation.microbatches.size());
    }
    formation.microbatches.push_back(cut_at(mesh, all));
  }
  const double most = options.token_threshold * static_cast<double>(mesh.front());
  const Tokens no_limit = options.capacity > 0 ? options.capacity : kLongestSequence;
  fill_buckets(buckets, shorts, options.fixed, longest_time(mesh, options),
               most < static_cast<double>(no_limit) ? static_cast<Tokens>(most) : no_limit);
  for (std::size_t i = 0; i < buckets.size(); ++i) {
    const bool hybrid = i < hybrids.size();
    if (!hybrid) {
      formation.microbatches.emplace_back().slices.emplace_back();
    }
    MicroBatch& microbatch =
        hybrid ? formation.microbatches[hybrids[i]] : formation.microbatches.back();
    for (const std::int32_t sequence : buckets[i].sequences) {
      microbatch.slices.back().pieces.push_back(whole(batch, sequence));
    }
  }
  sort_longest_first(formation.microbatches);
  return formation;
}

}  // namespace stagecraft::data
