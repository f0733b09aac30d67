#include "search/optpipe/pipeline_milp.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include <fmt/core.h>

namespace stagecraft::search {
namespace {

std::size_t slot(std::int32_t index) {
  return static_cast<std::size_t>(index);
}

double real(std::int64_t value) {
  return static_cast<double>(value);
}

const char* short_name(OpKind kind) {
  return to_string(kind);
}

}  // namespace

Diagnostics PipelineMilp::covers(const Instance& instance, std::int64_t most_pairs) {
  const Pipeline& pipeline = instance.pipeline;
  if (pipeline.bidirectional() || pipeline.max_slices() > 1) {
    return {bad_input("the MILP knows one direction and whole micro-batches only")};
  }
  if (instance.costs.communication != Communication::kLatency) {
    return {bad_input("the MILP knows communication mode latency only")};
  }
  std::int64_t pairs = 0;
  for (std::int32_t d = 0; d < pipeline.devices; ++d) {
    const auto ops = static_cast<std::int64_t>(pipeline.stages_of(d).size()) *
                     pipeline.microbatches * (instance.costs.split_backward ? 3 : 2);
    pairs += ops * (ops - 1) / 2;
  }
  if (pairs > most_pairs) {
    return {bad_input(
        fmt::format("the MILP would have {} pairs of ops, more than {}", pairs, most_pairs))};
  }
  return {};
}

PipelineMilp::PipelineMilp(const Instance& instance, const PipelineMilpOptions& options)
    : instance_(instance), options_(options), on_device_(slot(instance.pipeline.devices)) {
  add_nodes();
  add_ends();
  add_pairs();
  add_objective();
  if (options_.offload) {
    add_units();
    add_copy_orders();
  }
  add_memory();
  if (options_.offload) {
    add_reload_memory();
    add_early_starts();
  }
  add_cuts();
}

std::int32_t PipelineMilp::device_of(std::size_t node) const {
  return instance_.pipeline.device(nodes_[node].stage);
}

// Nodes in topological order: forwards by stage, then backwards from the last stage, W behind B.
void PipelineMilp::add_nodes() {
  const Pipeline& pipeline = instance_.pipeline;
  const CostTable& costs = instance_.costs;
  const std::int32_t microbatches = pipeline.microbatches;
  const bool split = costs.split_backward;
  const bool memory = costs.memory.given;
  const auto add = [&](OpKind kind, std::int32_t s, std::int32_t m, Bytes change) {
    Node node;
    node.kind = kind;
    node.stage = s;
    node.microbatch = m;
    node.length = costs.duration(make_op(kind, m, s), pipeline);
    node.change = memory ? change : 0;
    on_device_[slot(pipeline.device(s))].push_back(nodes_.size());
    nodes_.push_back(node);
    needs_.emplace_back();
    return nodes_.size() - 1;
  };
  std::vector<std::size_t> forward(slot(pipeline.stages) * slot(microbatches));
  std::vector<std::size_t> backward(forward.size());
  std::vector<std::size_t> weight(forward.size());
  const auto at = [microbatches](std::int32_t s, std::int32_t m) {
    return slot(s) * slot(microbatches) + slot(m);
  };
  const auto need = [&](std::size_t node, std::size_t other, Time latency) {
    needs_[node].emplace_back(other, latency);
  };
  const auto crossing = [&](std::int32_t from, std::int32_t to, std::int32_t m) {
    return costs.latency(pipeline, from, to, Unit{m, 0, 0}, Direction::kOnly);
  };
  for (std::int32_t s = 0; s < pipeline.stages; ++s) {
    for (std::int32_t m = 0; m < microbatches; ++m) {
      const std::size_t f = add(OpKind::kForward, s, m, costs.memory.forward.at(s, m));
      forward[at(s, m)] = f;
      if (s > 0) {
        need(f, forward[at(s - 1, m)], crossing(s - 1, s, m));
      }
      if (m > 0) {
        need(f, forward[at(s, m - 1)], 0);
      }
    }
  }
  for (std::int32_t s = pipeline.stages; s-- > 0;) {
    for (std::int32_t m = 0; m < microbatches; ++m) {
      const Bytes part = costs.memory.backward_input.at(s, m);
      const Bytes rest = costs.memory.backward_weight.at(s, m);
      const std::size_t b =
          add(split ? OpKind::kBackwardInput : OpKind::kBackward, s, m, split ? part : part + rest);
      backward[at(s, m)] = b;
      need(b, forward[at(s, m)], 0);
      if (s + 1 < pipeline.stages) {
        need(b, backward[at(s + 1, m)], crossing(s + 1, s, m));
      }
      if (m > 0) {
        need(b, backward[at(s, m - 1)], 0);
      }
      if (split) {
        const std::size_t w = add(OpKind::kBackwardWeight, s, m, rest);
        weight[at(s, m)] = w;
        need(w, b, 0);
        if (m > 0) {
          need(w, weight[at(s, m - 1)], 0);
        }
      }
      if (options_.offload && memory && costs.memory.forward.at(s, m) > 0) {
        Copied unit;
        unit.forward = forward[at(s, m)];
        unit.backward = b;
        unit.bytes = costs.memory.forward.at(s, m);
        unit.out = costs.offload.at(s, m);
        unit.back = costs.reload.at(s, m);
        units_.push_back(unit);
      }
    }
  }
  std::ranges::stable_sort(units_, {}, &Copied::forward);
}

void PipelineMilp::add_ends() {
  // Everything in units of the common divisor, which also makes equal instances the same model.
  Time times = options_.horizon;
  Bytes bytes = 0;
  Time total = 0;
  for (std::size_t n = 0; n < nodes_.size(); ++n) {
    times = std::gcd(times, nodes_[n].length);
    bytes = std::gcd(bytes, nodes_[n].change);
    total += nodes_[n].length;
    for (const auto& [other, latency] : needs_[n]) {
      times = std::gcd(times, latency);
      total += latency;
    }
  }
  for (const Copied& unit : units_) {
    times = std::gcd(std::gcd(times, unit.out), unit.back);
    total += unit.out + unit.back;
  }
  scale_ = std::max<Time>(times, 1);
  byte_scale_ = std::max<Bytes>(bytes, 1);
  const bool makespan = options_.objective != Objective::kSpan;
  horizon_ = (makespan && options_.horizon > 0 ? options_.horizon : total) / scale_;

  before_.assign(nodes_.size() * nodes_.size(), false);
  for (std::size_t n = 0; n < nodes_.size(); ++n) {
    Node& node = nodes_[n];
    node.length /= scale_;
    node.change /= byte_scale_;
    for (auto& [other, latency] : needs_[n]) {
      latency /= scale_;
      node.head = std::max(node.head, nodes_[other].head + nodes_[other].length + latency);
      before_[other * nodes_.size() + n] = true;
      for (std::size_t earlier = 0; earlier < n; ++earlier) {
        if (always_before(earlier, other)) {
          before_[earlier * nodes_.size() + n] = true;
        }
      }
    }
  }
  for (Copied& unit : units_) {
    unit.out /= scale_;
    unit.back /= scale_;
    unit.bytes /= byte_scale_;
  }
  for (std::size_t n = nodes_.size(); n-- > 0;) {
    for (const auto& [other, latency] : needs_[n]) {
      nodes_[other].tail =
          std::max(nodes_[other].tail, nodes_[n].tail + nodes_[n].length + latency);
    }
  }
  for (Node& node : nodes_) {
    node.end =
        model_.add({fmt::format("E{}_{}_{}", short_name(node.kind), node.stage, node.microbatch),
                    real(node.head + node.length), real(horizon_ - node.tail), false});
  }
  for (std::size_t n = 0; n < nodes_.size(); ++n) {
    for (const auto& [other, latency] : needs_[n]) {
      model_.add_at_least(fmt::format("need_{}_{}", n, other),
                          {{nodes_[n].end, 1.0}, {nodes_[other].end, -1.0}},
                          real(nodes_[n].length + latency));
    }
  }
}

// E(after) >= E(before) + T(after) - M (1 - P); mirrored: P = 0 asks for it.
void PipelineMilp::order_rows(std::size_t before, std::size_t after, std::size_t variable,
                              bool mirrored) {
  const Node& a = nodes_[before];
  const Node& b = nodes_[after];
  const Time big = std::max<Time>(0, latest(before) + b.length - (b.head + b.length));
  const double factor = mirrored ? real(big) : -real(big);
  model_.add_at_least(fmt::format("order_{}_{}", before, after),
                      {{b.end, 1.0}, {a.end, -1.0}, {variable, factor}},
                      mirrored ? real(b.length) : real(b.length - big));
}

void PipelineMilp::add_pairs() {
  pairs_of_.resize(nodes_.size());
  for (const std::vector<std::size_t>& nodes : on_device_) {
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      for (std::size_t j = i + 1; j < nodes.size(); ++j) {
        const std::size_t x = nodes[i];
        const std::size_t y = nodes[j];
        if (always_before(x, y) || always_before(y, x)) {
          continue;
        }
        // By heads and tails one of the two orders may not fit the horizon.
        const auto fits = [this](std::size_t a, std::size_t b) {
          return std::max(nodes_[a].head + nodes_[a].length, nodes_[b].head) + nodes_[b].length <=
                 latest(b);
        };
        const bool xy =
            fits(x, y) && nodes_[x].head + nodes_[x].length + nodes_[y].length <= latest(y);
        const bool yx =
            fits(y, x) && nodes_[y].head + nodes_[y].length + nodes_[x].length <= latest(x);
        const double least = xy && !yx ? 1.0 : 0.0;
        const double most = yx && !xy ? 0.0 : 1.0;
        const std::size_t variable = model_.add({fmt::format("P_{}_{}", x, y), 0.0, 1.0, true});
        if (least > 0.0) {
          model_.add_at_least(fmt::format("fix_{}_{}", x, y), {{variable, 1.0}}, 1.0);
        } else if (most < 1.0) {
          model_.add_at_most(fmt::format("fix_{}_{}", x, y), {{variable, 1.0}}, 0.0);
        }
        pairs_of_[x].emplace_back(pairs_.size(), true);
        pairs_of_[y].emplace_back(pairs_.size(), false);
        pairs_.push_back({x, y, variable});
        order_rows(x, y, variable, false);
        order_rows(y, x, variable, true);
      }
    }
  }
}

void PipelineMilp::add_objective() {
  result_ = model_.add({"result", 0.0, kInfinite, false});
  model_.objective = {{result_, 1.0}};
  for (const std::vector<std::size_t>& nodes : on_device_) {
    const std::size_t first = nodes.front();  // F of micro-batch 0 on the lowest stage
    for (const std::size_t x : nodes) {
      // result >= E(x) + work that follows x (- start of the device's first op, for the span).
      std::vector<MilpTerm> terms = {{result_, 1.0}, {nodes_[x].end, -1.0}};
      double constant = 0.0;
      for (const std::size_t y : nodes) {
        constant += always_before(x, y) ? real(nodes_[y].length) : 0.0;
      }
      for (const auto& [pair, is_first] : pairs_of_[x]) {
        const Pair& p = pairs_[pair];
        const double length = real(nodes_[is_first ? p.second : p.first].length);
        terms.push_back({p.variable, is_first ? -length : length});
        constant += is_first ? 0.0 : length;
      }
      if (options_.objective == Objective::kSpan) {
        terms.push_back({nodes_[first].end, 1.0});
        constant += real(nodes_[first].length);
        if (x == first) {
          terms.erase(terms.begin() + 1);
          terms.pop_back();
        }
      }
      model_.add_at_least(fmt::format("result_{}", x), std::move(terms), constant);
      if (options_.objective != Objective::kSpan && nodes_[x].tail > 0) {
        model_.add_at_least(fmt::format("tail_{}", x), {{result_, 1.0}, {nodes_[x].end, -1.0}},
                            real(nodes_[x].tail));
      }
    }
  }
}

void PipelineMilp::add_cuts() {
  std::size_t cuts = 0;
  for (const Pair& xy : pairs_) {
    for (const auto& [yw, y_first] : pairs_of_[xy.second]) {
      const std::size_t w = y_first ? pairs_[yw].second : pairs_[yw].first;
      if (w <= xy.second) {
        continue;
      }
      for (const auto& [wx, x_first] : pairs_of_[xy.first]) {
        if ((x_first ? pairs_[wx].second : pairs_[wx].first) != w) {
          continue;
        }
        if (cuts + 2 > options_.most_cuts) {
          return;
        }
        cuts += 2;
        // P(x,y) + P(y,w) - P(x,w) lies between 0 and 1.
        const std::vector<MilpTerm> terms = {{xy.variable, 1.0},
                                             {pairs_[yw].variable, y_first ? 1.0 : -1.0},
                                             {pairs_[wx].variable, x_first ? -1.0 : 1.0}};
        const double shift = (y_first ? 0.0 : 1.0) - (x_first ? 0.0 : 1.0);
        model_.add_at_most(fmt::format("cut_{}", cuts), terms, 1.0 - shift);
        model_.add_at_least(fmt::format("cut_{}", cuts + 1), terms, 0.0 - shift);
      }
    }
  }
}

}  // namespace stagecraft::search
