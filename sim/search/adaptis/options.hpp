// Options of method `adaptis`, and what they leave open of a problem.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "loads.hpp"
#include "performance.hpp"

namespace stagecraft::search::adaptis {

struct Options {
  std::string baseline;  ///< empty: the method itself
  bool candidates = true;
  bool tuner = true;
  bool irregular = false;
  bool rank_by_device = false;
  std::int32_t top_k = 32;
  std::int32_t beam = 32;
  std::int32_t sim_k = 32;
  std::int32_t per_count = 2;
  std::int32_t exempt_trials = 4;
  std::int32_t iterations = 100;
  std::int32_t patience = 10;
  std::int32_t neighbours = 8;
  std::int32_t weight_trials = 2000;
  std::int32_t embedding = -1;  ///< -1: find_ends
  std::int32_t head = -1;
};

[[nodiscard]] std::span<const OptionSpec> option_specs();

/// Names and values checked; every mistake is reported.
[[nodiscard]] Result<Options> read_options(const GeneratorOptions& given);

/// What of a problem the method may choose.
struct Freedom {
  bool partition = false;
  bool placement = false;
  bool chunks = false;
  std::int32_t most_chunks = 1;
};
[[nodiscard]] Freedom freedom_of(const Problem& problem);

/// The rules by which shapes are scheduled: greedy where the order is open or greedy is among the
/// schedules, otherwise those schedules.
[[nodiscard]] std::vector<Rule> rules_of(const Problem& problem, const Options& options);

[[nodiscard]] Ends ends_of(const Problem& problem, const Options& options);

}  // namespace stagecraft::search::adaptis
