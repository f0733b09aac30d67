// The certificate of a proved optimum: a formula that says "there is an order better than this one"
// and a proof in DRAT that it has no solution.
#pragma once

#include "search/exact/model.hpp"
#include "stagecraft/search/exact.hpp"

namespace stagecraft::search::exact {

/// Writes options.proof and options.proof + ".cnf" for the largest horizon below result.value, and
/// adds to result.reason if that cannot be done. The formula's windows follow from the arcs alone
/// where the solver can refute it so; otherwise from all that tighten() knows.
void write_certificate(const ExactModel& model, ExactResult& result, const ExactOptions& options,
                       const JobContext& context);

}  // namespace stagecraft::search::exact
