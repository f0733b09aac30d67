// What the text, the JSON and the page of a comparison on data have in common: who wins, why the
// others lose, and lengths in words.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "stagecraft/report/data_report.hpp"

namespace stagecraft::report::comparison {

/// Mean time parts in ns, by elastic::TimePart.
using Parts = std::array<double, elastic::kTimePartCount>;

/// Over the feasible iterations; all 0 if there are none.
[[nodiscard]] Parts mean_parts(const StrategySeries& series);

/// What one series has more of than another in its mean iteration.
struct Difference {
  std::size_t iterations = 0;     ///< that both can run; the rest is of these
  double own = 0.0, other = 0.0;  ///< mean times, ns
  Parts parts{};                  ///< own minus other
};
[[nodiscard]] Difference difference(const StrategySeries& series, const StrategySeries& other);

/// The strategy that runs every iteration in the least mean time; nothing if none runs them all.
[[nodiscard]] std::optional<std::size_t> winner(const DataComparison& comparison);

/// What speed-ups refer to: the strategy named first if it runs every iteration, else the winner.
[[nodiscard]] std::optional<std::size_t> reference(const DataComparison& comparison);

/// Iterations of the longest series.
[[nodiscard]] std::size_t iterations_of(const DataComparison& comparison);

/// What devices do in a part, behind "spends 1.2 s more": "recomputing".
[[nodiscard]] std::string_view part_phrase(elastic::TimePart part);

/// Why a strategy is slower than the winner: "+41.2 %: a mean GPU spends 1.2 s more recomputing,
/// 0.8 s more waiting before the first op".
[[nodiscard]] std::string loss_text(const StrategySeries& loser, const StrategySeries& winner);

/// The first infeasible iteration; nullptr if all are feasible.
[[nodiscard]] const elastic::IterationResult* first_infeasible(const StrategySeries& series);

/// Who is first and second in a regime; nullptr where fewer can run.
struct RegimeRanks {
  const elastic::IterationResult* first = nullptr;
  const elastic::IterationResult* second = nullptr;
};
/// Time of the second over that of the first - 1; both must be there.
[[nodiscard]] double behind(const RegimeRanks& ranks);
[[nodiscard]] RegimeRanks rank_regime(const RegimeComparison& regime);
[[nodiscard]] double tokens_per_second(const elastic::IterationResult& result);

/// "512", "4K", "1.5K", "1M" with K = 1024.
[[nodiscard]] std::string tokens_text(data::Tokens tokens);
/// "up to 4K", "4K to 8K", "above 64K"; `up_to` of 0 has no end.
[[nodiscard]] std::string range_text(const RegimeComparison& regime);

/// One line: the winner, its time, its speed against the reference.
[[nodiscard]] std::string summary_text(const DataComparison& comparison);
/// One line: sequences, their lengths, and how much padding the strategies compute.
[[nodiscard]] std::string data_text(const DataComparison& comparison);

}  // namespace stagecraft::report::comparison
