// "Checkpointing along the diagonal is free": true of the paper's objective, and how far of the
// time that the schedule really takes. tools/bench/diagonal_check counts on a thousand pipelines.
#include <doctest/doctest.h>

#include <string>

#include "diagonal_study.hpp"

using namespace stagecraft;
using test::DiagonalStudy;
using test::Tally;

namespace {

void tell(const std::string& what, const Tally& tally) {
  MESSAGE(what, ": ", tally.instances, " instances, equal ", tally.equal, ", worse ", tally.worse,
          ", better ", tally.better, ", worst ratio ", tally.worst, ", mean ", tally.mean());
}

}  // namespace

TEST_SUITE("generators") {
  TEST_CASE("one number per diagonal loses nothing of the paper's objective") {
    for (const bool balanced : {true, false}) {
      CAPTURE(balanced);
      const DiagonalStudy study = test::study_diagonals(41, 60, 40, balanced);
      CHECK(study.objective.instances > 30);
      CHECK(study.objective.equal == study.objective.instances);
      // An op less never makes a fixed order slower.
      CHECK(study.trimmed.worse == 0);
      CHECK(study.best.better == 0);
      CHECK(study.trimmed_best.better == 0);
      CHECK(study.trimmed_best.worst <= study.best.worst);
      tell(balanced ? "balanced, against the full problem's plan"
                    : "unbalanced, against the full problem's plan",
           study.full);
      tell("  against the best of all plans", study.best);
      tell("  trimmed against that", study.trimmed_best);
    }
  }
}
