// What a search found and why it wins, for people and as JSON.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "stagecraft/report/run.hpp"
#include "stagecraft/search/driver.hpp"

namespace stagecraft {

/// What larger memories would buy: a search with them, as far as it got.
struct MoreMemory {
  Bytes extra = 0;                ///< bytes more on every device
  std::int64_t bound = 0;         ///< lower bound of the objective with them
  std::int64_t value = 0;         ///< of the best plan found with them, the present one included
  std::uint64_t evaluations = 0;  ///< that the search took; 0: the bound says that none is better
};

/// What the best plan is limited by.
struct SearchLimits {
  std::int32_t busiest_device = 0;
  double busiest_over_mean = 1.0;          ///< its compute time over that of the mean device
  double busy_share = 0.0;                 ///< compute time of the busiest device / iteration
  std::vector<std::int32_t> full_devices;  ///< peak memory within 5 % of the capacity
  double transfer_share = 0.0;             ///< of the critical path
  double wait_share = 0.0;                 ///< of the critical path: memory, busy links, copies
  double fill_share = 0.0;                 ///< idle time before the first and after the last op of
                                           ///< the mean device / makespan
  /// "load balance", "memory", "links", "chain": what takes most, in words of DESIGN 1.
  std::string binding;
};

struct SearchExplanation {
  SearchLimits limits;
  /// The objective with links that are 10 % faster (latencies / 1.1, bandwidths x 1.1, copies to
  /// the host too), of the same order of ops, exact; 0 if nothing is sent.
  std::int64_t faster_links = 0;
  std::optional<MoreMemory> more_memory;
  std::vector<std::string> sentences;  ///< all of it in words
};

/// A finished search with what is reported about it.
struct SearchReport {
  std::string scenario;  ///< its name
  std::vector<search::Coordinate> coordinates;
  search::SearchResult result;
  bool pareto = false;
  std::int32_t threads = 1;
  std::int32_t processes = 1;
  std::optional<Run> best;   ///< the best plan, evaluated
  std::optional<Run> start;  ///< the best registered schedule, evaluated
  SearchExplanation explanation;
};

/// Why the best plan is what it is; `schedule` and `costs` are the plan's. `start` may be null.
[[nodiscard]] SearchExplanation explain_search(const Run& best, const Run* start,
                                               const Schedule& schedule, const CostTable& costs,
                                               search::Objective objective,
                                               const std::optional<MoreMemory>& more_memory);

/// "25.5 ms", "78.1 GiB": a value of an objective.
[[nodiscard]] std::string objective_text(std::int64_t value, search::Objective objective);

/// Figures, bound, gap, origin and the explanation, to read on a terminal. Ends with a newline.
[[nodiscard]] std::string describe_search(const SearchReport& report);

/// Lines for the head of a plan file: figures, bound, gap, method, seed.
[[nodiscard]] std::string plan_comment(const SearchReport& report);

/// The keys of the best plan's result (DESIGN 4.3) with `best`, `start`, `evaluated`, `seconds`,
/// `lower_bound_ns` (`_bytes` or `_device_ns` for such objectives) of the objective, `gap`,
/// `proved`, `bound_reason`, `objective`, `method`, `seed`, `threads`, `front`, `progress`, `plan`
/// and `explain`. Ends with a newline.
[[nodiscard]] std::string search_json(const SearchReport& report);

/// One self-contained page: progress curve, Pareto front, timelines of start and best on one axis,
/// explanation.
[[nodiscard]] std::string search_page(const SearchReport& report);

}  // namespace stagecraft
