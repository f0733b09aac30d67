#include "search/optpipe/milp.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/core.h>

#include "search/optpipe/child_process.hpp"

namespace stagecraft::search {
namespace {

// Lines of LP files may be long, but some readers stop at 510 characters.
constexpr std::size_t kTermsPerLine = 8;

double sum(const std::vector<MilpTerm>& terms, const std::vector<double>& point) {
  double total = 0.0;
  for (const MilpTerm& term : terms) {
    total += term.factor * point[term.variable];
  }
  return total;
}

void append_terms(std::string& text, const MilpModel& model, const std::vector<MilpTerm>& terms) {
  std::size_t written = 0;
  for (const MilpTerm& term : terms) {
    if (written > 0 && written % kTermsPerLine == 0) {
      text += "\n  ";
    }
    ++written;
    text += fmt::format(" {} {} {}", term.factor < 0 ? '-' : '+', std::abs(term.factor),
                        model.variables[term.variable].name);
  }
}

void append_bounds(std::string& text, const MilpVariable& variable) {
  if (variable.lower == -kInfinite && variable.upper == kInfinite) {
    text += fmt::format(" {} free\n", variable.name);
    return;
  }
  if (variable.lower == -kInfinite) {
    text += fmt::format(" -inf <= {} <= {}\n", variable.name, variable.upper);
  } else if (variable.upper == kInfinite) {
    text += fmt::format(" {} >= {}\n", variable.name, variable.lower);
  } else {
    text += fmt::format(" {} <= {} <= {}\n", variable.lower, variable.name, variable.upper);
  }
}

}  // namespace

double MilpModel::value(const std::vector<double>& point) const {
  return sum(objective, point);
}

double MilpModel::violation(const std::vector<double>& point) const {
  double worst = 0.0;
  for (std::size_t v = 0; v < variables.size(); ++v) {
    worst = std::max({worst, variables[v].lower - point[v], point[v] - variables[v].upper});
    if (variables[v].binary) {
      worst = std::max(worst, std::min(std::abs(point[v]), std::abs(point[v] - 1.0)));
    }
  }
  for (const MilpRow& row : rows) {
    const double total = sum(row.terms, point);
    worst = std::max({worst, row.lower - total, total - row.upper});
  }
  return worst;
}

std::string to_lp(const MilpModel& model) {
  std::string text = "Minimize\n obj:";
  append_terms(text, model, model.objective);
  text += "\nSubject To\n";
  for (const MilpRow& row : model.rows) {
    text += fmt::format(" {}:", row.name);
    append_terms(text, model, row.terms);
    text += row.lower == -kInfinite ? fmt::format(" <= {}\n", row.upper)
                                    : fmt::format(" >= {}\n", row.lower);
  }
  text += "Bounds\n";
  for (const MilpVariable& variable : model.variables) {
    if (!variable.binary) {
      append_bounds(text, variable);
    }
  }
  text += "Binaries\n";
  for (const MilpVariable& variable : model.variables) {
    if (variable.binary) {
      text += fmt::format(" {}\n", variable.name);
    }
  }
  text += "End\n";
  return text;
}

Result<std::unique_ptr<MilpSolver>> make_milp_solver(std::string_view name) {
  if (name != "cbc") {
    return bad_input(fmt::format("there is no MILP solver '{}'", name), "known solvers: cbc");
  }
  if (!program_exists("cbc")) {
    return bad_input("the MILP solver cbc is not installed",
                     "install COIN-OR CBC (Debian: coinor-cbc), or take solver: stagecraft, which "
                     "needs no other program");
  }
  return make_cbc_solver("cbc");
}

}  // namespace stagecraft::search
