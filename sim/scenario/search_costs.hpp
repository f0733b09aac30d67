// Costs of a scenario as a search needs them: stages as pieces that can be cut anew, and
// micro-batches of another size.
#pragma once

#include <cstdint>
#include <optional>

#include "stagecraft/scenario/scenario.hpp"
#include "stagecraft/search/problem.hpp"

namespace stagecraft {

/// The same work in `microbatches` micro-batches: everything that a micro-batch costs is scaled by
/// the stated number over this one, but for search.overhead in every duration of a layer (a stage,
/// without layers). All micro-batches of `scenario` cost the same. Fails (bad input) where the
/// shape does not take the number, or a cost becomes too large to count.
[[nodiscard]] Result<Scenario> with_microbatches(const Scenario& scenario,
                                                 std::int32_t microbatches);

/// A scenario without layers whose stages are cut into `pieces` each, as layers: cut back into as
/// many stages as there are, or any number that divides the pieces evenly, it costs what `prepare`
/// says. Costs must be the same for all micro-batches.
[[nodiscard]] Scenario with_pieces(const Scenario& scenario, std::int32_t pieces);

/// What a method may know of the layers or, without any, of the stages as layers: of whole
/// micro-batches, the mean where they differ, rounded down.
[[nodiscard]] search::Layers search_layers(const Scenario& scenario);

/// True if no cost varies by micro-batch or slice.
[[nodiscard]] bool uniform_costs_of(const Scenario& scenario);

}  // namespace stagecraft
