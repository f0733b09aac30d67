// From schedules to points of the pipeline MILP and back (pipeline_milp.hpp).
#include <algorithm>
#include <cmath>
#include <optional>
#include <tuple>
#include <utility>

#include "search/optpipe/pipeline_milp.hpp"
#include "stagecraft/engine/simulate.hpp"
#include "stagecraft/schedule/dependencies.hpp"

namespace stagecraft::search {
namespace {

constexpr double kExact = 1e-6;

double real(std::int64_t value) {
  return static_cast<double>(value);
}

Op op_of(OpKind kind, std::int32_t microbatch, std::int32_t stage) {
  return make_op(kind, microbatch, stage);
}

}  // namespace

std::vector<double> PipelineMilp::point_of(const Schedule& schedule) const {
  const SimulationResult run =
      simulate(schedule, instance_.costs, {.waits = false, .transfers = false});
  if (!run.complete()) {
    return {};
  }
  const UnitIndex index(schedule);
  std::vector<double> point(model_.variables.size(), 0.0);
  const auto end_of = [&](std::uint32_t op) { return real(run.timeline.end[op]) / real(scale_); };
  for (const Node& node : nodes_) {
    const Unit unit = op_of(node.kind, node.microbatch, node.stage).unit;
    const std::uint32_t f = index.forward(unit, Direction::kOnly);
    const std::uint32_t b = index.backward(unit, Direction::kOnly);
    const std::uint32_t w = index.weight(unit, Direction::kOnly);
    if (f == kMissing || b == kMissing || index.recompute(unit, Direction::kOnly) != kMissing) {
      return {};
    }
    const bool fused = schedule.ops[b].kind == OpKind::kBackward;
    if (node.kind == OpKind::kForward) {
      point[node.end] = end_of(f);
    } else if (node.kind == OpKind::kBackwardWeight) {
      point[node.end] = end_of(fused ? b : w);
    } else {
      // Of a fused backward, B is what remains before W.
      const bool split = node.kind == OpKind::kBackwardInput;
      point[node.end] = split && fused
                            ? real(run.timeline.start[b]) / real(scale_) + real(node.length)
                            : end_of(b);
    }
  }
  for (const Pair& pair : pairs_) {
    const double a = point[nodes_[pair.first].end];
    const double b = point[nodes_[pair.second].end];
    point[pair.variable] = a < b || (a == b && nodes_[pair.first].length > 0) ? 1.0 : 0.0;
  }
  for (const Copied& unit : units_) {
    const Node& node = nodes_[unit.forward];
    const Unit name = op_of(OpKind::kForward, node.microbatch, node.stage).unit;
    const std::uint32_t out = index.offload(name, Direction::kOnly);
    const bool chosen = out != kMissing;
    point[unit.chosen] = chosen ? 1.0 : 0.0;
    point[unit.out_end] = chosen ? end_of(out) : point[node.end];
    point[unit.back_end] = chosen ? end_of(index.reload(name, Direction::kOnly)) : point[node.end];
  }
  const auto reload_start = [&](std::size_t u) {
    return point[units_[u].back_end] - real(units_[u].back) * point[units_[u].chosen];
  };
  const auto copy_end = [&](std::size_t copy) {
    const Copied& unit = units_[copy / 2];
    return point[copy % 2 == 1 ? unit.back_end : unit.out_end];
  };
  for (const CopyOrder& order : copy_orders_) {
    point[order.variable] = copy_end(order.first) <= copy_end(order.second) ? 1.0 : 0.0;
  }
  for (const Away& away : aways_) {
    const Node& x = nodes_[away.node];
    const bool gone = point[units_[away.unit].out_end] <= point[x.end] - real(x.length) + kExact;
    const bool later = reload_start(away.unit) >= point[x.end] - kExact;
    point[away.variable] = point[units_[away.unit].chosen] > 0.5 && gone && later ? 1.0 : 0.0;
  }
  for (const Ended& ended : ended_) {
    const Node& y = nodes_[ended.node];
    const double start = reload_start(ended.unit);
    const bool counts =
        y.change > 0 ? start > point[y.end] - 1.0 + kExact : point[y.end] <= start + kExact;
    point[ended.variable] = counts ? 1.0 : 0.0;
  }
  for (const AwayAtReload& away : reload_aways_) {
    const auto holds = [&](const Precedence& p) {
      return p.constant + (p.factor == 0.0 ? 0.0 : p.factor * point[p.variable]);
    };
    point[away.variable] = std::min({point[units_[away.unit].chosen],
                                     holds(precedence(away.unit, false, away.at, true)),
                                     1.0 - holds(precedence(away.unit, true, away.at, true))});
  }
  for (const Tight& tight : tights_) {
    const Node& x = nodes_[tight.node];
    const double start = point[x.end] - real(x.length);
    double end = 0.0;
    bool may = true;
    if (tight.other < nodes_.size()) {
      const double own = point[nodes_[tight.other].end];
      end = own + real(tight.latency);
      may = own <= start + kExact;
    } else {
      const auto unit = std::ranges::find(units_, tight.node, &Copied::backward);
      end = point[unit->back_end];
      may = point[unit->chosen] > 0.5;
    }
    point[tight.variable] = may && start <= end + kExact ? 1.0 : 0.0;
  }
  for (const MilpRow& row : model_.rows) {
    // Rows of the result have it first, with factor 1.
    if (row.terms.front().variable == result_ && row.lower != -kInfinite) {
      double rest = row.lower;
      for (std::size_t t = 1; t < row.terms.size(); ++t) {
        rest -= row.terms[t].factor * point[row.terms[t].variable];
      }
      point[result_] = std::max(point[result_], rest);
    }
  }
  return model_.violation(point) <= kExact * std::max(1.0, real(horizon_)) ? point
                                                                           : std::vector<double>{};
}

Schedule PipelineMilp::schedule_of(const std::vector<double>& point) const {
  std::vector<std::vector<Op>> lists;
  for (std::size_t d = 0; d < on_device_.size(); ++d) {
    // By start, then end: an op without length stands before one that starts with it. Nodes are
    // numbered in an order in which they can run.
    using Entry = std::tuple<std::int64_t, std::int64_t, std::size_t>;
    std::vector<Entry> compute;
    for (const std::size_t n : on_device_[d]) {
      const std::int64_t end = std::llround(point[nodes_[n].end]);
      compute.emplace_back(end - nodes_[n].length, end, n);
    }
    std::ranges::sort(compute);
    std::vector<std::tuple<std::int64_t, std::int64_t, Op>> copies;
    for (const Copied& unit : units_) {
      const Node& f = nodes_[unit.forward];
      if (static_cast<std::size_t>(device_of(unit.forward)) == d && point[unit.chosen] > 0.5) {
        const std::int64_t out = std::llround(point[unit.out_end]);
        const std::int64_t back = std::llround(point[unit.back_end]);
        copies.emplace_back(out - unit.out, out, op_of(OpKind::kOffload, f.microbatch, f.stage));
        copies.emplace_back(back - unit.back, back, op_of(OpKind::kReload, f.microbatch, f.stage));
      }
    }
    std::ranges::sort(copies);
    lists.emplace_back();
    auto copy = copies.begin();
    for (const auto& [start, end, n] : compute) {
      for (; copy != copies.end() && std::get<0>(*copy) < end; ++copy) {
        lists.back().push_back(std::get<2>(*copy));
      }
      lists.back().push_back(op_of(nodes_[n].kind, nodes_[n].microbatch, nodes_[n].stage));
    }
  }
  return make_schedule("optpipe", instance_.pipeline, lists);
}

}  // namespace stagecraft::search
