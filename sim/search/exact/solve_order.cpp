#include <algorithm>

#include "search/exact/certificate.hpp"
#include "search/exact/closing.hpp"
#include "search/exact/model.hpp"
#include "search/exact/sat.hpp"
#include "stagecraft/search/exact.hpp"

namespace stagecraft::search {

using namespace exact;

namespace {

// Copies can give memory back in no time, at best: so orders without a limit bound them. A limit
// that copies are not needed for is met first, with half of the budget. `model` loses its limits.
ExactResult close_in_with_copies(const Instance& instance, ExactModel& model, const Schedule* start,
                                 const ExactOptions& options, JobContext& context) {
  ExactOptions half = options;
  half.offload_open = false;
  half.conflicts = options.conflicts == 0 ? 0 : (options.conflicts + 1) / 2;
  half.bound = 0;
  const ExactResult within = close_in(instance, model, start, half, context);
  std::ranges::fill(model.room, kUnlimited);
  half.offload_open = true;
  half.bound = options.bound;
  const Schedule* best = within.schedule ? &*within.schedule : start;
  ExactResult result = close_in(instance, model, best, half, context);
  result.conflicts += within.conflicts;
  return result;
}

}  // namespace

bool exact_available() {
  return sat_available();
}

ExactResult solve_order(const Instance& instance, const Schedule* start,
                        const ExactOptions& options, JobContext& context) {
  ExactResult result;
  result.status = ExactStatus::kNotCovered;
  if (!exact_available()) {
    result.reason = "built without CaDiCaL";
    return result;
  }
  const Result<ExactModel> model = make_order_model(instance, options.objective);
  if (!model) {
    result.reason = model.failures().front().message;
    return result;
  }
  ExactModel used = *model;
  if (!options.offload_open) {
    result = close_in(instance, used, start, options, context);
  } else {
    result = close_in_with_copies(instance, used, start, options, context);
  }
  if (result.status == ExactStatus::kOptimal && !options.proof.empty()) {
    write_certificate(used, result, options, context);
  }
  return result;
}

}  // namespace stagecraft::search
