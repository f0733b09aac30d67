// The space that `stagecraft search` works in, made from a scenario: what it leaves open, and the
// real costs of every choice.
#pragma once

#include <memory>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/scenario/scenario.hpp"
#include "stagecraft/search/problem.hpp"

namespace stagecraft {

/// Outer coordinates are `pipeline.devices` and `pipeline.microbatches`, as far as the scenario's
/// section `search` lists several values. Problem::instance costs exactly what `simulate` makes of
/// the same stages, and refuses what the scenario does not leave open. Problem::start gives
/// every schedule the shape that `simulate --schedule` gives it, with what is stated kept.
///
/// Without layers a number of stages that is open means equal pieces, as in `prepare`: layers of
/// the problem are then pieces of stages, and unless search.partition is true every stage holds as
/// many of them (partition_open is false, chunks_open true).
///
/// A bidirectional pipeline, stated or implied by the stated schedule, stays one.
///
/// Fails (bad input) if the scenario gives no costs.
[[nodiscard]] Result<std::unique_ptr<search::Space>> make_search_space(const Scenario& scenario);

}  // namespace stagecraft
