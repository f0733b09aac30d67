// Scenario files (DESIGN 4.2 a): YAML in, data out, every error with file:line:column.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/cost/cost_table.hpp"
#include "stagecraft/generators/generator.hpp"
#include "stagecraft/plan/pipeline.hpp"
#include "stagecraft/schedule/schedule.hpp"

namespace stagecraft {

/// What a scenario says, checked and in engine units, before a schedule is chosen. Opaque to all
/// but the scenario room; use `prepare`.
struct Scenario;

/// A pipeline with its costs and options, ready for a generator.
struct PreparedRun {
  std::string scenario;  ///< its name
  std::string schedule;  ///< generator's name
  Pipeline pipeline;
  CostTable costs;
  GeneratorOptions options;
  P2pLowering p2p = P2pLowering::kBatched;
  /// How the stages were cut anew to fit the schedule ("2 chunks per device, vee"), empty if as
  /// given.
  std::string recut;
};

}  // namespace stagecraft
