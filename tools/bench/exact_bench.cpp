// Prints what the exact solver makes of known cases: value, bound, status, time, conflicts,
// clauses.
//
//   stagecraft_exact_bench [--golden schedules.csv] [--conflicts N] [NAME...]
//
// Cases: the table of solvers in the developers' notes ("table ..."), unit costs on 8 devices
// ("unit ..."), and the ILP rows of a golden file ("G...").
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "stagecraft/search/exact.hpp"

namespace stagecraft::search {
namespace {

class Endless final : public JobContext {
 public:
  [[nodiscard]] bool stopped() const override { return false; }
  void found(const Plan& /*plan*/) override {}
  void count(std::uint64_t /*evaluations*/) override {}
};

struct Case {
  std::string name;
  std::int32_t devices = 1, microbatches = 1;
  std::vector<Time> forward, input, weight;
  Time transfer = 0;
  Bytes capacity = 0;  ///< in bytes; a forward takes 2; 0: no limit
  Bytes kept = 1;      ///< of the 2 bytes, what B leaves to W
  bool split = true;
  Objective objective = Objective::kMakespan;
  bool late_starts = false;
  bool vee = false;  ///< two stages a device, costs of each
  Time known = 0;    ///< of a peer
  double peer_seconds = 0.0;
};

std::vector<Time> fit(std::vector<Time> list, std::int32_t count) {
  list.resize(static_cast<std::size_t>(count), list.front());
  return list;
}

Instance instance_of(const Case& c) {
  Instance instance;
  const PlacementKind placement = c.vee ? PlacementKind::kVee : PlacementKind::kLoop;
  instance.pipeline = *make_pipeline(c.devices, c.vee ? 2 : 1, c.microbatches, placement);
  const std::int32_t stages = instance.pipeline.stages;
  instance.costs = uniform_costs(instance.pipeline, 1, 1, 1, c.transfer);
  CostTable& costs = instance.costs;
  costs.forward = costs.recompute = Grid::per_stage(fit(c.forward, stages));
  costs.backward_input = Grid::per_stage(fit(c.input, stages));
  costs.backward_weight = Grid::per_stage(fit(c.weight, stages));
  std::vector<Time> whole = fit(c.input, stages);
  for (std::size_t s = 0; s < whole.size(); ++s) {
    whole[s] += fit(c.weight, stages)[s];
  }
  costs.backward = Grid::per_stage(whole);
  costs.split_backward = c.split;
  costs.memory.backward_input = Grid::constant(c.kept - 2);
  costs.memory.backward_weight = Grid::constant(-c.kept);
  costs.post_validation = c.late_starts;
  if (c.capacity > 0) {
    costs.memory.capacity.assign(static_cast<std::size_t>(c.devices), c.capacity);
  }
  instance.partition.assign(static_cast<std::size_t>(stages), 1);
  return instance;
}

const char* to_text(ExactStatus status) {
  switch (status) {
    case ExactStatus::kOptimal:
      return "optimal";
    case ExactStatus::kStopped:
      return "stopped";
    case ExactStatus::kInfeasible:
      return "infeasible";
    case ExactStatus::kNotCovered:
      return "not covered";
  }
  return "?";
}

void solve_and_print(const Case& c, std::uint64_t conflicts) {
  const Instance instance = instance_of(c);
  ExactOptions options;
  options.objective = c.objective;
  options.conflicts = conflicts;
  Endless context;
  const std::clock_t begin = std::clock();
  const ExactResult result = solve_order(instance, nullptr, options, context);
  const double seconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  std::printf("%-34s %8lld %8lld %8lld  %-9s %9.4f %9.2f %9llu %9llu  %s\n", c.name.c_str(),
              static_cast<long long>(c.known), static_cast<long long>(result.value),
              static_cast<long long>(result.bound), to_text(result.status), seconds, c.peer_seconds,
              static_cast<unsigned long long>(result.conflicts),
              static_cast<unsigned long long>(result.clauses), result.reason.c_str());
  std::fflush(stdout);
}

Case make(std::string name, std::int32_t p, std::int32_t m, Time f, Time b, Time w, Time transfer,
          Bytes in_flight, Objective objective, Time known) {
  Case c;
  c.name = std::move(name);
  c.devices = p;
  c.microbatches = m;
  c.forward = {f};
  c.input = {b};
  c.weight = {w};
  c.split = w > 0;
  c.transfer = transfer;
  c.capacity = 2 * in_flight;
  c.objective = objective;
  c.known = known;
  return c;
}

std::vector<Case> table_cases() {
  const Objective o = Objective::kMakespan;
  std::vector<Case> cases = {make("table fb 4,8", 4, 8, 1, 2, 0, 0, 4, o, 33),
                             make("table fb 4,8 2,4 c1", 4, 8, 2, 4, 0, 1, 4, o, 80),
                             make("table zb 3,5", 3, 5, 1, 1, 1, 0, 3, o, 17),
                             make("table zb 4,8 cap 4", 4, 8, 1, 1, 1, 0, 4, o, 27),
                             make("table zb 4,8 cap 7", 4, 8, 1, 1, 1, 0, 7, o, 27),
                             make("table zb 4,8 4-4-3 c1 cap 4", 4, 8, 4, 4, 3, 1, 4, o, 115),
                             make("table zb 4,12 4-4-3 c1 cap 5", 4, 12, 4, 4, 3, 1, 5, o, 150),
                             make("table zb 8,16 cap 8", 8, 16, 1, 1, 1, 0, 8, o, 55),
                             make("table zb 8,24 4-4-3 c1 cap 10", 8, 24, 4, 4, 3, 1, 10, o, 307)};
  // There a micro-batch counts as in flight until its W has ended.
  for (Case& c : cases) {
    c.kept = 2;
  }
  for (Case c : std::vector<Case>(cases.end() - 4, cases.end())) {
    c.name += " B frees half";
    c.kept = 1;
    c.known = 0;
    cases.push_back(c);
  }
  return cases;
}

// Two stages a device in a vee, the limit in activations of a stage, all kept until W.
std::vector<Case> vee_cases() {
  std::vector<Case> cases;
  for (const Objective o : {Objective::kMakespan, Objective::kSpan}) {
    for (const Bytes cap : {2, 3, 4, 5, 6, 8}) {
      Case c = make("vee 4,8 " + std::string(to_string(o)) + " cap " + std::to_string(cap), 4, 8, 1,
                    1, 1, 0, cap, o, 0);
      c.kept = 2;
      c.vee = true;
      cases.push_back(c);
    }
  }
  return cases;
}

// Measured costs of the zero-bubble authors, in ns as they stand: their greatest common divisor is
// small, so times are rounded first.
std::vector<Case> real_cases() {
  std::vector<Case> cases;
  for (const Objective o : {Objective::kMakespan, Objective::kSpan}) {
    const std::string name = "real " + std::string(to_string(o));
    for (const Bytes cap : {4, 8, 16}) {
      cases.push_back(make(name + " 4,12 cap " + std::to_string(cap), 4, 12, 5478, 5806, 3534, 200,
                           cap, o, cap == 16 && o == Objective::kSpan ? 178'898 : 0));
    }
    for (const Bytes cap : {8, 16}) {
      const Time known = cap == 8 ? 2'809'811 : 2'517'463;
      cases.push_back(make(name + " 8,32 cap " + std::to_string(cap), 8, 32, 29850, 29767, 18868,
                           466, cap, o, o == Objective::kSpan ? known : 0));
    }
  }
  for (const Objective o : {Objective::kMakespan, Objective::kSpan}) {
    for (const Bytes cap : {12, 16, 24}) {
      cases.push_back(
          make("large 16,64 " + std::string(to_string(o)) + " cap " + std::to_string(cap), 16, 64,
               5, 6, 4, 1, cap, o, 0));
    }
  }
  return cases;
}

std::vector<Case> unit_cases() {
  std::vector<Case> cases;
  for (const Objective o : {Objective::kMakespan, Objective::kSpan}) {
    for (const Bytes cap : {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 32}) {
      cases.push_back(make("unit 8,32 " + std::string(to_string(o)) + " cap " + std::to_string(cap),
                           8, 32, 1, 1, 1, 0, cap, o, 0));
    }
  }
  return cases;
}

// Cells of a line of comma-separated values; quotes may hold commas.
std::vector<std::string> split(const std::string& line) {
  std::vector<std::string> cells(1);
  bool quoted = false;
  for (const char c : line) {
    if (c == '"') {
      quoted = !quoted;
    } else if (c == ',' && !quoted) {
      cells.emplace_back();
    } else {
      cells.back() += c;
    }
  }
  return cells;
}

std::vector<Time> times(const std::string& text) {
  std::vector<Time> list;
  std::istringstream stream(text);
  for (std::string item; std::getline(stream, item, ';');) {
    list.push_back(std::atoll(item.c_str()));
  }
  return list;
}

std::vector<Case> golden_cases(const std::string& file) {
  std::ifstream stream(file);
  std::string line;
  std::getline(stream, line);
  const std::vector<std::string> names = split(line);
  std::vector<Case> cases;
  while (std::getline(stream, line)) {
    const std::vector<std::string> cells = split(line);
    std::map<std::string, std::string> row;
    for (std::size_t i = 0; i < names.size() && i < cells.size(); ++i) {
      row[names[i]] = cells[i];
    }
    if (row["schedule"].find("ILP") == std::string::npos) {
      continue;
    }
    for (const bool late : {false, true}) {
      Case c;
      c.name = row["case_id"] + (late ? " late starts" : " span");
      c.devices = std::atoi(row["P"].c_str());
      c.microbatches = std::atoi(row["M"].c_str());
      c.forward = times(row["F"]);
      c.input = times(row["B"]);
      c.weight = times(row["W"]);
      c.transfer = std::atoll(row["comm"].c_str());
      c.capacity = std::atoll(row["mem_limit"].c_str());
      c.known = std::atoll(row["peer_value"].c_str());
      c.peer_seconds = std::atof(row["peer_seconds"].c_str());
      c.objective = late ? Objective::kIteration : Objective::kSpan;
      c.late_starts = late;
      cases.push_back(c);
    }
  }
  return cases;
}

int run(const std::vector<std::string>& arguments) {
  std::vector<Case> cases = table_cases();
  for (const auto& more : {unit_cases(), real_cases(), vee_cases()}) {
    cases.insert(cases.end(), more.begin(), more.end());
  }
  std::uint64_t conflicts = 200'000;
  std::vector<std::string> wanted;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == "--golden" && i + 1 < arguments.size()) {
      for (const Case& c : golden_cases(arguments[++i])) {
        cases.push_back(c);
      }
    } else if (arguments[i] == "--conflicts" && i + 1 < arguments.size()) {
      conflicts = std::strtoull(arguments[++i].c_str(), nullptr, 10);
    } else {
      wanted.push_back(arguments[i]);
    }
  }
  std::printf("%-34s %8s %8s %8s  %-9s %9s %9s %9s %9s  %s\n", "case", "peer", "value", "bound",
              "status", "CPU s", "peer s", "conflicts", "clauses", "proved by");
  for (const Case& c : cases) {
    bool take = wanted.empty();
    for (const std::string& name : wanted) {
      take = take || c.name.rfind(name, 0) == 0;
    }
    if (take) {
      solve_and_print(c, conflicts);
    }
  }
  return 0;
}

}  // namespace
}  // namespace stagecraft::search

int main(int argc, char** argv) {
  return stagecraft::search::run({argv + 1, argv + argc});
}
