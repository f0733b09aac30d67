// COIN-OR CBC as a child process: an LP file and a start in, a solution file out.
//
// CBC ends with status 0 whatever happened; what happened stands in the first line of its solution
// file: "Optimal", "Infeasible", "Stopped on time" ... When it is stopped without a solution it
// writes the values of the relaxation ("no integer solution - continuous used").
#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>
#include <sstream>
#include <utility>

#include <fmt/core.h>

#include "search/optpipe/child_process.hpp"
#include "search/optpipe/milp.hpp"
#include "stagecraft/core/file.hpp"

namespace stagecraft::search {
namespace {

// CBC looks at its clock rarely; so much longer it may take before it is killed.
constexpr double kGraceSeconds = 5.0;
constexpr double kTolerance = 1e-3;

std::string to_start(const MilpModel& model, const std::vector<double>& values) {
  std::string text;
  for (std::size_t v = 0; v < values.size(); ++v) {
    text += fmt::format("{} {} {}\n", v, model.variables[v].name, values[v]);
  }
  return text;
}

/// The number behind the last `label` of a text.
std::optional<double> last_number(const std::string& text, std::string_view label) {
  const std::size_t found = text.rfind(label);
  if (found == std::string::npos) {
    return std::nullopt;
  }
  std::istringstream rest(text.substr(found + label.size()));
  double number = 0.0;
  if (rest >> number && std::isfinite(number)) {
    return number;
  }
  return std::nullopt;
}

class CbcSolver final : public MilpSolver {
 public:
  explicit CbcSolver(std::string program) : program_(std::move(program)) {}
  [[nodiscard]] std::string_view name() const override { return "cbc"; }

  [[nodiscard]] MilpAnswer solve(const MilpModel& model, const std::vector<double>& warm_start,
                                 const MilpLimits& limits) override {
    MilpAnswer failed;
    const TemporaryFolder folder;
    if (folder.path().empty()) {
      failed.message = "no temporary folder could be made for cbc";
      return failed;
    }
    const std::string lp = (folder.path() / "model.lp").string();
    const std::string start = (folder.path() / "start.txt").string();
    const std::string solution = (folder.path() / "solution.txt").string();
    const std::string log = (folder.path() / "log.txt").string();
    const bool warm = !warm_start.empty();
    if (!write_file(lp, to_lp(model)) ||
        (warm && !write_file(start, to_start(model, warm_start)))) {
      failed.message = "the files for cbc could not be written";
      return failed;
    }
    std::vector<std::string> arguments = {program_, lp, "-seconds",
                                          fmt::format("{:.3f}", limits.seconds)};
    if (warm) {
      arguments.insert(arguments.end(), {"-mipstart", start});
    }
    arguments.insert(arguments.end(), {"-solve", "-solution", solution});
    const ChildResult child =
        run_child(arguments, log, limits.seconds + kGraceSeconds, limits.stopped);
    if (!child.started) {
      failed.message = fmt::format("{} could not be started", program_);
      return failed;
    }
    if (child.killed) {
      failed.status = MilpStatus::kStopped;
      failed.message = "cbc was stopped";
      return failed;
    }
    const Result<std::string> text = read_file(solution);
    if (!text) {
      failed.message = fmt::format("cbc left no solution (exit status {})", child.exit_status);
      return failed;
    }
    MilpAnswer answer = read_cbc_solution(model, *text);
    if (const Result<std::string> told = read_file(log);
        told.ok() && answer.status != MilpStatus::kOptimal) {
      answer.bound = last_number(*told, "Lower bound:").value_or(answer.bound);
    }
    return answer;
  }

 private:
  std::string program_;
};

}  // namespace

MilpAnswer read_cbc_solution(const MilpModel& model, std::string_view text) {
  MilpAnswer answer;
  std::istringstream lines{std::string(text)};
  std::string head;
  std::getline(lines, head);
  const auto says = [&head](std::string_view words) {
    return head.find(words) != std::string::npos;
  };
  if (says("nfeasible")) {
    answer.status = MilpStatus::kInfeasible;
    answer.message = head;
    return answer;
  }
  if (says("continuous used") || says("no integer solution")) {
    answer.status = MilpStatus::kStopped;
    answer.message = head;
    return answer;
  }
  if (!says("objective value")) {
    answer.message = "cbc's solution file cannot be read: " + head.substr(0, 60);
    return answer;
  }
  std::map<std::string, std::size_t, std::less<>> number;
  for (std::size_t v = 0; v < model.variables.size(); ++v) {
    number.emplace(model.variables[v].name, v);
  }
  answer.values.assign(model.variables.size(), 0.0);
  std::string line;
  while (std::getline(lines, line)) {
    // "  12 name 1 0", with "**" before it if the value breaks a bound.
    std::istringstream words(line);
    std::string first;
    std::string name;
    double value = 0.0;
    if (!(words >> first) || (first == "**" && !(words >> first)) || !(words >> name >> value)) {
      continue;
    }
    if (const auto found = number.find(name); found != number.end()) {
      answer.values[found->second] = value;
    }
  }
  answer.value = model.value(answer.values);
  double largest = 1.0;
  for (const double value : answer.values) {
    largest = std::max(largest, std::abs(value));
  }
  if (model.violation(answer.values) > kTolerance * largest) {
    answer.values.clear();
    answer.message = "cbc's solution breaks the model: " + head.substr(0, 60);
    return answer;
  }
  answer.status = says("Optimal") ? MilpStatus::kOptimal : MilpStatus::kFeasible;
  if (answer.status == MilpStatus::kOptimal) {
    answer.bound = answer.value;
  }
  answer.message = head;
  return answer;
}

std::unique_ptr<MilpSolver> make_cbc_solver(std::string program) {
  return std::make_unique<CbcSolver>(std::move(program));
}

}  // namespace stagecraft::search
