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

/// Iterations are planned in blocks of so many, so that a data set of any size takes bounded
/// memory.
constexpr std::int32_t kBlock = 64;

/// Runs every strategy on every batch, and collects what the reports need.
class Comparing {
 public:
  Comparing(const Arguments& arguments, const Scenario& scenario, std::vector<std::string> names)
      : arguments_(arguments),
        scenario_(scenario),
        names_(std::move(names)),
        shares_(scenario.data->regimes.size() + 1),
        progress_(static_cast<std::size_t>(scenario.data->iterations) * names_.size()) {
    for (const std::string& name : names_) {
      comparison_.strategies.push_back({name, {}});
    }
  }

  /// All iterations, then the length regimes. Stops early, with nothing wrong, when interrupted.
  Diagnostics run() {
    Result<data::BatchSampler> sampler = open_batches(scenario_);
    if (!sampler) {
      return sampler.failures();
    }
    std::int32_t left = scenario_.data->iterations;
    while (left > 0 && !Interrupt::requested()) {
      const Result<std::vector<data::GlobalBatch>> block =
          take_batches(scenario_, *sampler, std::min(left, kBlock));
      if (!block) {
        return block.failures();
      }
      if (block->empty()) {
        break;
      }
      left -= static_cast<std::int32_t>(block->size());
      if (Diagnostics failures = run_block(*block); !failures.empty()) {
        return failures;
      }
    }
    skipped_ = sampler->skipped();
    describe();
    return comparison_.lengths.lengths.sequences == 0 || Interrupt::requested() ? Diagnostics{}
                                                                                : run_regimes();
  }

  void clear_progress() { progress_.clear(); }
  [[nodiscard]] const data::SkippedLines& skipped() const { return skipped_; }
  [[nodiscard]] const std::vector<std::string>& notes() const { return notes_; }
  [[nodiscard]] DataComparison take() { return std::move(comparison_); }

 private:
  struct Share {
    std::int64_t sequences = 0;
    data::Tokens tokens = 0;
  };

  /// One result of every (batch, strategy), by batch; plans of `pictured` batches are kept.
  Result<std::vector<IterationResult>> results_of(const std::vector<data::GlobalBatch>& batches,
                                                  bool pictured) {
    std::vector<IterationResult> results(batches.size() * names_.size());
    std::vector<Diagnostics> failures(results.size());
    std::vector<std::optional<StrategyPicture>> pictures(names_.size());
    for_each_index(results.size(), arguments_.threads, [&](std::size_t i) {
      if (Interrupt::requested()) {
        return;
      }
      const std::size_t name = i % names_.size();
      Result<IterationRun> one = run_iteration(scenario_, names_[name], batches[i / names_.size()]);
      progress_.step(names_[name]);
      if (!one) {
        failures[i] = one.failures();
        return;
      }
      results[i] = one->result;
      if (pictured && i < names_.size() && one->result.feasible) {
        pictures[name] = picture_of(std::move(*one));
      }
    });
    for (Diagnostics& one : failures) {
      if (!one.empty()) {
        return std::move(one);
      }
    }
    for (std::optional<StrategyPicture>& picture : pictures) {
      if (picture) {
        comparison_.pictures.push_back(std::move(*picture));
      }
    }
    return results;
  }

  [[nodiscard]] StrategyPicture picture_of(IterationRun run) const {
    StrategyPicture picture{run.plan.strategy, {}, std::nullopt};
    if (run.plan.pipelined) {
      picture.run = run_of_plan(scenario_, run.plan);
    }
    picture.formation = std::move(run.plan.formation);
    return picture;
  }

  Diagnostics run_block(const std::vector<data::GlobalBatch>& batches) {
    const std::vector<data::Tokens>& regimes = scenario_.data->regimes;
    for (const data::GlobalBatch& batch : batches) {
      for (const data::Sequence& sequence : batch.sequences) {
        counter_.add(sequence.tokens);
        const auto bound = std::lower_bound(regimes.begin(), regimes.end(), sequence.tokens);
        Share& share = shares_[static_cast<std::size_t>(bound - regimes.begin())];
        ++share.sequences;
        share.tokens += sequence.tokens;
      }
    }
    const bool first = comparison_.strategies.front().iterations.empty();
    Result<std::vector<IterationResult>> results = results_of(batches, first);
    if (!results) {
      return results.failures();
    }
    for (std::size_t i = 0; i < results->size(); ++i) {
      comparison_.strategies[i % names_.size()].iterations.push_back(std::move((*results)[i]));
    }
    batches_ += batches.size();
    return {};
  }

  void describe() {
    const DataChoices& data = *scenario_.data;
    comparison_.scenario = scenario_.name;
    comparison_.gpus = data.layout.gpus();
    comparison_.global_batch = data.sampling.global_batch;
    comparison_.seed = data.sampling.seed;
    comparison_.profile = data.profile.name;
    comparison_.model = data.profile.model;
    comparison_.lengths.name = data.lengths.text;
    comparison_.lengths.summary = data.lengths.summary;
    comparison_.lengths.context = data.sampling.context;
    comparison_.lengths.sampled = true;
    comparison_.lengths.lengths = counter_.summary();
    comparison_.lengths.skipped_lines = skipped_.count;
  }

  /// Bounds between the regimes that the data reach: 0, ..., the longest sequence.
  [[nodiscard]] std::vector<data::Tokens> regime_bounds() const {
    std::vector<data::Tokens> bounds = {0};
    for (const data::Tokens bound : scenario_.data->regimes) {
      if (bound < comparison_.lengths.lengths.longest) {
        bounds.push_back(bound);
      }
    }
    bounds.push_back(comparison_.lengths.lengths.longest);
    return bounds;
  }

  /// A batch of about the tokens of a global batch from the lengths of one regime alone. A single
  /// regime would say nothing new.
  Diagnostics run_regimes() {
    const std::vector<data::Tokens> bounds = regime_bounds();
    const data::LengthSummary& all = comparison_.lengths.lengths;
    const data::Tokens tokens = all.tokens / static_cast<std::int64_t>(batches_);
    for (std::size_t i = 0; i + 1 < bounds.size() && bounds.size() > 2; ++i) {
      Result<RegimeBatch> found = regime_batch(scenario_, bounds[i], bounds[i + 1], tokens);
      if (!found) {
        return found.failures();
      }
      if (!found->note.empty()) {
        notes_.push_back(std::move(found->note));
      }
      if (found->batch.sequences.empty()) {
        continue;
      }
      std::vector<data::GlobalBatch> one;
      one.push_back(std::move(found->batch));
      Result<std::vector<IterationResult>> results = results_of(one, false);
      if (!results) {
        return results.failures();
      }
      RegimeComparison regime;
      regime.above = bounds[i];
      regime.up_to = bounds[i + 1];
      const Share share = shares_[i];
      regime.share_of_sequences =
          static_cast<double>(share.sequences) / static_cast<double>(all.sequences);
      regime.share_of_tokens = static_cast<double>(share.tokens) / static_cast<double>(all.tokens);
      regime.results = std::move(*results);
      comparison_.regimes.push_back(std::move(regime));
    }
    return {};
  }

  const Arguments& arguments_;
  const Scenario& scenario_;
  std::vector<std::string> names_;
  data::LengthCounter counter_;
  std::vector<Share> shares_;  ///< by regime
  data::SkippedLines skipped_;
  std::vector<std::string> notes_;  ///< on regimes
  std::size_t batches_ = 0;
  Progress progress_;
  DataComparison comparison_;
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
  Comparing comparing(arguments, scenario, names);
  {
    const Interrupt interrupt;
    const Diagnostics failures = comparing.run();
    comparing.clear_progress();
    if (Interrupt::requested()) {
      fmt::print(stderr, "interrupted: nothing written\n");
      Interrupt::obey();
    }
    if (!failures.empty()) {
      return fail(failures);
    }
  }
  tell_skipped(comparing.skipped());
  for (const std::string& note : comparing.notes()) {
    fmt::print(stderr, "note: {}\n", note);
  }
  if (!scenario.data->regimes.empty() && !data::can_be_read_again(scenario.data->lengths)) {
    fmt::print(stderr, "note: no winner by length, because '{}' can be read only once\n",
               scenario.data->lengths.text);
  }
  const DataComparison comparison = comparing.take();
  const std::size_t done = comparison.strategies.front().iterations.size();
  if (done > 0 && done < static_cast<std::size_t>(scenario.data->iterations)) {
    fmt::print(stderr, "note: the data end after {} of {} iterations\n", done,
               scenario.data->iterations);
  }
  if (comparison.lengths.lengths.sequences == 0) {
    return fail({bad_input(fmt::format("the data have no whole global batch of {} sequences",
                                       scenario.data->sampling.global_batch),
                           "lower training.global_batch, or let data.epochs be 0")});
  }
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
