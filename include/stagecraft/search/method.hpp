// The interface between a search method and what drives it.
//
// A method proceeds in rounds of jobs. What a job does follows from the method's state at the
// beginning of the round and from the job's number, never from time, threads or other jobs; results
// are merged in the order of job numbers. So the same seed takes the same road on 1 or N threads
// and on 1 or N machines, and a state written between rounds resumes to the same end. A budget of
// time only decides how far along the road a run gets: more of it is never worse.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/search/plan.hpp"
#include "stagecraft/search/problem.hpp"

namespace stagecraft::search {

/// What a job may ask and tell while it runs, from the thread that runs it.
class JobContext {
 public:
  JobContext() = default;
  JobContext(const JobContext&) = delete;
  JobContext& operator=(const JobContext&) = delete;
  virtual ~JobContext() = default;

  /// True if the job should return soon with what it has: time is over or the user wants to stop.
  /// The result of such a job counts as found plans, but not for the state of the method.
  [[nodiscard]] virtual bool stopped() const = 0;
  /// A plan worth keeping, at once (anytime). The driver scores it again before it believes it.
  virtual void found(const Plan& plan) = 0;
  /// Candidates evaluated since the last call.
  virtual void count(std::uint64_t evaluations) = 0;
};

struct JobResult {
  /// Best first; the driver scores each. Only those that `found` did not report need be here, but
  /// plans may be reported twice.
  std::vector<Plan> plans;
  /// A lower bound on the objective that the job has proved for its problem, or 0.
  std::int64_t bound = 0;
  std::string bound_reason;            ///< what proves it: "no order of 102 or less (SAT)"
  bool bound_holds_for_space = false;  ///< for every open choice, not only its placement
  /// Anything else the method wants back in end_round, as text or bytes (it may cross machines).
  std::string state;
};

class Method {
 public:
  Method() = default;
  Method(const Method&) = delete;
  Method& operator=(const Method&) = delete;
  virtual ~Method() = default;

  /// "stagecraft", "adaptis", "optpipe", "exact".
  [[nodiscard]] virtual std::string_view name() const = 0;
  /// Jobs of the next round; 0: there is nothing left to try.
  [[nodiscard]] virtual std::size_t jobs() const = 0;
  /// Runs one job of the round; called from several threads at once.
  [[nodiscard]] virtual JobResult run(std::size_t job, JobContext& context) const = 0;
  /// Takes the results of all jobs of the round, by job number, and prepares the next.
  virtual void end_round(std::span<const JobResult> results) = 0;
  /// The state between rounds as text, and back. A text of another problem or version is refused.
  [[nodiscard]] virtual std::string save() const = 0;
  [[nodiscard]] virtual Diagnostics restore(std::string_view state) = 0;
};

struct MethodOptions {
  Objective objective = Objective::kIteration;
  bool pareto = false;  ///< spread the effort over memory limits; the objective is a time
  std::uint64_t seed = 1;
  /// Options of the method itself, name -> value, declared by MethodInfo::options.
  GeneratorOptions options;
};

/// A method in the registry. `problem` outlives the method.
struct MethodInfo {
  std::string_view name;
  std::string_view summary;  ///< one line
  std::string_view source;   ///< paper
  std::span<const OptionSpec> options;
  Result<std::unique_ptr<Method>> (*make)(const Problem& problem, const MethodOptions& options);
};

[[nodiscard]] std::span<const MethodInfo> methods();
[[nodiscard]] const MethodInfo* find_method(std::string_view name);

}  // namespace stagecraft::search
