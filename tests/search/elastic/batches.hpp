// Random global batches with the skew of long-context data, and small machines to plan them for.
#pragma once

#include <algorithm>
#include <cstdint>

#include "stagecraft/core/random.hpp"
#include "stagecraft/search/elastic.hpp"

namespace stagecraft::elastic {

/// Lengths whose logarithm is uniform below the sixteenth part of the context, and a few above.
inline data::GlobalBatch skewed_batch(std::uint64_t seed, std::int32_t sequences,
                                      data::Tokens context) {
  Random random(seed);
  data::GlobalBatch batch;
  for (std::int32_t i = 0; i < sequences; ++i) {
    data::Tokens tokens = 0;
    if (random.chance(1, 12)) {
      tokens = random.uniform(context / 16, context);
    } else {
      data::Tokens scale = std::max<data::Tokens>(context / 16, 2);
      while (scale > 64 && random.chance(2, 3)) {
        scale /= 2;
      }
      tokens = random.uniform(scale / 2, scale);
    }
    batch.sequences.push_back({i, std::max<data::Tokens>(tokens, 1)});
  }
  return batch;
}

inline data::GlobalBatch equal_batch(std::int32_t sequences, data::Tokens tokens) {
  data::GlobalBatch batch;
  for (std::int32_t i = 0; i < sequences; ++i) {
    batch.sequences.push_back({i, tokens});
  }
  return batch;
}

inline SequenceProfile test_profile() {
  return find_sequence_profile("a800-80gb-flexsp", "llama-7b").value();
}

/// The same with room for `tokens` tokens of one whole slice beside the states of the first stage.
inline SequenceProfile profile_with_room(const SequenceLayout& layout, double tokens) {
  SequenceProfile profile = test_profile();
  profile.reserved = 0;
  const double token_bytes = profile.activation_bytes / (layout.pipeline * layout.group());
  profile.capacity =
      model_state_bytes(profile, layout, 0) + static_cast<Bytes>(token_bytes * tokens) + 1;
  return profile;
}

inline SequenceLayout stages_of(std::int32_t stages, std::int32_t sequence) {
  SequenceLayout layout;
  layout.pipeline = stages;
  layout.sequence = sequence;
  return layout;
}

}  // namespace stagecraft::elastic
