// Simulated annealing over orders by critical-path moves, in cycles of growing length that start
// from the best order.
//
// What a cycle does follows from the seed and the cycles before it, never from the budget, so that
// more evaluations continue the same road and are never worse.
#pragma once

#include <cstdint>
#include <vector>

#include "search/order/moves.hpp"
#include "search/order/order_state.hpp"
#include "stagecraft/core/random.hpp"
#include "stagecraft/search/order_search.hpp"

namespace stagecraft::search {

/// What can be kept of an order and loaded again.
struct SavedOrder {
  std::vector<std::vector<OpIndex>> lists;  ///< [P]
  std::vector<char> on;                     ///< [recomputations]
};

[[nodiscard]] SavedOrder save(const OrderState& state);
/// The saved order must be one that can run; memory is not checked.
void load(const SavedOrder& saved, OrderState& state);

class Annealing {
 public:
  /// `state` holds an order that fits, like `start`, whose names and pipeline the result takes.
  Annealing(const Instance& instance, const Schedule& start, const OrderSearchOptions& options,
            OrderState& state, JobContext& context);

  /// Until evaluations or time are used up or the target is reached. Afterwards the best order
  /// stands in the state.
  void run(std::uint64_t evaluations);

  [[nodiscard]] std::uint64_t evaluations() const { return evaluations_; }
  [[nodiscard]] std::uint64_t judged() const { return moves_.judged(); }
  /// Objective of the best order, ns.
  [[nodiscard]] Time best() const { return best_; }

 private:
  [[nodiscard]] bool done(std::uint64_t evaluations) const;
  void cycle(std::uint64_t steps, Time hottest, std::uint64_t evaluations);
  [[nodiscard]] Time threshold(Time temperature);
  void look_at_value();
  [[nodiscard]] Time measured_value() const;
  void tell();

  const Instance& instance_;
  const Schedule& start_;
  OrderSearchOptions options_;
  OrderState& state_;
  JobContext& context_;
  Random random_;
  Moves moves_;
  std::uint64_t evaluations_ = 0, told_ = 0, last_measured_ = 0;
  std::uint64_t cycle_ = 0;
  bool stopped_ = false;
  Time best_ = 0;           // the objective
  Time best_estimate_ = 0;  // value() of the state; the same unless the value is an estimate
  Time bound_ = 0;          // no order is better
  SavedOrder saved_;
  bool improved_ = false;
};

}  // namespace stagecraft::search
