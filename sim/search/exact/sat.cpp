#include "search/exact/sat.hpp"

#include <algorithm>
#include <limits>

#include <fmt/format.h>

#ifdef STAGECRAFT_HAS_CADICAL
#include <cadical.hpp>
#endif

namespace stagecraft::search::exact {

#ifdef STAGECRAFT_HAS_CADICAL

namespace {

class Stop final : public CaDiCaL::Terminator {
 public:
  explicit Stop(const JobContext& context) : context_(context) {}
  bool terminate() override { return context_.stopped(); }

 private:
  const JobContext& context_;
};

// Only counts: no clause is asked for.
class Counter final : public CaDiCaL::Learner {
 public:
  bool learning(int /*size*/) override {
    ++count;
    return false;
  }
  void learn(int /*literal*/) override {}

  std::uint64_t count = 0;
};

// False if the proof cannot be written.
bool configure(CaDiCaL::Solver& solver, const Formula& formula, const SatOptions& options) {
  solver.set("quiet", 1);
  if (!options.proof.empty()) {
    solver.set("binary", 0);
    if (!solver.trace_proof(options.proof.c_str())) {
      return false;
    }
  }
  solver.reserve(formula.variables);
  for (const std::int32_t literal : formula.literals) {
    solver.add(literal);
  }
  for (std::size_t v = 1; v < options.wishes.size(); ++v) {
    if (options.wishes[v] != 0) {
      solver.phase(static_cast<int>(v) * options.wishes[v]);
    }
  }
  if (options.conflicts > 0) {
    constexpr std::uint64_t kMost = std::numeric_limits<int>::max();
    solver.limit("conflicts", static_cast<int>(std::min(options.conflicts, kMost)));
  }
  return true;
}

}  // namespace

bool sat_available() {
  return true;
}

SatAnswer solve(const Formula& formula, const SatOptions& options, const JobContext& context) {
  CaDiCaL::Solver solver;
  Stop stop(context);
  Counter counter;
  if (!configure(solver, formula, options)) {
    return {};
  }
  solver.connect_terminator(&stop);
  solver.connect_learner(&counter);
  const int status = solver.solve();
  SatAnswer answer;
  if (status == 10) {
    answer.status = SatStatus::kSolution;
    answer.model.resize(static_cast<std::size_t>(formula.variables) + 1);
    for (int v = 1; v <= formula.variables; ++v) {
      answer.model[static_cast<std::size_t>(v)] = solver.val(v) > 0;
    }
  } else if (status == 20) {
    answer.status = SatStatus::kRefuted;
  }
  answer.conflicts = counter.count;
  if (status == 0 && !context.stopped()) {
    answer.conflicts = std::max(answer.conflicts, options.conflicts);
  }
  if (!options.proof.empty()) {
    solver.flush_proof_trace();
    solver.close_proof_trace();
  }
  solver.disconnect_learner();
  solver.disconnect_terminator();
  return answer;
}

#else

bool sat_available() {
  return false;
}

SatAnswer solve(const Formula& /*formula*/, const SatOptions& /*options*/,
                const JobContext& /*context*/) {
  return {};
}

#endif

std::string to_dimacs(const Formula& formula) {
  std::string text = fmt::format("p cnf {} {}\n", formula.variables, formula.clauses);
  for (const std::int32_t literal : formula.literals) {
    fmt::format_to(std::back_inserter(text), "{}{}", literal, literal == 0 ? '\n' : ' ');
  }
  return text;
}

}  // namespace stagecraft::search::exact
