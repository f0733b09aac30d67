// Offload and memory of the pipeline MILP (pipeline_milp.hpp).
#include <algorithm>
#include <utility>

#include <fmt/core.h>

#include "search/optpipe/pipeline_milp.hpp"

namespace stagecraft::search {
namespace {

double real(std::int64_t value) {
  return static_cast<double>(value);
}

}  // namespace

Bytes PipelineMilp::room_of(std::int32_t device) const {
  const MemoryCosts& memory = instance_.costs.memory;
  const Bytes capacity = memory.capacity_of(device);
  if (!memory.given || capacity == kUnlimited) {
    return kUnlimited;
  }
  const Bytes room = capacity - memory.resident_of(device);
  return room < 0 ? -1 : room / byte_scale_;
}

void PipelineMilp::add_units() {
  for (std::size_t u = 0; u < units_.size(); ++u) {
    Copied& unit = units_[u];
    const Node& f = nodes_[unit.forward];
    const Node& b = nodes_[unit.backward];
    const double least = real(f.head + f.length);
    const double most = real(latest(unit.backward) - b.length);
    unit.chosen = model_.add({fmt::format("z_{}_{}", f.stage, f.microbatch), 0.0, 1.0, true});
    unit.out_end = model_.add({fmt::format("EO_{}_{}", f.stage, f.microbatch), least, most, false});
    unit.back_end =
        model_.add({fmt::format("EL_{}_{}", f.stage, f.microbatch), least, most, false});
    model_.add_at_least(fmt::format("out_{}", u),
                        {{unit.out_end, 1.0}, {f.end, -1.0}, {unit.chosen, -real(unit.out)}}, 0.0);
    model_.add_at_least(
        fmt::format("back_{}", u),
        {{unit.back_end, 1.0}, {unit.out_end, -1.0}, {unit.chosen, -real(unit.back)}}, 0.0);
    model_.add_at_least(fmt::format("there_{}", u), {{b.end, 1.0}, {unit.back_end, -1.0}},
                        real(b.length));
  }
}

bool PipelineMilp::same_link(std::size_t a, std::size_t b) const {
  const std::int32_t da = device_of(units_[a].forward);
  const std::int32_t db = device_of(units_[b].forward);
  const std::vector<std::int32_t>& link_of = instance_.costs.network.host.host_link_of;
  return da == db || (!link_of.empty() && link_of[static_cast<std::size_t>(da)] ==
                                              link_of[static_cast<std::size_t>(db)]);
}

PipelineMilp::Precedence PipelineMilp::precedence(std::size_t a, bool a_back, std::size_t b,
                                                  bool b_back) const {
  if (a == b) {
    return {a_back ? 0.0 : 1.0, 0.0, 0};
  }
  const bool one_stage = nodes_[units_[a].forward].stage == nodes_[units_[b].forward].stage;
  if (one_stage) {
    // Units of a stage are numbered by micro-batch. O(a) < O(b), L(a) < L(b), O(a) < L(b).
    if (a_back == b_back) {
      return {a < b ? 1.0 : 0.0, 0.0, 0};
    }
    if (!a_back && a < b) {
      return {1.0, 0.0, 0};
    }
    if (!b_back && b < a) {
      return {0.0, 0.0, 0};
    }
  }
  const std::size_t x = 2 * a + (a_back ? 1 : 0);
  const std::size_t y = 2 * b + (b_back ? 1 : 0);
  const auto key = std::minmax(x, y);
  const auto found = std::ranges::lower_bound(
      copy_orders_, std::pair<std::size_t, std::size_t>(key.first, key.second), {},
      [](const CopyOrder& order) { return std::pair(order.first, order.second); });
  return x < y ? Precedence{0.0, 1.0, found->variable} : Precedence{1.0, -1.0, found->variable};
}

// E(c') >= E(c) + T(c') z' - M (1 - K) - M (2 - z - z').
void PipelineMilp::order_copies(std::size_t a, bool a_back, std::size_t b, bool b_back) {
  const Precedence first = precedence(a, a_back, b, b_back);
  if (first.factor == 0.0 && first.constant == 0.0) {
    return;
  }
  const Copied& u = units_[a];
  const Copied& v = units_[b];
  const double length = real(b_back ? v.back : v.out);
  const double big = real(horizon_) + length;
  std::vector<MilpTerm> terms = {{b_back ? v.back_end : v.out_end, 1.0},
                                 {a_back ? u.back_end : u.out_end, -1.0},
                                 {v.chosen, -length - big},
                                 {u.chosen, -big}};
  if (first.factor != 0.0) {
    terms.push_back({first.variable, -big * first.factor});
  }
  model_.add_at_least(fmt::format("stream_{}{}_{}{}", a, a_back ? "L" : "O", b, b_back ? "L" : "O"),
                      std::move(terms), -3.0 * big + big * first.constant);
}

void PipelineMilp::add_copy_orders() {
  const auto each = [this](const auto& visit) {
    for (std::size_t x = 0; x < 2 * units_.size(); ++x) {
      for (std::size_t y = x + 1; y < 2 * units_.size(); ++y) {
        if (x / 2 != y / 2 && same_link(x / 2, y / 2)) {
          visit(x, y);
        }
      }
    }
  };
  each([this](std::size_t x, std::size_t y) {
    const bool one_stage =
        nodes_[units_[x / 2].forward].stage == nodes_[units_[y / 2].forward].stage;
    // Within a stage only L(a) against O(b) with a < b is open.
    if (!one_stage || (x % 2 == 1 && y % 2 == 0)) {
      copy_orders_.push_back({x, y, model_.add({fmt::format("K_{}_{}", x, y), 0.0, 1.0, true})});
    }
  });
  each([this](std::size_t x, std::size_t y) {
    order_copies(x / 2, x % 2 == 1, y / 2, y % 2 == 1);
    order_copies(y / 2, y % 2 == 1, x / 2, x % 2 == 1);
  });
}

std::vector<MilpTerm> PipelineMilp::start_of_reload(std::size_t unit, double factor) const {
  const Copied& u = units_[unit];
  return {{u.back_end, factor}, {u.chosen, -factor * real(u.back)}};
}

// Memory while `node` runs: what it takes, what stands before it, less what is away.
void PipelineMilp::memory_row(std::size_t node, Bytes room) {
  const Node& x = nodes_[node];
  std::vector<MilpTerm> terms;
  double constant = real(x.change);
  for (const std::size_t y : on_device_[static_cast<std::size_t>(device_of(node))]) {
    constant += always_before(y, node) ? real(nodes_[y].change) : 0.0;
  }
  for (const auto& [pair, is_first] : pairs_of_[node]) {
    const Pair& p = pairs_[pair];
    const double change = real(nodes_[is_first ? p.second : p.first].change);
    terms.push_back({p.variable, is_first ? -change : change});
    constant += is_first ? change : 0.0;
  }
  const double big = real(horizon_);
  for (std::size_t u = 0; u < units_.size(); ++u) {
    const Copied& unit = units_[u];
    if (unit.forward == node || device_of(unit.forward) != device_of(node) ||
        always_before(node, unit.forward) || always_before(unit.backward, node)) {
      continue;
    }
    const std::size_t away = model_.add({fmt::format("A_{}_{}", u, node), 0.0, 1.0, true});
    aways_.push_back({u, node, away});
    model_.add_at_most(fmt::format("away_{}_{}", u, node), {{away, 1.0}, {unit.chosen, -1.0}}, 0.0);
    // E(O) <= start of x, E(x) <= start of L.
    model_.add_at_least(fmt::format("gone_{}_{}", u, node),
                        {{x.end, 1.0}, {unit.out_end, -1.0}, {away, -big}}, real(x.length) - big);
    std::vector<MilpTerm> later = start_of_reload(u, 1.0);
    later.push_back({x.end, -1.0});
    later.push_back({away, -2.0 * big});
    model_.add_at_least(fmt::format("back_after_{}_{}", u, node), std::move(later), -2.0 * big);
    terms.push_back({away, -real(unit.bytes)});
  }
  if (terms.empty()) {
    terms.push_back({x.end, 0.0});
  }
  model_.add_at_most(fmt::format("memory_{}", node), std::move(terms), real(room) - constant);
}

void PipelineMilp::add_memory() {
  for (std::size_t node = 0; node < nodes_.size(); ++node) {
    const Bytes room = room_of(device_of(node));
    if (nodes_[node].change > 0 && room != kUnlimited) {
      memory_row(node, room);
    }
  }
}

// Memory when L of `unit` starts. What takes memory and has ended by then counts; what runs then is
// counted in its own row, with `unit` not away.
void PipelineMilp::reload_row(std::size_t unit, Bytes room) {
  const Copied& at = units_[unit];
  const double big = 2.0 * real(horizon_);
  std::vector<MilpTerm> terms;
  double constant = 0.0;
  double most = 0.0;
  for (const std::size_t y : on_device_[static_cast<std::size_t>(device_of(at.forward))]) {
    const Node& node = nodes_[y];
    most += std::max(0.0, real(node.change));
    if (y == at.forward || always_before(y, at.forward)) {
      constant += real(node.change);
    }
    if (node.change == 0 || y == at.forward || always_before(y, at.forward) || y == at.backward ||
        always_before(at.backward, y)) {
      continue;
    }
    const std::size_t counts = model_.add({fmt::format("Q_{}_{}", y, unit), 0.0, 1.0, true});
    ended_.push_back({y, unit, counts});
    terms.push_back({counts, real(node.change)});
    if (node.change > 0) {
      // Not counted only if it ends later: start of L <= E(y) - 1 + M q.
      std::vector<MilpTerm> row = start_of_reload(unit, -1.0);
      row.push_back({node.end, 1.0});
      row.push_back({counts, big});
      model_.add_at_least(fmt::format("later_{}_{}", y, unit), std::move(row), 1.0);
    } else {
      // Counted only if it has ended.
      std::vector<MilpTerm> row = start_of_reload(unit, 1.0);
      row.push_back({node.end, -1.0});
      row.push_back({counts, -big});
      model_.add_at_least(fmt::format("ended_{}_{}", y, unit), std::move(row), -big);
    }
  }
  for (std::size_t u = 0; u < units_.size(); ++u) {
    if (u == unit || device_of(units_[u].forward) != device_of(at.forward)) {
      continue;
    }
    // Away if it has gone before and comes back after.
    const Precedence gone = precedence(u, false, unit, true);
    const Precedence back = precedence(u, true, unit, true);
    if ((gone.factor == 0.0 && gone.constant == 0.0) ||
        (back.factor == 0.0 && back.constant == 1.0)) {
      continue;
    }
    const std::size_t away = model_.add({fmt::format("H_{}_{}", u, unit), 0.0, 1.0, false});
    reload_aways_.push_back({u, unit, away});
    model_.add_at_most(fmt::format("h_{}_{}", u, unit), {{away, 1.0}, {units_[u].chosen, -1.0}},
                       0.0);
    model_.add_at_most(fmt::format("hg_{}_{}", u, unit),
                       gone.factor == 0.0
                           ? std::vector<MilpTerm>{{away, 1.0}}
                           : std::vector<MilpTerm>{{away, 1.0}, {gone.variable, -gone.factor}},
                       gone.constant);
    model_.add_at_most(fmt::format("hb_{}_{}", u, unit),
                       back.factor == 0.0
                           ? std::vector<MilpTerm>{{away, 1.0}}
                           : std::vector<MilpTerm>{{away, 1.0}, {back.variable, back.factor}},
                       1.0 - back.constant);
    terms.push_back({away, -real(units_[u].bytes)});
  }
  terms.push_back({at.chosen, most});
  model_.add_at_most(fmt::format("reload_{}", unit), std::move(terms),
                     real(room) - constant + most);
}

void PipelineMilp::add_reload_memory() {
  for (std::size_t unit = 0; unit < units_.size(); ++unit) {
    const Bytes room = room_of(device_of(units_[unit].forward));
    if (room != kUnlimited) {
      reload_row(unit, room);
    }
  }
}

void PipelineMilp::add_tight(const Tight& tight, std::size_t end, std::vector<MilpTerm>& any) {
  const Node& x = nodes_[tight.node];
  const double big = real(horizon_);
  Tight added = tight;
  added.variable = model_.add({fmt::format("T_{}_{}", tight.node, tight.other), 0.0, 1.0, true});
  tights_.push_back(added);
  any.push_back({added.variable, 1.0});
  model_.add_at_least(fmt::format("tight_{}_{}", tight.node, tight.other),
                      {{end, 1.0}, {x.end, -1.0}, {added.variable, -big}},
                      -real(x.length + tight.latency) - big);
}

// Something that `node` waits for ends when it starts.
void PipelineMilp::early_start(std::size_t node, const std::vector<std::size_t>& unit_of) {
  std::vector<MilpTerm> any;
  const std::vector<std::size_t>& own = on_device_[static_cast<std::size_t>(device_of(node))];
  for (const auto& [other, latency] : needs_[node]) {
    if (device_of(other) != device_of(node)) {
      add_tight({node, other, latency, 0}, nodes_[other].end, any);
    }
  }
  for (const std::size_t y : own) {
    // Of those that always run before, one that is followed by another such ends too early.
    const bool last = always_before(y, node) && std::ranges::none_of(own, [&](std::size_t z) {
                        return always_before(y, z) && always_before(z, node);
                      });
    if (last) {
      add_tight({node, y, 0, 0}, nodes_[y].end, any);
    }
  }
  for (const auto& [pair, is_first] : pairs_of_[node]) {
    const Pair& p = pairs_[pair];
    const std::size_t y = is_first ? p.second : p.first;
    add_tight({node, y, 0, 0}, nodes_[y].end, any);
    const std::size_t variable = any.back().variable;
    // Only if y runs first.
    model_.add_at_most(fmt::format("tight_first_{}_{}", node, y),
                       {{variable, 1.0}, {p.variable, is_first ? 1.0 : -1.0}},
                       is_first ? 1.0 : 0.0);
  }
  if (unit_of[node] < units_.size()) {
    const Copied& unit = units_[unit_of[node]];
    add_tight({node, nodes_.size(), 0, 0}, unit.back_end, any);
    const std::size_t variable = any.back().variable;
    model_.add_at_most(fmt::format("tight_reload_{}", node), {{variable, 1.0}, {unit.chosen, -1.0}},
                       0.0);
  }
  if (any.empty()) {
    model_.add_at_most(fmt::format("tight_{}", node), {{nodes_[node].end, 1.0}},
                       real(nodes_[node].length));
  } else {
    model_.add_at_least(fmt::format("tight_{}", node), std::move(any), 1.0);
  }
}

void PipelineMilp::add_early_starts() {
  std::vector<std::size_t> unit_of(nodes_.size(), units_.size());
  for (std::size_t u = 0; u < units_.size(); ++u) {
    unit_of[units_[u].backward] = u;
  }
  for (std::size_t node = 0; node < nodes_.size(); ++node) {
    early_start(node, unit_of);
  }
}

}  // namespace stagecraft::search
