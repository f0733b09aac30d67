// Reports about one iteration of a scenario that brings its data: what its time went into, and what
// a runtime needs to run it.
#pragma once

#include <string>

#include "stagecraft/data/sampling.hpp"
#include "stagecraft/report/run.hpp"
#include "stagecraft/search/elastic.hpp"

namespace stagecraft {

/// The figures of one iteration in words: formation, time by part, planning. What follows for a
/// pipeline (idle by device, memory) is describe(Run).
[[nodiscard]] std::string iteration_text(const std::string& scenario,
                                         const elastic::IterationPlan& plan,
                                         const elastic::IterationResult& result);

/// DESIGN 4.3, with "strategy", "parts_ns", "formation" figures and planning time; with a pipeline
/// also everything that result_json(Run) holds. `run` may be null.
[[nodiscard]] std::string iteration_json(const std::string& scenario,
                                         const elastic::IterationPlan& plan,
                                         const elastic::IterationResult& result, const Run* run);

/// The plan for a runtime: sequences (number in the batch, id in the data set, tokens);
/// micro-batches of slices of pieces (number of the sequence, begin, tokens, padded); recomputed
/// layers by stage; pipelines; rounds of groups of GPUs where there is no pipeline. The order of
/// ops is `stagecraft schedule`.
[[nodiscard]] std::string formation_json(const std::string& scenario,
                                         const data::GlobalBatch& batch,
                                         const elastic::IterationPlan& plan);

}  // namespace stagecraft
