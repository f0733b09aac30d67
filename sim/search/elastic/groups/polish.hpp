// Local search on which sequences run on which group of a round.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "group_model.hpp"

namespace stagecraft::elastic::rounds {

struct AssignedGroup {
  std::size_t model = 0;
  double load = 0.0;  ///< ns, the fixed part included even where there are no sequences
  data::Tokens tokens = 0;
  std::vector<std::int32_t> sequences;
};

struct Assignment {
  std::vector<AssignedGroup> groups;
  double time = 0.0;  ///< of the slowest group that has sequences
};

/// Moves a sequence off the slowest group, or swaps it, as long as that makes it faster than it is
/// without making another as slow. `times` [model][sequence].
void polish(std::span<const GroupModel> models, std::span<const std::vector<double>> times,
            std::span<const data::Tokens> lengths, Assignment& assignment);

}  // namespace stagecraft::elastic::rounds
