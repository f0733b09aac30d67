// What the sections data, training, parallelism and profile of a scenario say.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/cost/sequence_profile.hpp"
#include "stagecraft/data/lengths.hpp"
#include "stagecraft/data/sampling.hpp"

namespace stagecraft {

struct DataChoices {
  data::Lengths lengths;
  data::SamplingOptions sampling;
  std::int32_t iterations = 20;       ///< global batches that `compare` runs
  std::int32_t iteration = 0;         ///< the one that `simulate` runs
  std::vector<data::Tokens> regimes;  ///< bounds between length regimes, ascending
  SequenceProfile profile;
  SequenceLayout layout;
  SourcePlace place;        ///< of the section `data`, or of the lengths that an override gave
  std::string source_line;  ///< of that place
};

}  // namespace stagecraft
