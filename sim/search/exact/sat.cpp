#include "search/exact/sat.hpp"

#include <algorithm>
#include <fstream>
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

}  // namespace

bool sat_available() {
  return true;
}

struct SatSession::Parts {
  Parts(const Formula& formula, const JobContext& job)
      : context(job), stop(job), variables(formula.variables) {}

  const JobContext& context;
  Stop stop;
  Counter counter;
  std::int32_t variables;
  bool writable = true;
  bool traced = false;
  CaDiCaL::Solver solver;
};

SatSession::SatSession(const Formula& formula, const std::string& proof, const JobContext& context)
    : parts_(std::make_unique<Parts>(formula, context)) {
  CaDiCaL::Solver& solver = parts_->solver;
  solver.set("quiet", 1);
  if (!proof.empty()) {
    // CaDiCaL does not survive a file that it cannot open.
    if (!std::ofstream(proof)) {
      parts_->writable = false;
      return;
    }
    solver.set("binary", 0);
    parts_->traced = solver.trace_proof(proof.c_str());
  }
  solver.reserve(formula.variables);
  for (const std::int32_t literal : formula.literals) {
    solver.add(literal);
  }
  solver.connect_terminator(&parts_->stop);
  solver.connect_learner(&parts_->counter);
}

SatSession::~SatSession() {
  if (parts_->traced) {
    parts_->solver.flush_proof_trace();
    parts_->solver.close_proof_trace();
  }
  if (parts_->writable) {
    parts_->solver.disconnect_learner();
    parts_->solver.disconnect_terminator();
  }
}

void SatSession::add(const std::vector<std::int32_t>& clause) {
  for (const std::int32_t literal : clause) {
    parts_->solver.add(literal);
  }
  parts_->solver.add(0);
}

SatAnswer SatSession::solve(std::uint64_t conflicts) {
  SatAnswer answer;
  if (!parts_->writable) {
    return answer;
  }
  CaDiCaL::Solver& solver = parts_->solver;
  if (conflicts > 0) {
    constexpr std::uint64_t kMost = std::numeric_limits<int>::max();
    solver.limit("conflicts", static_cast<int>(std::min(conflicts, kMost)));
  }
  const std::uint64_t before = parts_->counter.count;
  const int status = solver.solve();
  answer.conflicts = parts_->counter.count - before;
  if (status == 10) {
    answer.status = SatStatus::kSolution;
    answer.model.resize(static_cast<std::size_t>(parts_->variables) + 1);
    for (int v = 1; v <= parts_->variables; ++v) {
      answer.model[static_cast<std::size_t>(v)] = solver.val(v) > 0;
    }
  } else if (status == 20) {
    answer.status = SatStatus::kRefuted;
  } else if (!parts_->context.stopped()) {
    answer.conflicts = std::max(answer.conflicts, conflicts);
  }
  return answer;
}

#else

bool sat_available() {
  return false;
}

struct SatSession::Parts {};

SatSession::SatSession(const Formula& /*formula*/, const std::string& /*proof*/,
                       const JobContext& /*context*/) {}
SatSession::~SatSession() = default;
void SatSession::add(const std::vector<std::int32_t>& /*clause*/) {}
SatAnswer SatSession::solve(std::uint64_t /*conflicts*/) {
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
