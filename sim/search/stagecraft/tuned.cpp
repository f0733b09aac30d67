// What the published tuner finds, as a start: our search goes on from there, and never ends above.
#include <utility>

#include "search/all.hpp"
#include "search/stagecraft/jobs.hpp"

namespace stagecraft::search {
namespace {

// Passes everything on and keeps the best plan.
class Listener final : public JobContext {
 public:
  Listener(const JobSetting& setting, JobContext& context) : setting_(setting), context_(context) {}

  [[nodiscard]] bool stopped() const override { return context_.stopped(); }
  void count(std::uint64_t evaluations) override { context_.count(evaluations); }
  void found(const Plan& plan) override {
    context_.found(plan);
    ScoredPlan scored = score(setting_.problem, plan);
    if (scored.figures.feasible &&
        (best_.empty() ||
         better(scored.figures, best_.front().scored.figures, setting_.objective))) {
      best_.resize(1);
      best_.front().scored = std::move(scored);
    }
  }
  [[nodiscard]] std::vector<Elite> take() { return std::move(best_); }

 private:
  const JobSetting& setting_;
  JobContext& context_;
  std::vector<Elite> best_;  // none or one
};

}  // namespace

std::vector<Elite> tuned(const JobSetting& setting, JobContext& context) {
  MethodOptions options;
  options.objective = setting.objective;
  options.options = {{"local_ops", "0"}};
  const Result<std::unique_ptr<Method>> tuner = adaptis_method().make(setting.problem, options);
  if (!tuner) {
    return {};  // it does not know this kind of problem
  }
  Listener listener(setting, context);
  while ((*tuner)->jobs() > 0 && !context.stopped()) {
    std::vector<JobResult> results;
    for (std::size_t job = 0; job < (*tuner)->jobs() && !context.stopped(); ++job) {
      results.push_back((*tuner)->run(job, listener));
      for (const Plan& plan : results.back().plans) {
        listener.found(plan);
      }
    }
    if (results.size() == (*tuner)->jobs()) {
      (*tuner)->end_round(results);
    }
  }
  return listener.take();
}

}  // namespace stagecraft::search
