// Padding and packing against slow obvious references and known bounds.
#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>

#include "data/formation/cases.hpp"

using namespace stagecraft;
using namespace stagecraft::data;
using namespace stagecraft::test;

namespace {

/// Bins of sequences: each sequence of `order` into the bin that `choose` picks among those with
/// room, by the room they have left.
template <typename Better>
std::string pack_slowly(const GlobalBatch& batch, const std::vector<std::int32_t>& order,
                        Tokens capacity, Better better) {
  Formation formation;
  std::vector<Tokens> rooms;
  for (const std::int32_t sequence : order) {
    const Tokens tokens = batch.sequences[static_cast<std::size_t>(sequence)].tokens;
    std::size_t chosen = rooms.size();
    for (std::size_t bin = 0; bin < rooms.size(); ++bin) {
      if (rooms[bin] >= tokens && (chosen == rooms.size() || better(rooms[bin], rooms[chosen]))) {
        chosen = bin;
      }
    }
    if (chosen == rooms.size()) {
      rooms.push_back(capacity);
      formation.microbatches.emplace_back().slices.emplace_back();
    }
    rooms[chosen] -= tokens;
    formation.microbatches[chosen].slices[0].pieces.push_back({sequence, 0, tokens, tokens});
  }
  return text_of(formation);
}

std::vector<std::int32_t> in_order(const GlobalBatch& batch) {
  std::vector<std::int32_t> order(batch.sequences.size());
  std::iota(order.begin(), order.end(), 0);
  return order;
}

std::vector<std::int32_t> longest_first(const GlobalBatch& batch) {
  std::vector<std::int32_t> order = in_order(batch);
  std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
    return batch.sequences[static_cast<std::size_t>(a)].tokens >
           batch.sequences[static_cast<std::size_t>(b)].tokens;
  });
  return order;
}

}  // namespace

TEST_SUITE("data") {
  TEST_CASE("padding takes sequences in order and pads them to the longest of their micro-batch") {
    const GlobalBatch batch = batch_of({3, 5, 2, 2, 9});
    CHECK(text_of(*pad_together(batch, 2)) == "[0:0+3/5 1:0+5]; [2:0+2 3:0+2]; [4:0+9]");
    CHECK(text_of(*pad_together(batch, 1)) == "[0:0+3]; [1:0+5]; [2:0+2]; [3:0+2]; [4:0+9]");
    CHECK(text_of(*pad_together(batch, 100)) == "[0:0+3/9 1:0+5/9 2:0+2/9 3:0+2/9 4:0+9]");
  }

  TEST_CASE("first fit and best fit differ where they should") {
    const GlobalBatch batch = batch_of({6, 5, 4, 5, 3, 7});
    CHECK(text_of(*pack_first_fit(batch, 10)) == "[0:0+6 2:0+4]; [1:0+5 3:0+5]; [4:0+3 5:0+7]");
    // 7, 6, 5 5, then 4 to the 6 and 3 to the 7.
    CHECK(text_of(*pack_best_fit(batch, 10)) == "[5:0+7 4:0+3]; [0:0+6 2:0+4]; [1:0+5 3:0+5]");
    // The least room that is enough, not the first: 2 joins the 8, not the 7.
    CHECK(text_of(*pack_best_fit(batch_of({2, 7, 8}), 10)) == "[2:0+8 0:0+2]; [1:0+7]");
    CHECK(text_of(*pack_first_fit(batch_of({7, 8, 2}), 10)) == "[0:0+7 2:0+2]; [1:0+8]");
  }

  TEST_CASE("first fit and best fit are those of a search through all micro-batches") {
    Random random(21);
    for (int round = 0; round < 300; ++round) {
      CAPTURE(round);
      const GlobalBatch batch = any_batch(random, 120);
      const Tokens capacity =
          longest_of(batch) + random.uniform(0, random.chance(1, 2) ? 10 : 2 * longest_of(batch));
      CHECK((text_of(*pack_first_fit(batch, capacity)) ==
             pack_slowly(batch, in_order(batch), capacity, [](Tokens, Tokens) { return false; })));
      CHECK((text_of(*pack_best_fit(batch, capacity)) ==
             pack_slowly(batch, longest_first(batch), capacity,
                         [](Tokens room, Tokens best) { return room < best; })));
    }
  }

  TEST_CASE("packing keeps the proven ratios to the optimum") {
    // Full micro-batches cut at random and shuffled: the optimum is their number.
    Random random(22);
    for (int round = 0; round < 300; ++round) {
      CAPTURE(round);
      const std::int64_t optimum = random.uniform(1, 40);
      const Tokens capacity = random.uniform(20, 10'000);
      std::vector<Tokens> lengths;
      for (std::int64_t bin = 0; bin < optimum; ++bin) {
        Tokens left = capacity;
        for (std::int64_t cuts = random.uniform(0, 5); cuts > 0 && left > 1; --cuts) {
          lengths.push_back(random.uniform(1, left - 1));
          left -= lengths.back();
        }
        lengths.push_back(left);
      }
      for (std::size_t i = lengths.size(); i > 1; --i) {
        std::swap(
            lengths[i - 1],
            lengths[static_cast<std::size_t>(random.uniform(0, static_cast<std::int64_t>(i) - 1))]);
      }
      const GlobalBatch batch = batch_of(lengths);
      const auto best =
          static_cast<std::int64_t>(pack_best_fit(batch, capacity)->microbatches.size());
      const auto first =
          static_cast<std::int64_t>(pack_first_fit(batch, capacity)->microbatches.size());
      CHECK(best >= optimum);
      CHECK(9 * best <= 11 * optimum + 6);
      CHECK(first >= optimum);
      CHECK(10 * first <= 17 * optimum);  // Dosa and Sgall, STACS '13
    }
  }

  TEST_CASE("no two micro-batches of first fit would fit into one") {
    Random random(23);
    for (int round = 0; round < 200; ++round) {
      const GlobalBatch batch = any_batch(random, 100);
      const Tokens capacity = longest_of(batch) + random.uniform(0, longest_of(batch));
      for (const auto pack : {pack_first_fit, pack_best_fit}) {
        const Formation formation = *pack(batch, capacity);
        std::vector<Tokens> tokens;
        tokens.reserve(formation.microbatches.size());
        for (const MicroBatch& microbatch : formation.microbatches) {
          tokens.push_back(microbatch.tokens());
        }
        std::sort(tokens.begin(), tokens.end());
        CHECK((tokens.size() < 2 || tokens[0] + tokens[1] > capacity));
      }
    }
  }

  TEST_CASE("ChunkFlow cuts what is longer than a chunk and packs the rest") {
    CHECK(text_of(*chunk_evenly(batch_of({3, 25, 8, 10, 7, 20}), 10)) ==
          "[1:0+10][1:10+10][1:20+5]; [5:0+10][5:10+10]; [3:0+10]; [2:0+8]; [4:0+7 0:0+3]");
    Random random(24);
    for (int round = 0; round < 200; ++round) {
      const GlobalBatch batch = any_batch(random, 100);
      const Tokens chunk = random.uniform(1 + longest_of(batch) / 100, longest_of(batch) + 1);
      const Formation formation = *chunk_evenly(batch, chunk);
      for (const MicroBatch& microbatch : formation.microbatches) {
        if (microbatch.split()) {
          for (std::size_t i = 0; i + 1 < microbatch.slices.size(); ++i) {
            CHECK(microbatch.slices[i].tokens() == chunk);
          }
          CHECK(microbatch.slices.back().pieces.size() == 1);
        }
      }
      // What is not cut is packed as best fit packs it alone.
      std::vector<Tokens> rest;
      for (const Sequence& sequence : batch.sequences) {
        if (sequence.tokens <= chunk) {
          rest.push_back(sequence.tokens);
        }
      }
      const auto cut = static_cast<std::size_t>(
          std::count_if(formation.microbatches.begin(), formation.microbatches.end(),
                        [](const MicroBatch& microbatch) { return microbatch.split(); }));
      CHECK(formation.microbatches.size() - cut ==
            (rest.empty() ? 0 : pack_best_fit(batch_of(rest), chunk)->microbatches.size()));
    }
  }
}
