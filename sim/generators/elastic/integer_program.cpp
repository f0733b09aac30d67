#include "integer_program.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "dual_simplex.hpp"
#include "stagecraft/core/check.hpp"

namespace stagecraft::elastic {
namespace {

constexpr double kIntegral = 1e-6;  // how far from an integer counts as one
constexpr double kMargin = 1e-6;    // of bounds: far above their rounding, far below 1
constexpr std::int64_t kNodesBeforeRestart = 64;

double round_bound_up(double bound) {
  return std::ceil(bound - kMargin);
}

class BranchAndBound {
 public:
  BranchAndBound(const IntegerProgram& program, const Rounding& rounding,
                 const CheckpointOptions& options)
      : program_(program),
        rounding_(rounding),
        options_(options),
        relaxation_(std::vector<double>(program.cost.begin(), program.cost.end()),
                    std::vector<double>(program.upper.begin(), program.upper.end())),
        in_relaxation_(program.rows(), false),
        lower_(program.variables(), 0),
        upper_(program.upper),
        relaxed_(program.variables(), 0.0) {}

  IntegerSolution run() {
    scanned_ += entries();
    offer(rounding_(std::vector<double>(program_.upper.begin(), program_.upper.end())));
    descend(0.0);
    best_.nodes = nodes_;
    best_.work = work();
    if (best_.feasible) {
      best_.bound = std::min(open_bound_, static_cast<double>(best_.value));
      best_.proved = close_enough(best_.bound);
    } else {
      best_.bound = open_bound_;
      best_.proved = open_bound_ == std::numeric_limits<double>::infinity();
    }
    return std::move(best_);
  }

 private:
  [[nodiscard]] bool close_enough(double bound) const {
    const auto value = static_cast<double>(best_.value);
    return best_.feasible && value - bound <= options_.gap * value + 1e-9;
  }

  [[nodiscard]] std::int64_t entries() const {
    return static_cast<std::int64_t>(program_.column.size());
  }
  [[nodiscard]] std::int64_t work() const { return relaxation_.work() + scanned_; }

  /// A relaxation above this cannot lead to anything that is wanted.
  [[nodiscard]] double cutoff() const {
    if (!best_.feasible) {
      return std::numeric_limits<double>::infinity();
    }
    const double enough = std::ceil(static_cast<double>(best_.value) * (1.0 - options_.gap) - 1e-9);
    return enough - 1.0 + 2.0 * kMargin;
  }

  void offer(std::vector<std::int32_t> x) {
    if (x.empty()) {
      return;
    }
    const std::vector<std::int64_t> slack = slacks(program_, x);
    if (std::ranges::any_of(slack, [](std::int64_t s) { return s < 0; })) {
      return;
    }
    std::int64_t value = 0;
    for (std::size_t v = 0; v < x.size(); ++v) {
      value += std::int64_t{program_.cost[v]} * x[v];
    }
    if (!best_.feasible || value < best_.value) {
      best_.feasible = true;
      best_.value = value;
      best_.x = std::move(x);
    }
  }

  void add_to_relaxation(std::size_t r) {
    in_relaxation_[r] = true;
    std::int64_t largest = 1;
    for (std::size_t e = program_.row_begin[r]; e < program_.row_begin[r + 1]; ++e) {
      largest = std::max(largest, std::abs(program_.coefficient[e]));
    }
    const double scale = 1.0 / static_cast<double>(largest);
    scaled_.clear();
    for (std::size_t e = program_.row_begin[r]; e < program_.row_begin[r + 1]; ++e) {
      scaled_.push_back(static_cast<double>(program_.coefficient[e]) * scale);
    }
    relaxation_.add_row(
        std::span(program_.column)
            .subspan(program_.row_begin[r], program_.row_begin[r + 1] - program_.row_begin[r]),
        scaled_, static_cast<double>(program_.need[r]) * scale);
  }

  /// Adds the rows that the relaxed solution breaks most; false if there is none. Rows that follow
  /// each other are nearly the same, so of a stretch only one is taken at a time.
  bool add_broken_rows() {
    broken_.clear();
    for (std::size_t r = 0; r < program_.rows(); ++r) {
      if (in_relaxation_[r]) {
        continue;
      }
      double activity = 0.0;
      double largest = 1.0;
      for (std::size_t e = program_.row_begin[r]; e < program_.row_begin[r + 1]; ++e) {
        const auto coefficient = static_cast<double>(program_.coefficient[e]);
        activity += coefficient * relaxed_[static_cast<std::size_t>(program_.column[e])];
        largest = std::max(largest, std::abs(coefficient));
      }
      const double missing = (static_cast<double>(program_.need[r]) - activity) / largest;
      if (missing > kIntegral) {
        broken_.push_back({missing, r});
      }
    }
    std::ranges::sort(broken_, [](const Broken& a, const Broken& b) {
      return a.missing != b.missing ? a.missing > b.missing : a.row < b.row;
    });
    constexpr std::size_t kAtOnce = 16;
    constexpr std::size_t kApart = 4;
    taken_.clear();
    for (const Broken& row : broken_) {
      const bool near = std::ranges::any_of(taken_, [&](std::size_t other) {
        return row.row < other + kApart && other < row.row + kApart;
      });
      if (!near) {
        taken_.push_back(row.row);
        add_to_relaxation(row.row);
      }
      if (taken_.size() == kAtOnce) {
        break;
      }
    }
    return !broken_.empty();
  }

  /// Solves the relaxation under the bounds of this node; a lower bound for it, infinity if
  /// nothing here is of use.
  double relax() {
    for (;;) {
      const DualSimplex::Outcome outcome = relaxation_.solve(cutoff(), options_.work - scanned_);
      scanned_ += entries();
      if (outcome == DualSimplex::Outcome::kInfeasible) {
        return std::numeric_limits<double>::infinity();
      }
      for (std::size_t v = 0; v < relaxed_.size(); ++v) {
        // Cut short, the dual method leaves variables outside of their bounds.
        relaxed_[v] = std::clamp(relaxation_.value(static_cast<std::int32_t>(v)),
                                 static_cast<double>(lower_[v]), static_cast<double>(upper_[v]));
      }
      if (outcome != DualSimplex::Outcome::kOptimal || !add_broken_rows()) {
        return round_bound_up(relaxation_.safe_bound());
      }
    }
  }

  void set_bounds(std::size_t v, std::int32_t lower, std::int32_t upper) {
    lower_[v] = lower;
    upper_[v] = upper;
    relaxation_.set_bounds(static_cast<std::int32_t>(v), lower, upper);
  }

  /// The variable that is farthest from an integer, among those that cost if there is one; failing
  /// that, one that is still open in a row that rounding breaks. -1: the rounded relaxation is a
  /// solution; -2: there is none.
  std::int32_t branching_variable() {
    std::int32_t best = -1;
    double farthest = kIntegral;
    bool costs = false;
    std::vector<std::int32_t> rounded(relaxed_.size());
    for (std::size_t v = 0; v < relaxed_.size(); ++v) {
      const double nearest = std::round(relaxed_[v]);
      rounded[v] = static_cast<std::int32_t>(nearest);
      const double distance = std::abs(relaxed_[v] - nearest);
      const bool first_cost = program_.cost[v] > 0 && !costs;
      if (distance <= kIntegral || lower_[v] == upper_[v] || (costs && program_.cost[v] == 0)) {
        continue;
      }
      if (first_cost || distance > farthest) {
        farthest = distance;
        best = static_cast<std::int32_t>(v);
        costs = program_.cost[v] > 0;
      }
    }
    if (best >= 0) {
      return best;
    }
    const std::vector<std::int64_t> slack = slacks(program_, rounded);
    for (std::size_t r = 0; r < slack.size(); ++r) {
      if (slack[r] >= 0) {
        continue;
      }
      for (std::size_t e = program_.row_begin[r]; e < program_.row_begin[r + 1]; ++e) {
        const auto v = static_cast<std::size_t>(program_.column[e]);
        if (lower_[v] < upper_[v]) {
          return program_.column[e];
        }
      }
      return -2;  // all fixed and broken: nothing here
    }
    offer(std::move(rounded));
    return -1;
  }

  void descend(double parent_bound) {
    if (close_enough(parent_bound) || nodes_ >= options_.nodes || work() >= options_.work) {
      open_bound_ = std::min(open_bound_, parent_bound);
      return;
    }
    if (++nodes_ % kNodesBeforeRestart == 0) {
      relaxation_.restart();
    }
    const double bound = std::max(parent_bound, relax());
    if (bound == std::numeric_limits<double>::infinity()) {
      return;
    }
    if (!close_enough(bound)) {
      scanned_ += entries();
      offer(rounding_(relaxed_));
    }
    if (close_enough(bound)) {
      open_bound_ = std::min(open_bound_, bound);
      return;
    }
    const std::int32_t chosen = branching_variable();
    if (chosen < 0) {
      return;
    }
    const auto v = static_cast<std::size_t>(chosen);
    const std::int32_t lower = lower_[v];
    const std::int32_t upper = upper_[v];
    const std::int32_t middle = std::clamp(
        static_cast<std::int32_t>(std::floor(relaxed_[v] + kIntegral)), lower, upper - 1);
    set_bounds(v, middle + 1, upper);
    descend(bound);
    set_bounds(v, lower, middle);
    descend(bound);
    set_bounds(v, lower, upper);
  }

  struct Broken {
    double missing;
    std::size_t row;
  };

  const IntegerProgram& program_;
  const Rounding& rounding_;
  const CheckpointOptions& options_;
  DualSimplex relaxation_;
  std::vector<bool> in_relaxation_;
  std::vector<std::int32_t> lower_, upper_;
  std::vector<double> relaxed_;
  std::vector<Broken> broken_;
  std::vector<std::size_t> taken_;
  std::vector<double> scaled_;
  IntegerSolution best_;
  std::int64_t nodes_ = 0;
  std::int64_t scanned_ = 0;  // entries of the program that rows on demand and rounding went over
  double open_bound_ = std::numeric_limits<double>::infinity();
};

}  // namespace

void IntegerProgram::add_cardinality_row(std::size_t r) {
  std::vector<std::size_t> entries(row_begin[r + 1] - row_begin[r]);
  std::iota(entries.begin(), entries.end(), row_begin[r]);
  std::ranges::sort(entries, [&](std::size_t a, std::size_t b) {
    return coefficient[a] != coefficient[b] ? coefficient[a] > coefficient[b] : a < b;
  });
  std::int64_t left = need[r];
  std::int64_t count = 0;
  for (const std::size_t e : entries) {
    STAGECRAFT_CHECK(coefficient[e] > 0, "cardinality of a row with coefficients above 0");
    const std::int64_t most = upper[static_cast<std::size_t>(column[e])];
    if (left <= 0) {
      break;
    }
    const std::int64_t taken = std::min(most, (left + coefficient[e] - 1) / coefficient[e]);
    count += taken;
    left -= taken * coefficient[e];
  }
  if (left > 0) {
    return;  // it cannot be met, which the row itself says
  }
  for (std::size_t e = row_begin[r], end = row_begin[r + 1]; e < end; ++e) {
    add_entry(column[e], 1);
  }
  end_row(count);
}

std::vector<std::int64_t> slacks(const IntegerProgram& program, std::span<const std::int32_t> x) {
  std::vector<std::int64_t> result(program.rows());
  for (std::size_t r = 0; r < program.rows(); ++r) {
    std::int64_t slack = -program.need[r];
    for (std::size_t e = program.row_begin[r]; e < program.row_begin[r + 1]; ++e) {
      slack += program.coefficient[e] * x[static_cast<std::size_t>(program.column[e])];
    }
    result[r] = slack;
  }
  return result;
}

IntegerSolution solve(const IntegerProgram& program, const Rounding& rounding,
                      const CheckpointOptions& options) {
  return BranchAndBound(program, rounding, options).run();
}

}  // namespace stagecraft::elastic
