// compare on a scenario that brings its data: strategies over many iterations and length regimes.
#include <algorithm>

#include <fmt/core.h>

#include "data_commands.hpp"
#include "exit_status.hpp"
#include "interrupt.hpp"
#include "output.hpp"
#include "progress.hpp"
#include "stagecraft/core/file.hpp"
#include "stagecraft/core/parallel.hpp"
#include "stagecraft/report/data_report.hpp"
#include "stagecraft/report/svg_timeline.hpp"

namespace stagecraft::cli {
namespace {

using elastic::IterationResult;

std::vector<std::string> chosen_strategies(const Arguments& arguments) {
  if (!arguments.schedules.empty()) {
    return arguments.schedules;
  }
  std::vector<std::string> names;
  for (const elastic::StrategyInfo& info : elastic::strategies()) {
    names.emplace_back(info.name);
  }
  return names;
}

/// One batch of each length regime that the data have.
struct Regime {
  RegimeComparison comparison;
  data::GlobalBatch batch;
};

Result<std::vector<Regime>> regime_batches(const Scenario& scenario,
                                           const std::vector<data::GlobalBatch>& batches,
                                           const data::LengthSummary& summary) {
  const data::Tokens mean_tokens =
      std::max<data::Tokens>(summary.tokens / static_cast<std::int64_t>(batches.size()), 1);
  const data::Tokens top = summary.longest;
  std::vector<data::Tokens> bounds = {0};
  for (const data::Tokens bound : scenario.data->regimes) {
    if (bound < top) {
      bounds.push_back(bound);
    }
  }
  bounds.push_back(top);
  std::vector<Regime> regimes;
  for (std::size_t i = 0; i + 1 < bounds.size(); ++i) {
    Regime regime;
    regime.comparison.above = bounds[i];
    regime.comparison.up_to = bounds[i + 1];
    data::Tokens tokens = 0;
    std::int64_t sequences = 0;
    for (const data::GlobalBatch& batch : batches) {
      for (const data::Sequence& sequence : batch.sequences) {
        const bool inside = sequence.tokens > bounds[i] && sequence.tokens <= bounds[i + 1];
        tokens += inside ? sequence.tokens : 0;
        sequences += inside ? 1 : 0;
      }
    }
    regime.comparison.share_of_sequences =
        static_cast<double>(sequences) / static_cast<double>(summary.sequences);
    regime.comparison.share_of_tokens =
        static_cast<double>(tokens) / static_cast<double>(summary.tokens);
    Result<std::optional<data::GlobalBatch>> batch =
        regime_batch(scenario, bounds[i], bounds[i + 1], mean_tokens);
    if (!batch) {
      return batch.failures();
    }
    if (*batch) {
      regime.batch = std::move(**batch);
      regimes.push_back(std::move(regime));
    }
  }
  return regimes;
}

LengthReport describe_batches(const Scenario& scenario,
                              const std::vector<data::GlobalBatch>& batches,
                              const data::SkippedLines& skipped) {
  data::LengthCounter counter;
  for (const data::GlobalBatch& batch : batches) {
    for (const data::Sequence& sequence : batch.sequences) {
      counter.add(sequence.tokens);
    }
  }
  LengthReport report;
  report.name = scenario.data->lengths.text;
  report.summary = scenario.data->lengths.summary;
  report.context = scenario.data->sampling.context;
  report.sampled = true;
  report.lengths = counter.summary();
  report.skipped_lines = skipped.count;
  return report;
}

/// Every (batch, strategy) is one piece of work.
class Work {
 public:
  Work(const Scenario& scenario, const std::vector<std::string>& names,
       const std::vector<data::GlobalBatch>& batches, const std::vector<Regime>& regimes)
      : scenario_(scenario), names_(names), batches_(batches), regimes_(regimes) {}

  [[nodiscard]] std::size_t pieces() const {
    return (batches_.size() + regimes_.size()) * names_.size();
  }

  /// Fails if options are wrong. Interrupted: what was done is not kept.
  Diagnostics run(int threads, Progress& progress) {
    results_.resize(pieces());
    pictures_.resize(names_.size());
    std::vector<Diagnostics> failures(pieces());
    for_each_index(pieces(), threads, [&](std::size_t i) {
      if (Interrupt::requested()) {
        return;
      }
      const std::size_t name = i % names_.size();
      const std::size_t batch = i / names_.size();
      Result<IterationRun> one = run_iteration(
          scenario_, names_[name],
          batch < batches_.size() ? batches_[batch] : regimes_[batch - batches_.size()].batch);
      progress.step(names_[name]);
      if (!one) {
        failures[i] = one.failures();
        return;
      }
      results_[i] = one->result;
      if (batch == 0 && one->result.feasible) {
        StrategyPicture picture{names_[name], std::move(one->plan.formation), std::nullopt};
        if (one->plan.pipelined) {
          picture.run = run_of_plan(scenario_, one->plan);
        }
        pictures_[name] = std::move(picture);
      }
    });
    for (Diagnostics& one : failures) {
      if (!one.empty()) {
        return std::move(one);
      }
    }
    return {};
  }

  void fill(DataComparison& comparison) {
    for (std::size_t name = 0; name < names_.size(); ++name) {
      StrategySeries series{names_[name], {}};
      for (std::size_t batch = 0; batch < batches_.size(); ++batch) {
        series.iterations.push_back(std::move(results_[batch * names_.size() + name]));
      }
      comparison.strategies.push_back(std::move(series));
      if (pictures_[name]) {
        comparison.pictures.push_back(std::move(*pictures_[name]));
      }
    }
    for (std::size_t r = 0; r < regimes_.size(); ++r) {
      RegimeComparison regime = regimes_[r].comparison;
      for (std::size_t name = 0; name < names_.size(); ++name) {
        regime.results.push_back(std::move(results_[(batches_.size() + r) * names_.size() + name]));
      }
      comparison.regimes.push_back(std::move(regime));
    }
  }

 private:
  const Scenario& scenario_;
  const std::vector<std::string>& names_;
  const std::vector<data::GlobalBatch>& batches_;
  const std::vector<Regime>& regimes_;
  std::vector<IterationResult> results_;
  std::vector<std::optional<StrategyPicture>> pictures_;
};

int write_comparison(const Arguments& arguments, const DataComparison& comparison) {
  const auto put = [](const std::string& path, auto&& text) {
    if (path.empty()) {
      return kDone;
    }
    const auto written = write_file(path, text());
    return written ? kDone : fail(written.failures());
  };
  const auto timelines = [&] {
    std::vector<Run> runs;
    for (const StrategyPicture& picture : comparison.pictures) {
      if (picture.run) {
        runs.push_back(*picture.run);
      }
    }
    return svg_timeline(runs);
  };
  for (const int status : {put(arguments.json, [&] { return data_comparison_json(comparison); }),
                           put(arguments.html, [&] { return data_comparison_page(comparison); }),
                           put(arguments.svg, timelines)}) {
    if (status != kDone) {
      return status;
    }
  }
  return kDone;
}

}  // namespace

int compare_data(const Arguments& arguments, const Scenario& scenario) {
  if (!arguments.trace.empty()) {
    return fail({bad_input("--trace writes one iteration, and this compares many",
                           "use `stagecraft simulate SCENARIO --schedule NAME --trace FILE`")});
  }
  if (const int status = check_outputs({arguments.json, arguments.html, arguments.svg});
      status != kDone) {
    return status;
  }
  const std::vector<std::string> names = chosen_strategies(arguments);
  Diagnostics unknown;
  for (const std::string& name : names) {
    if (elastic::find_strategy(name) == nullptr) {
      unknown.push_back(unknown_strategy(name));
    }
  }
  if (!unknown.empty()) {
    return fail(unknown);
  }
  data::SkippedLines skipped;
  const Result<std::vector<data::GlobalBatch>> batches =
      sample_batches(scenario, scenario.data->iterations, &skipped);
  if (!batches) {
    return fail(batches.failures());
  }
  tell_skipped(skipped);
  DataComparison comparison;
  comparison.scenario = scenario.name;
  comparison.lengths = describe_batches(scenario, *batches, skipped);
  comparison.gpus = scenario.data->layout.gpus();
  comparison.global_batch = scenario.data->sampling.global_batch;
  comparison.seed = scenario.data->sampling.seed;
  comparison.profile = scenario.data->profile.name;
  comparison.model = scenario.data->profile.model;
  const Result<std::vector<Regime>> regimes =
      regime_batches(scenario, *batches, comparison.lengths.lengths);
  if (!regimes) {
    return fail(regimes.failures());
  }
  Work work(scenario, names, *batches, *regimes);
  {
    const Interrupt interrupt;
    Progress progress(work.pieces());
    const Diagnostics failures = work.run(arguments.threads, progress);
    if (Interrupt::requested()) {
      progress.clear();
      fmt::print(stderr, "interrupted: nothing written\n");
      Interrupt::obey();
    }
    if (!failures.empty()) {
      progress.clear();
      return fail(failures);
    }
  }
  work.fill(comparison);
  if (const int status = write_comparison(arguments, comparison); status != kDone) {
    return status;
  }
  if (!output_is_taken(arguments)) {
    const int printed =
        print(arguments.format == "json" ? data_comparison_json(comparison)
                                         : data_comparison_text(comparison, arguments.wide));
    if (printed != kDone) {
      return printed;
    }
  }
  const bool any =
      std::any_of(comparison.strategies.begin(), comparison.strategies.end(),
                  [](const StrategySeries& series) { return series_figures(series).feasible > 0; });
  if (any) {
    return kDone;
  }
  fmt::print(stderr, "error: none of the {} strategies is feasible\n", names.size());
  return kInfeasible;
}

}  // namespace stagecraft::cli
