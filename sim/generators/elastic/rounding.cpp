// Integer solutions of covering programs from relaxed ones.
#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>

#include "integer_program.hpp"

namespace stagecraft::elastic {
namespace {

/// The entries of every column: where a variable can go down without breaking a row.
struct Columns {
  std::vector<std::size_t> begin;
  std::vector<std::size_t> row;
  std::vector<std::int64_t> coefficient;
};

Columns columns_of(const IntegerProgram& program) {
  Columns columns;
  columns.begin.assign(program.variables() + 1, 0);
  for (const std::int32_t v : program.column) {
    ++columns.begin[static_cast<std::size_t>(v) + 1];
  }
  std::partial_sum(columns.begin.begin(), columns.begin.end(), columns.begin.begin());
  columns.row.resize(program.column.size());
  columns.coefficient.resize(program.column.size());
  std::vector<std::size_t> next(columns.begin.begin(), columns.begin.end() - 1);
  for (std::size_t r = 0; r < program.rows(); ++r) {
    for (std::size_t e = program.row_begin[r]; e < program.row_begin[r + 1]; ++e) {
      const std::size_t at = next[static_cast<std::size_t>(program.column[e])]++;
      columns.row[at] = r;
      columns.coefficient[at] = program.coefficient[e];
    }
  }
  return columns;
}

/// Lowers variable after variable as far as all rows stay met.
std::int64_t trim(const IntegerProgram& program, const Columns& columns,
                  std::span<const std::size_t> order, std::vector<std::int32_t>& x) {
  std::vector<std::int64_t> slack = slacks(program, x);
  std::int64_t value = 0;
  for (const std::size_t v : order) {
    std::int64_t most = x[v];
    for (std::size_t e = columns.begin[v]; e < columns.begin[v + 1] && most > 0; ++e) {
      most = std::min(most, slack[columns.row[e]] / columns.coefficient[e]);
    }
    most = std::max<std::int64_t>(most, 0);
    x[v] -= static_cast<std::int32_t>(most);
    for (std::size_t e = columns.begin[v]; e < columns.begin[v + 1]; ++e) {
      slack[columns.row[e]] -= most * columns.coefficient[e];
    }
    value += std::int64_t{program.cost[v]} * x[v];
  }
  return value;
}

}  // namespace

Rounding round_up_and_trim(const IntegerProgram& program) {
  const auto columns = std::make_shared<const Columns>(columns_of(program));
  return [&program, columns](std::span<const double> relaxed) {
    const std::size_t n = program.variables();
    std::vector<std::int32_t> up(n);
    std::vector<double> raised(n);
    for (std::size_t v = 0; v < n; ++v) {
      const double ceiling = std::ceil(relaxed[v] - 1e-6);
      up[v] = std::min(program.upper[v], static_cast<std::int32_t>(ceiling));
      raised[v] = ceiling - relaxed[v];
    }
    const std::vector<std::int64_t> slack = slacks(program, up);
    if (std::ranges::any_of(slack, [](std::int64_t s) { return s < 0; })) {
      // Relaxed rows are met only up to rounding.
      for (std::size_t v = 0; v < n; ++v) {
        up[v] = std::min(program.upper[v], up[v] + 1);
      }
    }
    // Three orders: those raised most first, first to last, last to first.
    std::vector<std::size_t> order(n);
    std::iota(order.begin(), order.end(), 0);
    std::vector<std::int32_t> best;
    std::int64_t best_value = 0;
    const auto attempt = [&] {
      std::vector<std::int32_t> x = up;
      const std::int64_t value = trim(program, *columns, order, x);
      if (best.empty() || value < best_value) {
        best = std::move(x);
        best_value = value;
      }
    };
    attempt();
    std::ranges::reverse(order);
    attempt();
    std::ranges::stable_sort(order, std::ranges::greater{},
                             [&](std::size_t v) { return raised[v]; });
    attempt();
    return best;
  };
}

}  // namespace stagecraft::elastic
