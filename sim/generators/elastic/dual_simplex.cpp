#include "dual_simplex.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace stagecraft::elastic {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kFeasible = 1e-7;  // how far a value may be out of its bounds
constexpr double kPivot = 1e-7;     // smallest entry to pivot on
constexpr double kZero = 1e-12;     // entries below are rounding

}  // namespace

DualSimplex::DualSimplex(std::span<const double> cost, std::span<const double> upper)
    : variables_(static_cast<std::int32_t>(cost.size())),
      cost_(cost.begin(), cost.end()),
      lower_(cost.size(), 0.0),
      upper_(upper.begin(), upper.end()) {
  restart();
}

void DualSimplex::restart() {
  const std::size_t n = width();
  place_.resize(n + rows_.size());
  value_.assign(n + rows_.size(), 0.0);
  nonbasic_.resize(n);
  at_upper_.assign(n, false);
  reduced_ = cost_;
  objective_ = 0.0;
  for (std::size_t column = 0; column < n; ++column) {
    place_[column] = static_cast<std::int32_t>(column);
    nonbasic_[column] = static_cast<std::int32_t>(column);
    value_[column] = lower_[column];
    objective_ += cost_[column] * lower_[column];
  }
  basic_.clear();
  table_.clear();
  for (std::size_t r = 0; r < rows_.size(); ++r) {
    enter_row(r);
  }
}

void DualSimplex::add_row(std::span<const std::int32_t> columns,
                          std::span<const double> coefficients, double need) {
  const std::size_t begin = entry_.size();
  entry_column_.insert(entry_column_.end(), columns.begin(), columns.end());
  entry_.insert(entry_.end(), coefficients.begin(), coefficients.end());
  rows_.push_back({begin, entry_.size(), need});
  place_.push_back(0);
  value_.push_back(0.0);
  lower_.push_back(0.0);
  upper_.push_back(kInfinity);
  enter_row(rows_.size() - 1);
}

void DualSimplex::enter_row(std::size_t r) {
  // The surplus in terms of the nonbasic variables.
  table_.resize(table_.size() + width(), 0.0);
  double* const fresh = row(basic_.size());
  double surplus = -rows_[r].need;
  for (std::size_t e = rows_[r].begin; e < rows_[r].end; ++e) {
    const auto column = static_cast<std::size_t>(entry_column_[e]);
    const std::int32_t place = place_[column];
    surplus += entry_[e] * value_[column];
    if (place >= 0) {
      fresh[place] += entry_[e];
      continue;
    }
    const std::int32_t basic_row = ~place;
    const double* const other = row(static_cast<std::size_t>(basic_row));
    for (std::size_t j = 0; j < width(); ++j) {
      fresh[j] += entry_[e] * other[j];
    }
  }
  const std::size_t variable = width() + r;
  place_[variable] = ~static_cast<std::int32_t>(basic_.size());
  value_[variable] = surplus;
  basic_.push_back(static_cast<std::int32_t>(variable));
}

void DualSimplex::move_nonbasic(std::size_t column, double target) {
  double& value = value_[static_cast<std::size_t>(nonbasic_[column])];
  const double step = target - value;
  if (step == 0.0) {
    return;
  }
  value = target;
  objective_ += reduced_[column] * step;
  for (std::size_t r = 0; r < basic_.size(); ++r) {
    value_[static_cast<std::size_t>(basic_[r])] += row(r)[column] * step;
  }
}

void DualSimplex::set_bounds(std::int32_t variable, double lower, double upper) {
  const auto v = static_cast<std::size_t>(variable);
  lower_[v] = lower;
  upper_[v] = upper;
  if (place_[v] < 0) {
    return;
  }
  const auto column = static_cast<std::size_t>(place_[v]);
  if (reduced_[column] > kZero) {
    at_upper_[column] = false;
  } else if (reduced_[column] < -kZero) {
    at_upper_[column] = true;
  } else {
    at_upper_[column] = value_[v] >= upper;
  }
  move_nonbasic(column, at_upper_[column] ? upper : lower);
}

std::int32_t DualSimplex::leaving_row(double& violation) const {
  std::int32_t worst = -1;
  violation = kFeasible;
  for (std::size_t r = 0; r < basic_.size(); ++r) {
    const auto v = static_cast<std::size_t>(basic_[r]);
    const double out = std::max(lower_[v] - value_[v], value_[v] - upper_[v]);
    if (out > violation) {
      violation = out;
      worst = static_cast<std::int32_t>(r);
    }
  }
  return worst;
}

std::int32_t DualSimplex::entering_column(std::size_t leaving, bool rises) const {
  const double* const entries = table_.data() + leaving * width();
  const double sign = rises ? 1.0 : -1.0;
  std::int32_t best = -1;
  double best_ratio = kInfinity;
  double best_size = 0.0;
  for (std::size_t j = 0; j < width(); ++j) {
    const double entry = sign * entries[j];
    const auto v = static_cast<std::size_t>(nonbasic_[j]);
    if ((at_upper_[j] ? -entry : entry) <= kPivot || lower_[v] == upper_[v]) {
      continue;
    }
    const double size = std::abs(entry);
    const double ratio = std::abs(reduced_[j]) / size;
    // Among equal ratios the largest entry: it loses the fewest digits.
    if (ratio < best_ratio - 1e-10 || (ratio <= best_ratio + 1e-10 && size > best_size)) {
      best_ratio = std::min(best_ratio, ratio);
      best_size = size;
      best = static_cast<std::int32_t>(j);
    }
  }
  return best;
}

void DualSimplex::pivot(std::size_t leaving, std::size_t entering, double target) {
  work_ += static_cast<std::int64_t>(width() + basic_.size());
  double* const pivot_row = row(leaving);
  const double entry = pivot_row[entering];
  const auto out = static_cast<std::size_t>(basic_[leaving]);
  const auto in = static_cast<std::size_t>(nonbasic_[entering]);
  move_nonbasic(entering, value_[in] + (target - value_[out]) / entry);
  value_[out] = target;

  const double inverse = 1.0 / entry;
  for (std::size_t j = 0; j < width(); ++j) {
    const double scaled = -pivot_row[j] * inverse;
    pivot_row[j] = std::abs(scaled) < kZero ? 0.0 : scaled;
  }
  pivot_row[entering] = inverse;
  // Windows follow each other, so that rows have far more zeros than other entries.
  filled_.clear();
  for (std::size_t j = 0; j < width(); ++j) {
    if (pivot_row[j] != 0.0) {
      filled_.push_back(j);
    }
  }
  const bool sparse = filled_.size() < width() / 4;
  const auto replace = [&](double* target_row) {
    const double factor = target_row[entering];
    if (factor == 0.0) {
      return;
    }
    target_row[entering] = 0.0;
    if (sparse) {
      work_ += static_cast<std::int64_t>(filled_.size());
      for (const std::size_t j : filled_) {
        target_row[j] += factor * pivot_row[j];
      }
      return;
    }
    work_ += static_cast<std::int64_t>(width());
    for (std::size_t j = 0; j < width(); ++j) {
      target_row[j] += factor * pivot_row[j];
    }
  };
  for (std::size_t r = 0; r < basic_.size(); ++r) {
    if (r != leaving) {
      replace(row(r));
    }
  }
  replace(reduced_.data());

  basic_[leaving] = static_cast<std::int32_t>(in);
  nonbasic_[entering] = static_cast<std::int32_t>(out);
  place_[in] = ~static_cast<std::int32_t>(leaving);
  place_[out] = static_cast<std::int32_t>(entering);
  at_upper_[entering] = target == upper_[out];
}

DualSimplex::Outcome DualSimplex::solve(double cutoff, std::int64_t most_work) {
  for (;;) {
    double violation = 0.0;
    const std::int32_t leaving = leaving_row(violation);
    if (leaving < 0) {
      return Outcome::kOptimal;
    }
    if (objective_ > cutoff) {
      return Outcome::kCutOff;
    }
    if (work_ >= most_work) {
      return Outcome::kLimit;
    }
    const auto r = static_cast<std::size_t>(leaving);
    const auto v = static_cast<std::size_t>(basic_[r]);
    const bool rises = value_[v] < lower_[v];
    const std::int32_t entering = entering_column(r, rises);
    if (entering < 0) {
      return Outcome::kInfeasible;
    }
    pivot(r, static_cast<std::size_t>(entering), rises ? lower_[v] : upper_[v]);
  }
}

double DualSimplex::safe_bound() const {
  std::vector<double> left = cost_;
  double bound = 0.0;
  for (std::size_t r = 0; r < rows_.size(); ++r) {
    const std::int32_t place = place_[width() + r];
    if (place < 0) {
      continue;
    }
    const double multiplier = reduced_[static_cast<std::size_t>(place)];
    if (multiplier <= kZero) {
      continue;
    }
    bound += multiplier * rows_[r].need;
    for (std::size_t e = rows_[r].begin; e < rows_[r].end; ++e) {
      left[static_cast<std::size_t>(entry_column_[e])] -= multiplier * entry_[e];
    }
  }
  for (std::size_t v = 0; v < width(); ++v) {
    bound += left[v] * (left[v] > 0.0 ? lower_[v] : upper_[v]);
  }
  return bound;
}

}  // namespace stagecraft::elastic
