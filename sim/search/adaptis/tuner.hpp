// The iterative bubble-aware tuner of AdaPtis (Guo et al., 2509.23722, algorithm 1 of v3).
//
// Each step asks the performance model where the bubbles are:
//   largest less smallest bubble of a device > lightest layer   -> partition
//   else bubbles at the ends of devices > bubbles inside        -> placement
//   else                                                        -> scheduling
// and keeps what the phase found if the simulation says better, otherwise takes it back. A phase
// that has nothing more to offer for a shape hands over to the next; nothing is tried twice; the
// tuner ends when all three have given up or the steps are used up.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <vector>

#include "loads.hpp"
#include "options.hpp"
#include "performance.hpp"

namespace stagecraft::search::adaptis {

enum class Phase : std::uint8_t { kPartition, kPlacement, kScheduling };

/// Which phase the control rule names; `lightest` is the least F+B+W of a layer, ns.
[[nodiscard]] Phase bottleneck(const Performance& performance, Time lightest);

/// The best trial of a shape under any of the rules.
[[nodiscard]] std::optional<Trial> run_rules(const Simulator& simulator, const Shape& shape,
                                             const std::vector<Rule>& rules);

class Tuner {
 public:
  /// `improved` is called with every new best trial and the phase that found it.
  Tuner(const Simulator& simulator, const Options& options,
        std::function<void(const Trial&, Phase)> improved);

  /// Returns the best trial, `start` if there is no better one.
  [[nodiscard]] Trial tune(Trial start);

 private:
  using Move = std::optional<Trial>;

  [[nodiscard]] Move step(Phase phase, const Trial& state);
  [[nodiscard]] Move tune_partition(const Trial& state);
  [[nodiscard]] Move walk(const Trial& from, bool by_load);
  [[nodiscard]] std::optional<Shape> move_layer(const Trial& state, bool by_load) const;
  [[nodiscard]] std::optional<Shape> move_between(const Shape& shape, std::int32_t donor,
                                                  std::int32_t receiver) const;
  [[nodiscard]] Move tune_placement(const Trial& state);
  [[nodiscard]] std::vector<Shape> dispersed(const Shape& shape) const;
  [[nodiscard]] Move tune_scheduling(const Trial& state);
  [[nodiscard]] Move try_shape(const Shape& shape);
  [[nodiscard]] bool better(const Move& a, const Trial& b) const {
    return a && simulator_.better(*a, b);
  }

  const Simulator& simulator_;
  const Options& options_;
  Freedom freedom_;
  LayerLoads layers_;
  std::vector<Rule> rules_;
  Time lightest_ = 0;
  std::function<void(const Trial&, Phase)> improved_;
  std::set<Shape> visited_;
};

}  // namespace stagecraft::search::adaptis
