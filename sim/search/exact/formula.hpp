// The order problem with a horizon as a formula in conjunctive normal form.
//
// Variables: [start of x <= t] for every op x and every t in its window but the last (the order
// encoding: Crawford and Baker, "Experimental results on the application of satisfiability
// algorithms to scheduling problems", AAAI 1994; Tamura, Taga, Kitagawa, Banbara, "Compiling finite
// linear CSP into SAT", Constraints 14, 2009), [x ends before y starts] for pairs of which the
// windows leave it open, and [the releases from here on give that many bytes] for memory (a
// decision diagram over the lanes of a device, as for pseudo-Boolean constraints: Een and
// Sorensson, "Translating pseudo-Boolean constraints into SAT", JSAT 2, 2006).
#pragma once

#include <cstdint>
#include <vector>

#include "search/exact/windows.hpp"

namespace stagecraft::search::exact {

/// Clauses one after the other, each closed by 0. Variables count from 1.
struct Formula {
  std::int32_t variables = 0;
  std::uint64_t clauses = 0;
  std::vector<std::int32_t> literals;
  bool refuted = false;  ///< holds an empty clause
  bool too_large = false;
  std::vector<std::int32_t> first_literal;  ///< [ops] [start <= first]; later times follow

  void add(std::initializer_list<std::int32_t> clause);
};

/// `timed` as tighten() has left it. Stops with too_large beyond `most_clauses`.
[[nodiscard]] Formula make_formula(const TimedModel& timed, const Orders& orders,
                                   std::uint64_t most_clauses);

/// The starts of a solution: model[v] says whether variable v is true.
[[nodiscard]] std::vector<std::int64_t> starts_of(const TimedModel& timed, const Formula& formula,
                                                  const std::vector<bool>& model);

/// A wish for every variable, [variables + 1]: what a timeline with these starts gives the start
/// variables; 0 for all others.
[[nodiscard]] std::vector<std::int8_t> wishes(const TimedModel& timed, const Formula& formula,
                                              const std::vector<std::int64_t>& starts);

}  // namespace stagecraft::search::exact
