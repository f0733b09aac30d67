// The certificate of an optimum, checked by a small checker of our own: every clause that the proof
// adds follows by unit propagation from those before it (RUP: Goldberg and Novikov, "Verification
// of proofs of unsatisfiability for CNF formulas", DATE 2003), and the last one is empty.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "search/free_context.hpp"
#include "stagecraft/search/exact.hpp"

namespace stagecraft::search {
namespace {

using Clause = std::vector<int>;

class RupChecker {
 public:
  void add(const Clause& clause) {
    const std::size_t number = clauses_.size();
    clauses_.push_back(clause);
    alive_.push_back(true);
    empty_ = empty_ || clause.empty();
    if (clause.size() == 1) {
      units_.push_back(clause.front());
    }
    for (const int literal : clause) {
      uses_[literal].push_back(number);
    }
    numbers_[sorted(clause)].push_back(number);
  }

  // A clause that is not there (or is a unit, as checkers of DRAT agree) is ignored.
  void remove(const Clause& clause) {
    const auto found = numbers_.find(sorted(clause));
    if (clause.size() > 1 && found != numbers_.end() && !found->second.empty()) {
      alive_[found->second.back()] = false;
      found->second.pop_back();
    }
  }

  // True if the clause follows: its negation leads to a conflict by unit propagation.
  [[nodiscard]] bool follows(const Clause& clause) const {
    std::set<int> held;
    std::vector<int> queue;
    for (const int literal : clause) {
      queue.push_back(-literal);
    }
    if (empty_) {
      return true;
    }
    queue.insert(queue.end(), units_.begin(), units_.end());
    while (!queue.empty()) {
      const int literal = queue.back();
      queue.pop_back();
      if (held.contains(-literal)) {
        return true;
      }
      if (!held.insert(literal).second) {
        continue;
      }
      const auto uses = uses_.find(-literal);
      if (uses != uses_.end() && spread(uses->second, held, queue)) {
        return true;
      }
    }
    return false;
  }

 private:
  static Clause sorted(Clause clause) {
    std::ranges::sort(clause);
    return clause;
  }

  [[nodiscard]] bool spread(const std::vector<std::size_t>& uses, const std::set<int>& held,
                            std::vector<int>& queue) const {
    return std::ranges::any_of(
        uses, [&](std::size_t i) { return alive_[i] && visit(clauses_[i], held, queue); });
  }

  // True if all literals are false; a single one that is left is queued.
  static bool visit(const Clause& clause, const std::set<int>& held, std::vector<int>& queue) {
    int open = 0;
    int last = 0;
    for (const int literal : clause) {
      if (held.contains(literal)) {
        return false;
      }
      if (!held.contains(-literal)) {
        ++open;
        last = literal;
      }
    }
    if (open == 1) {
      queue.push_back(last);
    }
    return open == 0;
  }

  std::vector<Clause> clauses_;
  std::vector<bool> alive_;
  std::vector<int> units_;  // never removed
  bool empty_ = false;
  std::map<int, std::vector<std::size_t>> uses_;
  std::map<Clause, std::vector<std::size_t>> numbers_;
};

Clause read_clause(std::istream& stream) {
  Clause clause;
  for (int literal = 0; stream >> literal && literal != 0;) {
    clause.push_back(literal);
  }
  return clause;
}

struct Proof {
  std::size_t clauses = 0;  ///< of the formula
  std::size_t steps = 0;
  bool trivial = false;  ///< the formula is refuted by unit propagation alone
  bool sound = true;
  bool empty_clause = false;
};

Proof check(const std::string& file) {
  Proof proof;
  RupChecker checker;
  std::ifstream formula(file + ".cnf");
  std::string p;
  std::string cnf;
  std::size_t variables = 0;
  formula >> p >> cnf >> variables >> proof.clauses;
  for (std::size_t i = 0; i < proof.clauses; ++i) {
    checker.add(read_clause(formula));
  }
  proof.trivial = checker.follows({});
  std::ifstream steps(file);
  for (std::string line; std::getline(steps, line);) {
    std::istringstream words(line);
    if (line.rfind("d ", 0) == 0) {
      words.ignore(2);
      checker.remove(read_clause(words));
      continue;
    }
    const Clause clause = read_clause(words);
    proof.sound = proof.sound && checker.follows(clause);
    proof.empty_clause = proof.empty_clause || clause.empty();
    checker.add(clause);
    ++proof.steps;
  }
  return proof;
}

ExactResult solve_with_proof(const Instance& instance, Objective objective,
                             const std::string& file) {
  ExactOptions options;
  options.objective = objective;
  options.proof = file;
  FreeContext context;
  return solve_order(instance, nullptr, options, context);
}

Instance line(std::int32_t devices, std::int32_t microbatches, Bytes capacity) {
  Instance instance;
  instance.pipeline = *make_pipeline(devices, 1, microbatches, PlacementKind::kLoop);
  instance.costs = uniform_costs(instance.pipeline, 1, 1, 1, 1);
  CostTable& costs = instance.costs;
  costs.forward = Grid::per_stage({5, 7, 4});
  costs.backward_input = Grid::per_stage({6, 9, 5});
  costs.backward_weight = Grid::per_stage({4, 5, 3});
  costs.backward = Grid::per_stage({10, 14, 8});
  instance.costs.memory.capacity.assign(static_cast<std::size_t>(devices), capacity);
  instance.partition.assign(static_cast<std::size_t>(devices), 1);
  return instance;
}

TEST_SUITE("search") {
  TEST_CASE("exact: the certificate of an optimum is a proof") {
    if (!exact_available()) {
      return;
    }
    const std::filesystem::path folder =
        std::filesystem::temp_directory_path() / "stagecraft_certificate_test";
    std::filesystem::create_directories(folder);
    const std::string file = (folder / "proof.drat").string();
    const ExactResult result = solve_with_proof(line(3, 4, 8), Objective::kSpan, file);
    REQUIRE(result.status == ExactStatus::kOptimal);
    CHECK(result.reason.find("no certificate") == std::string::npos);
    const Proof proof = check(file);
    CHECK(proof.clauses > 100);
    CHECK_FALSE(proof.trivial);
    CHECK(proof.sound);
    CHECK(proof.empty_clause);
    std::filesystem::remove_all(folder);
  }

  TEST_CASE("exact: a certificate that cannot be written is said to be missing") {
    if (!exact_available()) {
      return;
    }
    const ExactResult result =
        solve_with_proof(line(3, 2, 6), Objective::kMakespan, "/nonexistent/folder/proof");
    CHECK(result.status == ExactStatus::kOptimal);
    CHECK(result.reason.find("no certificate") != std::string::npos);
  }
}

}  // namespace
}  // namespace stagecraft::search
