// A pipelined plan while it is compared with others, and what all planners do with it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "search/elastic/stage_lists.hpp"
#include "search/elastic/unit_table.hpp"
#include "stagecraft/search/elastic.hpp"

namespace stagecraft::elastic {

struct Candidate {
  data::Formation formation;
  std::vector<std::int32_t> order;  ///< in which micro-batches run; empty: as they come
  CostRule rule = CostRule::kPlain;
  UnitTable table;
  std::vector<std::int32_t> layers;  ///< [stages][units] recomputed
  std::vector<std::int32_t> groups;  ///< micro-batches of each pipeline
  StageLists lists;
  Time time = kNever;   ///< by replay
  Time model = kNever;  ///< what the strategy's own objective says; kNever: it has none
  std::string note;
};

/// What a batch needs where nothing fits.
struct Misfit {
  std::int32_t stage = 0;
  Bytes need = 0;  ///< with the resident part
  Bytes capacity = 0;
};

/// Keeps the best of what it is offered: least time, the first of equal ones.
class Sweep {
 public:
  explicit Sweep(const StrategyInput& input);

  /// Times the candidate and keeps it if it is better. It must fit in memory.
  void offer(Candidate candidate);
  /// The same, compared by Candidate::model.
  void offer_by_model(Candidate candidate);
  /// Counts one that its bound left out.
  void pass_over() { ++offered_; }
  /// Whether one that takes at least `bound` cannot be better; counts it then.
  [[nodiscard]] bool passes_over(Time bound);
  /// The first stage works at least so long on the batch in `units` units: known before they are
  /// priced.
  [[nodiscard]] Time least_time(std::int32_t units) const {
    return std::max<Time>(0, static_cast<Time>(work_ + unit_cost_ * units));
  }
  /// Remembers why one was none.
  void reject(const Diagnostics& failures);
  void reject(const Misfit& misfit);

  [[nodiscard]] const std::optional<Candidate>& best() const { return best_; }
  /// Candidates that were compared, by their time or by their bound.
  [[nodiscard]] std::int32_t offered() const { return offered_; }
  [[nodiscard]] ListTimer& timer() { return timer_; }
  [[nodiscard]] const StrategyInput& input() const { return *input_; }

  /// Why there is no best one: the misfit that is closest to fitting, or the first failure.
  [[nodiscard]] Diagnostics why_none() const;

 private:
  const StrategyInput* input_;
  ListTimer timer_;
  std::optional<Candidate> best_;
  std::optional<Misfit> closest_;
  Diagnostics failures_;
  std::int32_t offered_ = 0;
  double work_ = 0.0;       // of the first stage without the constant of units, ns
  double unit_cost_ = 0.0;  // that constant
};

/// A formation longest first (sort_longest_first), priced, in one pipeline; lists and layers are
/// still to be filled in. Fails as the formation or unit_table.
[[nodiscard]] Result<Candidate> longest_first_candidate(const StrategyInput& input,
                                                        Result<data::Formation> formation,
                                                        CostRule rule = CostRule::kPlain);

/// `layers` of every stage in every unit; all, where a stage has no more.
[[nodiscard]] std::vector<std::int32_t> uniform_layers(const UnitTable& table, std::int32_t layers);

/// The stage that exceeds its capacity most, if any does.
[[nodiscard]] std::optional<Misfit> misfit_of_lists(const Candidate& candidate);

/// The fewest layers recomputed in every unit of every stage (all, where a stage has no more) with
/// which `lists`, an order without R, fits in memory. Fills in layers and lists.
[[nodiscard]] std::optional<Misfit> checkpoint_statically(Candidate& candidate,
                                                          const StageLists& lists);

/// Offers the candidate in the order `lists` with static checkpointing, which its note then says,
/// unless no order of its units could be better than the best so far.
void offer_static(Sweep& sweep, Candidate candidate, const StageLists& lists);

/// The same of a formation, in 1F1B, longest first: what most baselines end with.
void offer_one_f_one_b(Sweep& sweep, Result<data::Formation> formation, std::string note,
                       CostRule rule = CostRule::kPlain);

/// The plan of the best candidate, or why there is none.
[[nodiscard]] Result<IterationPlan> finish(std::string_view strategy, Sweep& sweep);

/// The plan of a candidate.
[[nodiscard]] Result<IterationPlan> make_plan(std::string_view strategy, const StrategyInput& input,
                                              const Candidate& candidate);

/// Tokens that a packed micro-batch may have where no option says so: the context.
[[nodiscard]] data::Tokens context_of(const StrategyInput& input);

/// Most layers of a stage that any unit recomputes, for notes.
[[nodiscard]] std::int32_t most_layers(const Candidate& candidate);

}  // namespace stagecraft::elastic
