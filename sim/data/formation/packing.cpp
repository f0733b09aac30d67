// Whole sequences into micro-batches: padding, first fit, best fit decreasing (Johnson,
// "Near-optimal bin packing algorithms", 1973: best fit decreasing takes at most 11/9 OPT + 6/9
// micro-batches).
#include <algorithm>
#include <bit>
#include <set>

#include <fmt/core.h>

#include "data/formation/inputs.hpp"
#include "data/formation/packing.hpp"

namespace stagecraft::data {
namespace {

/// Room left in each of `count` bins, and the first bin with enough of it, in O(log count).
class Rooms {
 public:
  Rooms(std::size_t count, Tokens capacity)
      : leaves_(std::bit_ceil(count)), most_(2 * leaves_, capacity) {}

  /// The first bin with room for `tokens`, which are taken from it; there must be one.
  std::size_t take(Tokens tokens) {
    std::size_t node = 1;
    while (node < leaves_) {
      node = 2 * node + (most_[2 * node] >= tokens ? 0U : 1U);
    }
    most_[node] -= tokens;
    const std::size_t bin = node - leaves_;
    for (node /= 2; node > 0; node /= 2) {
      most_[node] = std::max(most_[2 * node], most_[2 * node + 1]);
    }
    return bin;
  }

 private:
  std::size_t leaves_;
  std::vector<Tokens> most_;  ///< heap order: the most room below a node
};

MicroBatch one_slice(std::vector<Piece> pieces) {
  MicroBatch microbatch;
  microbatch.slices.push_back({std::move(pieces)});
  return microbatch;
}

Diagnostics packing_problems(const GlobalBatch& batch, Tokens capacity) {
  Diagnostics problems = batch_problems(batch);
  append(problems, over_limit(batch, capacity, "the capacity"));
  return problems;
}

}  // namespace

Result<Formation> pad_together(const GlobalBatch& batch, std::int32_t count) {
  Diagnostics problems = batch_problems(batch);
  if (count < 1) {
    problems.push_back(
        bad_input(fmt::format("a micro-batch takes at least 1 sequence, not {}", count)));
  }
  if (!problems.empty()) {
    return problems;
  }
  Formation formation{"pad", {}};
  const auto group = static_cast<std::size_t>(count);
  for (std::size_t first = 0; first < batch.sequences.size(); first += group) {
    const std::size_t last = std::min(first + group, batch.sequences.size());
    Tokens longest = 0;
    for (std::size_t i = first; i < last; ++i) {
      longest = std::max(longest, batch.sequences[i].tokens);
    }
    std::vector<Piece> pieces;
    pieces.reserve(last - first);
    for (std::size_t i = first; i < last; ++i) {
      pieces.push_back({static_cast<std::int32_t>(i), 0, batch.sequences[i].tokens, longest});
    }
    formation.microbatches.push_back(one_slice(std::move(pieces)));
  }
  return formation;
}

Result<Formation> pack_first_fit(const GlobalBatch& batch, Tokens capacity) {
  if (Diagnostics problems = packing_problems(batch, capacity); !problems.empty()) {
    return problems;
  }
  Formation formation{"first-fit", {}};
  Rooms rooms(batch.sequences.size(), capacity);
  for (std::size_t i = 0; i < batch.sequences.size(); ++i) {
    const Piece piece = whole(batch, static_cast<std::int32_t>(i));
    const std::size_t bin = rooms.take(piece.tokens);
    if (bin == formation.microbatches.size()) {
      formation.microbatches.push_back(one_slice({}));
    }
    formation.microbatches[bin].slices.front().pieces.push_back(piece);
  }
  return formation;
}

std::vector<MicroBatch> best_fit(const GlobalBatch& batch, std::span<const std::int32_t> order,
                                 Tokens capacity) {
  std::vector<MicroBatch> microbatches;
  std::set<std::pair<Tokens, std::size_t>> rooms;  // least room first, then the lower index
  for (const std::int32_t sequence : order) {
    const Piece piece = whole(batch, sequence);
    const auto bin = rooms.lower_bound({piece.tokens, 0});
    if (bin == rooms.end()) {
      if (piece.tokens < capacity) {  // a full one never fits again
        rooms.emplace(capacity - piece.tokens, microbatches.size());
      }
      microbatches.push_back(one_slice({piece}));
      continue;
    }
    auto node = rooms.extract(bin);
    microbatches[node.value().second].slices.front().pieces.push_back(piece);
    node.value().first -= piece.tokens;
    if (node.value().first > 0) {
      rooms.insert(std::move(node));
    }
  }
  return microbatches;
}

Result<Formation> pack_best_fit(const GlobalBatch& batch, Tokens capacity) {
  if (Diagnostics problems = packing_problems(batch, capacity); !problems.empty()) {
    return problems;
  }
  return Formation{"best-fit", best_fit(batch, longest_first(batch), capacity)};
}

Result<Formation> chunk_evenly(const GlobalBatch& batch, Tokens chunk) {
  Diagnostics problems = batch_problems(batch);
  if (chunk < 1) {
    problems.push_back(bad_input(fmt::format("a chunk has at least 1 token, not {}", chunk)));
  }
  if (!problems.empty()) {
    return problems;
  }
  Formation formation{"chunkflow", {}};
  const std::vector<std::int32_t> order = longest_first(batch);
  std::size_t next = 0;
  for (; next < order.size(); ++next) {
    const Piece all = whole(batch, order[next]);
    if (all.tokens <= chunk) {
      break;
    }
    if ((all.tokens - 1) / chunk + 1 > kMostSlices) {
      return bad_input(fmt::format("chunks of {} tokens cut a sequence of {} into more than {}",
                                   chunk, all.tokens, kMostSlices));
    }
    MicroBatch microbatch;
    for (Tokens begin = 0; begin < all.tokens; begin += chunk) {
      const Tokens tokens = std::min(chunk, all.tokens - begin);
      microbatch.slices.push_back({{{all.sequence, begin, tokens, tokens}}});
    }
    formation.microbatches.push_back(std::move(microbatch));
  }
  std::vector<MicroBatch> packed = best_fit(batch, std::span(order).subspan(next), chunk);
  std::move(packed.begin(), packed.end(), std::back_inserter(formation.microbatches));
  return formation;
}

}  // namespace stagecraft::data
