// What a scenario's section `search` says: which choices are open, and how to search.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/core/units.hpp"

namespace stagecraft {

/// Everything that is not stated is empty; make_search_space says what it is then.
struct SearchChoices {
  // Open choices.
  std::optional<bool> partition, placement, schedule, recompute, offload;
  std::optional<std::int32_t> chunks;      ///< largest number of stages per device
  std::vector<std::string> schedules;      ///< registered ones to start from; empty: all
  std::vector<std::int32_t> microbatches;  ///< values of M to try; empty: the stated one
  std::vector<std::int32_t> devices;       ///< values of P to try; empty: the stated one
  /// Part of every duration of a layer (a stage, without layers) that does not shrink with the
  /// micro-batch, ns.
  Time overhead = 0;

  // How to search; the command line wins.
  std::optional<std::string> objective;  ///< as search::to_string, or "pareto"
  std::optional<std::string> method;
  std::optional<std::string> budget;  ///< "30s", "100000evals"
  std::optional<std::uint64_t> seed;
  std::map<std::string, std::string, std::less<>> options;  ///< of the method

  SourcePlace place;        ///< of the section, or of the file's beginning
  std::string source_line;  ///< of that place
};

struct SearchBudget {
  double seconds = 0.0;           ///< of wall time; 0: none
  std::uint64_t evaluations = 0;  ///< candidates; 0: none
};

/// "500ms", "30s", "2min", "1h", "100000evals". Fails (bad input) for anything else, for nothing
/// and for more than a year.
[[nodiscard]] Result<SearchBudget> parse_budget(std::string_view text);

}  // namespace stagecraft
