// Reports about data: what a set of sequence lengths looks like, and which strategy wins on it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "stagecraft/data/describe.hpp"
#include "stagecraft/data/formation.hpp"
#include "stagecraft/report/run.hpp"
#include "stagecraft/search/elastic.hpp"

namespace stagecraft {

/// A described data set.
struct LengthReport {
  std::string name;          ///< file or expression
  std::string summary;       ///< one line on what it is
  data::Tokens context = 0;  ///< 0: not truncated
  bool sampled = false;      ///< a part of an endless data set, or of a longer file
  data::LengthSummary lengths;
  std::int64_t skipped_lines = 0;
};

[[nodiscard]] std::string length_text(const LengthReport& report);
[[nodiscard]] std::string length_json(const LengthReport& report);
/// Histogram of sequences and of tokens over length (logarithmic), and both cumulative shares.
[[nodiscard]] std::string length_svg(const LengthReport& report);
/// One self-contained page with the picture and the tables.
[[nodiscard]] std::string length_page(const LengthReport& report);

/// One strategy over many iterations.
struct StrategySeries {
  std::string strategy;
  std::vector<elastic::IterationResult> iterations;
};

/// A batch of sequences of one range of lengths alone, of about the tokens of a global batch.
struct RegimeComparison {
  data::Tokens above = 0, up_to = 0;                       ///< lengths in (above, up_to]
  double share_of_sequences = 0.0, share_of_tokens = 0.0;  ///< of the data set
  std::vector<elastic::IterationResult> results;           ///< one per strategy, in their order
};

/// A strategy's plan for the first iteration, for the pictures.
struct StrategyPicture {
  std::string strategy;
  data::Formation formation;
  std::optional<Run> run;  ///< its timeline; nothing without a pipeline
};

struct DataComparison {
  std::string scenario;
  LengthReport lengths;  ///< of the sequences that were sampled
  std::int32_t gpus = 0;
  std::int32_t global_batch = 0;
  std::uint64_t seed = 0;
  std::string profile, model;
  std::vector<StrategySeries> strategies;  ///< as asked for
  std::vector<RegimeComparison> regimes;
  std::vector<StrategyPicture> pictures;  ///< of strategies that are feasible, any order
};

/// Times of a series: only of feasible iterations.
struct SeriesFigures {
  std::int32_t feasible = 0, infeasible = 0;
  Time mean = 0, median = 0, p99 = 0, worst = 0;  ///< ns
  double tokens_per_second = 0.0;
  double bubble_fraction = 0.0;   ///< mean
  double padding_fraction = 0.0;  ///< padded tokens over computed tokens
  Bytes peak_memory = 0;          ///< largest
  double planning_seconds = 0.0;  ///< mean
  double planning_seconds_worst = 0.0;
  double gap = 0.0;  ///< mean of time over its lower bound - 1; 0 where there is none
};
[[nodiscard]] SeriesFigures series_figures(const StrategySeries& series);

/// Indices of strategies, best mean time first; those with infeasible iterations last.
[[nodiscard]] std::vector<std::size_t> rank_strategies(const DataComparison& comparison);

/// The table, why the rest lose (by time part), the winner of each length regime.
[[nodiscard]] std::string data_comparison_text(const DataComparison& comparison, bool wide);
/// {"stagecraft", "scenario", "data", "results": [...], "regimes": [...]}; results as DESIGN 4.3
/// with the distribution of times, parts in ns, and every iteration.
[[nodiscard]] std::string data_comparison_json(const DataComparison& comparison);
/// One self-contained page: length histogram with token shares, time per iteration, time parts,
/// chunk-size heat map, winner by regime, timeline of one iteration of each pipelined strategy.
[[nodiscard]] std::string data_comparison_page(const DataComparison& comparison);

}  // namespace stagecraft
