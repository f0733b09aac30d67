// The table of a comparison on data, why the rest lose, and the winner of each length regime.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "report/data/comparison.hpp"
#include "report/format.hpp"

namespace stagecraft {
namespace {

using namespace report::comparison;  // NOLINT(google-build-using-namespace)
using report::Scale;

constexpr std::string_view kNone = "-";

/// A column of the strategies' table.
struct Column {
  std::string title;
  bool left = false;
  std::vector<std::string> cells;
};

/// Everything the columns are made from, best strategy first.
struct Rows {
  const DataComparison& comparison;
  std::vector<std::size_t> order;
  std::vector<SeriesFigures> figures;  ///< in that order
};

Rows rows_of(const DataComparison& comparison) {
  Rows rows{comparison, rank_strategies(comparison), {}};
  for (const std::size_t index : rows.order) {
    rows.figures.push_back(series_figures(comparison.strategies[index]));
  }
  return rows;
}

/// Cells of strategies that ran at least one iteration; "-" for the others.
template <typename Cell>
Column column(const Rows& rows, std::string title, Cell&& cell) {
  Column result{std::move(title), false, {}};
  for (const SeriesFigures& figures : rows.figures) {
    result.cells.push_back(figures.feasible > 0 ? cell(figures) : std::string(kNone));
  }
  return result;
}

Time planning_time(double seconds) {
  return std::llround(seconds * static_cast<double>(kSecond));
}

Column names(const Rows& rows) {
  Column result{"strategy", true, {}};
  for (const std::size_t index : rows.order) {
    result.cells.push_back(rows.comparison.strategies[index].strategy);
  }
  return result;
}

Column marks(const Rows& rows) {
  const std::optional<std::size_t> best = winner(rows.comparison);
  Column result{"", true, {}};
  for (const std::size_t index : rows.order) {
    result.cells.emplace_back(best == index ? "*" : "");
  }
  return result;
}

void add_times(std::vector<Column>& columns, const Rows& rows, bool wide) {
  std::vector<Time> values;
  for (const SeriesFigures& figures : rows.figures) {
    values.insert(values.end(), {figures.mean, figures.median, figures.p99, figures.worst});
  }
  const Scale scale = report::time_scale(values);
  const auto add = [&](std::string_view name, Time SeriesFigures::* figure) {
    columns.push_back(column(rows, fmt::format("{} ({})", name, scale.unit),
                             [&](const auto& f) { return report::scaled(f.*figure, scale); }));
  };
  add("mean", &SeriesFigures::mean);
  add("p50", &SeriesFigures::median);
  add("p99", &SeriesFigures::p99);
  if (wide) {
    add("worst", &SeriesFigures::worst);
  }
}

void add_memory(std::vector<Column>& columns, const Rows& rows) {
  std::vector<Bytes> peaks;
  peaks.reserve(rows.figures.size());
  for (const SeriesFigures& figures : rows.figures) {
    peaks.push_back(figures.peak_memory);
  }
  const Scale scale = report::memory_scale(peaks);
  if (*std::max_element(peaks.begin(), peaks.end()) > 0) {
    columns.push_back(column(rows, fmt::format("peak per GPU ({})", scale.unit),
                             [&](const auto& f) { return report::scaled(f.peak_memory, scale); }));
  }
}

bool has_bound(const StrategySeries& series) {
  return std::any_of(
      series.iterations.begin(), series.iterations.end(),
      [](const elastic::IterationResult& r) { return r.feasible && r.lower_bound > 0; });
}

void add_gap(std::vector<Column>& columns, const Rows& rows) {
  Column result{"above bound", false, {}};
  bool any = false;
  for (std::size_t i = 0; i < rows.order.size(); ++i) {
    const bool known = has_bound(rows.comparison.strategies[rows.order[i]]);
    any = any || known;
    result.cells.push_back(known ? report::percent_text(rows.figures[i].gap) : std::string(kNone));
  }
  if (any) {
    columns.push_back(std::move(result));
  }
}

void add_planning(std::vector<Column>& columns, const Rows& rows, bool wide) {
  constexpr int kMostDecimals = 1;
  std::vector<Time> times;
  for (const SeriesFigures& figures : rows.figures) {
    times.push_back(planning_time(figures.planning_seconds));
    if (wide) {
      times.push_back(planning_time(figures.planning_seconds_worst));
    }
  }
  Scale scale = report::time_scale(times);
  scale.decimals = std::min(scale.decimals, kMostDecimals);
  columns.push_back(column(rows, fmt::format("planning ({})", scale.unit), [&](const auto& f) {
    return report::scaled(planning_time(f.planning_seconds), scale);
  }));
  if (wide) {
    columns.push_back(
        column(rows, fmt::format("worst planning ({})", scale.unit), [&](const auto& f) {
          return report::scaled(planning_time(f.planning_seconds_worst), scale);
        }));
  }
}

/// Means over different iterations are not compared: only of strategies that run them all.
void add_speed(std::vector<Column>& columns, const Rows& rows) {
  const std::optional<std::size_t> base = reference(rows.comparison);
  if (!base) {
    return;
  }
  const StrategySeries& series = rows.comparison.strategies[*base];
  const auto time = static_cast<double>(series_figures(series).mean);
  columns.push_back(column(rows, "vs " + series.strategy, [time](const SeriesFigures& f) {
    return f.infeasible > 0 || f.mean <= 0
               ? std::string(kNone)
               : fmt::format("{:.3f}x", time / static_cast<double>(f.mean));
  }));
}

std::vector<Column> columns_of(const Rows& rows, bool wide) {
  std::vector<Column> columns = {marks(rows), names(rows)};
  add_times(columns, rows, wide);
  columns.push_back(column(
      rows, "tokens/s", [](const auto& f) { return fmt::format("{:.0f}", f.tokens_per_second); }));
  columns.push_back(column(rows, "bubble",
                           [](const auto& f) { return report::percent_text(f.bubble_fraction); }));
  columns.push_back(column(rows, "padding",
                           [](const auto& f) { return report::percent_text(f.padding_fraction); }));
  add_memory(columns, rows);
  add_gap(columns, rows);
  add_planning(columns, rows, wide);
  add_speed(columns, rows);
  Column feasible{"feasible", false, {}};
  for (const SeriesFigures& f : rows.figures) {
    feasible.cells.push_back(fmt::format("{}/{}", f.feasible, f.feasible + f.infeasible));
  }
  columns.push_back(std::move(feasible));
  return columns;
}

std::string table_of(const std::vector<Column>& columns, std::size_t rows) {
  std::vector<bool> left;
  std::vector<std::string> titles;
  for (const Column& column : columns) {
    left.push_back(column.left);
    titles.push_back(column.title);
  }
  report::TextTable table(std::move(left));
  table.add_row(std::move(titles));
  for (std::size_t row = 0; row < rows; ++row) {
    std::vector<std::string> cells;
    cells.reserve(columns.size());
    for (const Column& column : columns) {
      cells.push_back(column.cells[row]);
    }
    table.add_row(std::move(cells));
  }
  return table.str();
}

/// Strategies that came out the same share a line.
std::string losses(const Rows& rows) {
  const std::optional<std::size_t> best = winner(rows.comparison);
  if (!best) {
    return {};
  }
  const StrategySeries& first = rows.comparison.strategies[*best];
  std::vector<std::pair<std::string, std::string>> sentences;
  for (std::size_t i = 0; i < rows.order.size(); ++i) {
    const StrategySeries& series = rows.comparison.strategies[rows.order[i]];
    if (rows.order[i] == *best || rows.figures[i].feasible == 0) {
      continue;
    }
    std::string sentence = loss_text(series, first);
    if (!sentences.empty() && sentences.back().second == sentence) {
      sentences.back().first += ", " + series.strategy;
    } else {
      sentences.emplace_back(series.strategy, std::move(sentence));
    }
  }
  std::string text;
  for (const auto& [strategies, sentence] : sentences) {
    text += fmt::format("  {}: {}\n", strategies, sentence);
  }
  return text.empty() ? text : fmt::format("\nWhy the rest lose to {}:\n", first.strategy) + text;
}

/// Each line behind `indent`.
std::string indented(std::string_view text, std::string_view indent) {
  std::string result;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    result += fmt::format("{}{}\n", indent, text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return result;
}

std::string refusals(const Rows& rows) {
  std::string text;
  for (std::size_t i = 0; i < rows.order.size(); ++i) {
    const StrategySeries& series = rows.comparison.strategies[rows.order[i]];
    const elastic::IterationResult* result = first_infeasible(series);
    if (result == nullptr) {
      continue;
    }
    const SeriesFigures& f = rows.figures[i];
    const std::string some = f.feasible > 0 ? fmt::format(" ({} of {} iterations)", f.infeasible,
                                                          f.feasible + f.infeasible)
                                            : std::string();
    if (result->problems.empty()) {
      text += fmt::format("  {}{}: no reason given\n", series.strategy, some);
      continue;
    }
    const Diagnostic& first = result->problems.front();
    text += fmt::format("  {}{}: {}\n", series.strategy, some, first.message);
    text += indented(first.hint, "    ");
  }
  return text.empty() ? text : "\nNot feasible:\n" + text;
}

std::vector<std::string> regime_cells(const RegimeComparison& regime) {
  const RegimeRanks ranks = rank_regime(regime);
  const bool won = ranks.first != nullptr;
  const bool contested = ranks.second != nullptr;
  const std::string none(kNone);
  return {range_text(regime),
          report::percent_text(regime.share_of_sequences),
          report::percent_text(regime.share_of_tokens),
          won ? ranks.first->strategy : none,
          won ? fmt::format("{:.0f}", tokens_per_second(*ranks.first)) : none,
          contested ? ranks.second->strategy : none,
          contested ? report::percent_text(behind(ranks)) : none};
}

std::string regimes_text(const DataComparison& comparison) {
  if (comparison.regimes.empty()) {
    return {};
  }
  report::TextTable table({true, false, false, true, false, true, false});
  table.add_row(
      {"length", "of sequences", "of tokens", "winner", "tokens/s", "second", "behind by"});
  for (const RegimeComparison& regime : comparison.regimes) {
    table.add_row(regime_cells(regime));
  }
  return "\nWinner by length (batches of one range of lengths alone):\n" +
         indented(table.str(), "  ");
}

/// What strategies decided for the first iteration that they can run.
std::string choices(const Rows& rows) {
  std::string text;
  for (const std::size_t index : rows.order) {
    const StrategySeries& series = rows.comparison.strategies[index];
    const auto first = std::find_if(series.iterations.begin(), series.iterations.end(),
                                    [](const elastic::IterationResult& r) { return r.feasible; });
    if (first == series.iterations.end()) {
      continue;
    }
    text += fmt::format("  {}: {}{}{} micro-batches, {} units", series.strategy, first->note,
                        first->note.empty() ? "" : "; ", first->microbatches, first->units);
    text += first->pipelines > 1 ? fmt::format(", {} pipelines\n", first->pipelines) : "\n";
  }
  return text.empty() ? text : "\nChosen in the first iteration:\n" + text;
}

}  // namespace

std::string data_comparison_text(const DataComparison& comparison, bool wide) {
  if (comparison.strategies.empty()) {
    return "No strategies were compared.\n";
  }
  const Rows rows = rows_of(comparison);
  std::string text = table_of(columns_of(rows, wide), rows.order.size());
  text += losses(rows) + refusals(rows) + regimes_text(comparison);
  if (wide) {
    text += choices(rows);
  }
  return text + fmt::format("\nData: {}\n", data_text(comparison));
}

}  // namespace stagecraft
