// Moves of order search: small changes of lists that may shorten a longest path.
//
// Only tasks on longest paths are worth moving first (van Laarhoven, Aarts and Lenstra, "Job shop
// scheduling by simulated annealing", Operations Research 40, 1992), best to the borders of the
// block of tasks that follow each other without a gap (N6: Balas and Vazacopoulos, 1998). To these
// come moves that pipelines ask for: ops of equal units keep their order while the pattern of kinds
// changes; an op moves along the pipeline on several devices at once; what fills gaps (W) moves
// into them; two micro-batches change places; units are recomputed or not. Where an op moved
// forward finds no memory, later releases are drawn before it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "search/order/order_state.hpp"
#include "stagecraft/core/random.hpp"

namespace stagecraft::search {

class Moves {
 public:
  Moves(OrderState& state, Random& random);

  /// Tries one move. True if it is possible, fits and its value is not above `limit`: it stands in
  /// the state, judged, to be committed or rolled back. Otherwise the state is as before.
  [[nodiscard]] bool attempt(Time limit);

  /// Orders whose times were computed, of those proposed: the rest was ruled out before.
  [[nodiscard]] std::uint64_t judged() const { return judged_; }

 private:
  void group_by_microbatch();
  [[nodiscard]] std::size_t below(std::size_t count);
  [[nodiscard]] OpIndex critical_task();
  [[nodiscard]] bool move_in_block(Time limit);
  [[nodiscard]] bool move_anywhere(Time limit);
  [[nodiscard]] bool fill_gap(Time limit);
  [[nodiscard]] bool move_along(Time limit);
  [[nodiscard]] bool exchange_microbatches(Time limit);
  [[nodiscard]] bool toggle_recomputation(Time limit);
  [[nodiscard]] bool move(OpIndex task, std::size_t to, Time limit);
  [[nodiscard]] bool build(OpIndex task, std::size_t to);
  void keep_class_order(std::uint32_t klass, bool to_front);
  [[nodiscard]] bool make_room();
  [[nodiscard]] bool draw_release(std::size_t place);
  [[nodiscard]] bool may_stand_at(OpIndex task, std::size_t place) const;
  [[nodiscard]] bool finish(Time limit);

  OrderState* state_;
  Random* random_;
  const OrderModel* model_;
  std::uint64_t judged_ = 0;
  std::size_t device_ = 0, first_ = 0;  // of stretch_
  std::vector<OpIndex> stretch_;
  std::vector<OpIndex> members_;
  /// Tasks of every micro-batch in one order of classes and slices; exchange pairs them up. Empty
  /// if there is nothing to exchange.
  std::vector<std::vector<OpIndex>> by_microbatch_;
  std::vector<std::vector<OpIndex>> lists_;  // of exchange
};

}  // namespace stagecraft::search
