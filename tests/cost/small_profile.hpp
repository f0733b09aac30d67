// A profile whose costs can be worked out in the head, and slices to price with it.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <vector>

#include "stagecraft/cost/sequence_profile.hpp"
#include "stagecraft/data/formation.hpp"

namespace stagecraft::test {

/// 4 layers, nodes of 2 GPUs, 10 bytes/ns in a node and 4 between nodes, no latency, no constant.
/// Whole model, one GPU: 8 ns per token^2, 24 ns per token, a quarter of it F.
inline SequenceProfile small_profile() {
  SequenceProfile profile;
  profile.name = "small";
  profile.model = "four-layers";
  profile.quadratic_ns = 8;
  profile.linear_ns = 24;
  profile.fixed_ns = 120;
  profile.fixed = FixedCost::kNone;
  profile.forward_share = 0.25;
  profile.layers = 4;
  profile.hidden = 10;
  profile.kv_width = 5;
  profile.vocabulary = 50;
  profile.parameters = 800;
  profile.element_bytes = 2;
  profile.activation_bytes = 4 * 100;
  profile.logits_bytes = 60;
  profile.state_bytes = 16;
  profile.gpus_per_node = 2;
  profile.capacity = 1'000'000;
  profile.reserved = 1'000;
  profile.node_bytes_per_second = 10e9;
  profile.network_bytes_per_second = 4e9;
  profile.message_latency = 0;
  profile.all_to_all = {{2, 5e9}, {4, 1e9}};
  return profile;
}

/// Tokens [begin, begin + tokens) of sequence 0.
inline data::Piece piece(data::Tokens begin, data::Tokens tokens) {
  return {0, begin, tokens, tokens};
}

inline data::Slice slice_of(std::initializer_list<data::Piece> pieces) {
  return {std::vector<data::Piece>(pieces)};
}

/// A formation of whole sequences, one per micro-batch.
inline data::Formation whole_sequences(const std::vector<data::Tokens>& lengths) {
  data::Formation formation;
  formation.method = "whole";
  for (std::size_t s = 0; s < lengths.size(); ++s) {
    const data::Piece all{static_cast<std::int32_t>(s), 0, lengths[s], lengths[s]};
    formation.microbatches.push_back({{slice_of({all})}});
  }
  return formation;
}

/// Consecutive slices of `sequence` of these lengths.
inline data::MicroBatch split_sequence(std::int32_t sequence,
                                       const std::vector<data::Tokens>& lengths) {
  data::MicroBatch microbatch;
  data::Tokens begin = 0;
  for (const data::Tokens length : lengths) {
    microbatch.slices.push_back(slice_of({{sequence, begin, length, length}}));
    begin += length;
  }
  return microbatch;
}

}  // namespace stagecraft::test
