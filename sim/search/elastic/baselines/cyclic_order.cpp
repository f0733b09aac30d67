#include "search/elastic/baselines/cyclic_order.hpp"

#include <algorithm>
#include <cstddef>
#include <deque>
#include <numeric>
#include <utility>

#include "stagecraft/core/check.hpp"

namespace stagecraft::elastic {
namespace {

constexpr int kMostClusterRounds = 64;  // of Lloyd's algorithm: it settles long before

// One stage between cycles.
struct CyclicStage {
  std::deque<std::int32_t> forwards;   // that have arrived, and those of the first stage to come
  std::deque<std::int32_t> backwards;  // that have arrived
  std::deque<std::int32_t> inside;     // run forward, not yet backward
  Bytes held = 0;
};

class Cycles {
 public:
  Cycles(const UnitTable& table, std::span<const std::int32_t> order,
         std::span<const std::int32_t> layers)
      : table_(table),
        layers_(layers),
        stages_(static_cast<std::size_t>(table.stages)),
        lists_(static_cast<std::size_t>(table.stages)) {
    stages_.front().forwards.assign(order.begin(), order.end());
    for (std::vector<ListOp>& list : lists_) {
      list.reserve(3 * order.size());
    }
  }

  // False: nothing could run.
  bool run_one() {
    struct Arrival {
      std::size_t stage = 0;
      std::int32_t unit = 0;
      bool forward = false;
    };
    std::vector<Arrival> arrivals;
    bool moved = false;
    for (std::size_t p = 0; p < stages_.size(); ++p) {
      if (const std::int32_t unit = backward(p); unit >= 0) {
        moved = true;
        if (p > 0) {
          arrivals.push_back({p - 1, unit, false});
        }
      }
      if (const std::int32_t unit = forward(p); unit >= 0) {
        moved = true;
        const bool last = p + 1 == stages_.size();
        arrivals.push_back({last ? p : p + 1, unit, !last});
      }
    }
    for (const Arrival& arrival : arrivals) {
      CyclicStage& stage = stages_[arrival.stage];
      (arrival.forward ? stage.forwards : stage.backwards).push_back(arrival.unit);
    }
    return moved;
  }

  [[nodiscard]] StageLists take_lists() { return std::move(lists_); }

 private:
  [[nodiscard]] std::size_t at(std::size_t p, std::int32_t unit) const {
    return table_.at(static_cast<std::int32_t>(p), unit);
  }
  // What R brings back.
  [[nodiscard]] Bytes again(std::size_t p, std::int32_t unit) const {
    return layers_[at(p, unit)] * table_.saving[at(p, unit)];
  }

  // The unit that ran; -1: none.
  std::int32_t backward(std::size_t p) {
    CyclicStage& stage = stages_[p];
    if (stage.backwards.empty()) {
      return -1;
    }
    const std::int32_t unit = stage.backwards.front();
    stage.backwards.pop_front();
    STAGECRAFT_CHECK(stage.inside.front() == unit, "backwards arrive as forwards ran");
    stage.inside.pop_front();
    stage.held -= table_.activation[at(p, unit)] - again(p, unit);
    if (layers_[at(p, unit)] > 0) {
      lists_[p].push_back({ListOpKind::kRecompute, unit});
    }
    lists_[p].push_back({ListOpKind::kBackward, unit});
    return unit;
  }

  std::int32_t forward(std::size_t p) {
    CyclicStage& stage = stages_[p];
    if (stage.forwards.empty()) {
      return -1;
    }
    const std::int32_t unit = stage.forwards.front();
    const Bytes held = stage.held + table_.activation[at(p, unit)] - again(p, unit);
    // Any one inside may be recomputed while no other leaves.
    Bytes most_again = again(p, unit);
    for (const std::int32_t other : stage.inside) {
      most_again = std::max(most_again, again(p, other));
    }
    if (held + most_again > table_.room[p]) {
      return -1;
    }
    stage.forwards.pop_front();
    stage.inside.push_back(unit);
    stage.held = held;
    lists_[p].push_back({ListOpKind::kForward, unit});
    return unit;
  }

  const UnitTable& table_;
  std::span<const std::int32_t> layers_;
  std::vector<CyclicStage> stages_;
  StageLists lists_;
};

// Ends of clusters of `times`, which rise: Lloyd's algorithm from quantiles.
std::vector<std::size_t> cluster_ends(const std::vector<Time>& times, std::size_t clusters) {
  std::vector<std::size_t> ends;
  for (std::size_t c = 1; c <= clusters; ++c) {
    ends.push_back(times.size() * c / clusters);
  }
  for (int round = 0; round < kMostClusterRounds; ++round) {
    std::vector<double> means;
    std::size_t begin = 0;
    for (const std::size_t end : ends) {
      double sum = 0.0;
      for (std::size_t i = begin; i < end; ++i) {
        sum += static_cast<double>(times[i]);
      }
      means.push_back(sum / static_cast<double>(end - begin));
      begin = end;
    }
    std::vector<std::size_t> moved;
    std::size_t from = 0;
    for (std::size_t c = 0; c + 1 < clusters; ++c) {
      const double middle = (means[c] + means[c + 1]) / 2.0;
      const auto place =
          std::partition_point(times.begin() + static_cast<std::ptrdiff_t>(from), times.end(),
                               [&](Time time) { return static_cast<double>(time) < middle; });
      // No cluster is left empty.
      from = std::clamp(static_cast<std::size_t>(place - times.begin()), from + 1,
                        times.size() - (clusters - 1 - c));
      moved.push_back(from);
    }
    moved.push_back(times.size());
    if (moved == ends) {
      break;
    }
    ends = std::move(moved);
  }
  return ends;
}

}  // namespace

StageLists cyclic_lists(const UnitTable& table, std::span<const std::int32_t> order,
                        std::span<const std::int32_t> layers) {
  STAGECRAFT_CHECK(table.units == table.microbatches(), "a cyclic order is of whole micro-batches");
  Cycles cycles(table, order, layers);
  while (cycles.run_one()) {
  }
  StageLists lists = cycles.take_lists();
  // Every micro-batch that entered goes on, as those before it leave: what stops fits nowhere.
  for (const std::vector<ListOp>& list : lists) {
    const auto backwards = std::count_if(list.begin(), list.end(), [](const ListOp& op) {
      return op.kind == ListOpKind::kBackward;
    });
    if (backwards < table.units) {
      return {};
    }
  }
  return lists;
}

std::vector<std::vector<std::int32_t>> clustered_orders(const UnitTable& table,
                                                        std::int32_t clusters) {
  std::vector<Time> times(static_cast<std::size_t>(table.units), 0);
  for (std::int32_t u = 0; u < table.units; ++u) {
    for (std::int32_t p = 0; p < table.stages; ++p) {
      times[static_cast<std::size_t>(u)] +=
          table.forward[table.at(p, u)] + table.backward[table.at(p, u)];
    }
  }
  std::vector<std::int32_t> rising(times.size());
  std::iota(rising.begin(), rising.end(), 0);
  std::stable_sort(rising.begin(), rising.end(), [&](std::int32_t a, std::int32_t b) {
    return times[static_cast<std::size_t>(a)] < times[static_cast<std::size_t>(b)];
  });
  std::vector<Time> sorted;
  sorted.reserve(rising.size());
  for (const std::int32_t u : rising) {
    sorted.push_back(times[static_cast<std::size_t>(u)]);
  }
  const std::size_t count = std::min(static_cast<std::size_t>(clusters), sorted.size());
  std::vector<std::vector<std::int32_t>> members;  // the longest first
  std::size_t begin = 0;
  for (const std::size_t end : cluster_ends(sorted, count)) {
    std::vector<std::int32_t> cluster(rising.begin() + static_cast<std::ptrdiff_t>(begin),
                                      rising.begin() + static_cast<std::ptrdiff_t>(end));
    std::sort(cluster.begin(), cluster.end());
    members.insert(members.begin(), std::move(cluster));
    begin = end;
  }
  std::vector<std::size_t> permutation(count);
  std::iota(permutation.begin(), permutation.end(), std::size_t{0});
  std::vector<std::vector<std::int32_t>> orders;
  do {
    std::vector<std::int32_t>& order = orders.emplace_back();
    for (const std::size_t c : permutation) {
      order.insert(order.end(), members[c].begin(), members[c].end());
    }
  } while (std::next_permutation(permutation.begin(), permutation.end()));
  return orders;
}

}  // namespace stagecraft::elastic
