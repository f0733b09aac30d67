// Mist's partition, exactly: see partition.hpp.
//
// sum_i T_i + max_i (D_i - sum_{j<i} T_j) is max_i (D_i + sum_{j>=i} T_j), so what a suffix of
// stages adds is known from its own sum and its own largest such term.
#include <algorithm>
#include <limits>
#include <numeric>
#include <optional>

#include "partition.hpp"
#include "stagecraft/core/check.hpp"

namespace stagecraft::search::adaptis {
namespace {

constexpr std::int64_t kUnitSpeed = 1'000'000'000;

// Stages i .. P-1 hold the layers from l on.
struct Label {
  Time rest = 0;     // max over j >= i of D_j + sum over k >= j of T_k
  Time sum = 0;      // sum of T
  Load squares = 0;  // of scaled loads, for ties only
  std::int32_t to = 0;
  std::uint32_t next = 0;  // label of stage i+1 at layer `to`
};

bool covers(const Label& a, const Label& b) {
  if (a.rest == b.rest && a.sum == b.sum) {
    return a.squares <= b.squares;
  }
  return a.rest <= b.rest && a.sum <= b.sum;
}

void add(std::vector<Label>& labels, const Label& label) {
  // The rank of a label must not change once others point at it: a cell is complete before any
  // cell uses it.
  if (std::ranges::any_of(labels, [&](const Label& other) { return covers(other, label); })) {
    return;
  }
  std::erase_if(labels, [&](const Label& other) { return covers(label, other); });
  labels.push_back(label);
}

class MistSolver {
 public:
  MistSolver(const Problem& problem, std::span<const Time> extra)
      : loads_(problem), extra_(extra.begin(), extra.end()), devices_(problem.devices) {
    extra_.resize(static_cast<std::size_t>(devices_), 0);
    const Layers& layers = problem.layers;
    sums_.push_back(0);
    for (std::size_t l = 0; l < layers.forward.size(); ++l) {
      sums_.push_back(sums_.back() + layers.forward[l] + layers.backward_input[l] +
                      layers.backward_weight[l]);
    }
    speed_ = problem.speed;
    rounds_ = problem.microbatches - 1;
    collect_candidates();
  }

  std::vector<std::int32_t> solve() {
    const auto first = std::partition_point(candidates_.begin(), candidates_.end(),
                                            [this](Time cap) { return !run(cap); });
    STAGECRAFT_CHECK(first != candidates_.end(), "no partition under the largest candidate");
    const Time least_rest = *run(candidates_.back());
    Time best = std::numeric_limits<Time>::max();
    std::vector<std::int32_t> partition;
    for (auto cap = first; cap != candidates_.end(); ++cap) {
      if (!partition.empty() && rounds_ * *cap + least_rest >= best) {
        break;
      }
      const std::optional<Time> rest = run(*cap);
      if (const Time value = rounds_ * *cap + *rest; value < best) {
        best = value;
        partition = read();
      }
    }
    return partition;
  }

 private:
  [[nodiscard]] std::int32_t layers() const { return static_cast<std::int32_t>(sums_.size()) - 1; }

  [[nodiscard]] Time stage_time(std::int32_t device, std::int32_t from, std::int32_t to) const {
    const Time work = sums_[static_cast<std::size_t>(to)] - sums_[static_cast<std::size_t>(from)];
    if (speed_.empty()) {
      return work;
    }
    // Divided first: work may be as large as 2^53, and a nanosecond in a stage decides nothing.
    const std::int64_t speed = std::max<std::int64_t>(1, speed_[static_cast<std::size_t>(device)]);
    return work / speed * kUnitSpeed + work % speed * kUnitSpeed / speed;
  }

  void collect_candidates() {
    const std::int32_t kinds = speed_.empty() ? 1 : devices_;
    for (std::int32_t d = 0; d < kinds; ++d) {
      for (std::int32_t from = 0; from < layers(); ++from) {
        for (std::int32_t to = from + 1; to <= layers(); ++to) {
          candidates_.push_back(stage_time(d, from, to));
        }
      }
    }
    std::ranges::sort(candidates_);
    candidates_.erase(std::ranges::unique(candidates_).begin(), candidates_.end());
  }

  [[nodiscard]] std::vector<Label>& cell(std::int32_t stage, std::int32_t layer) {
    return cells_[static_cast<std::size_t>(stage * (layers() + 1) + layer)];
  }

  // The least rest with no stage above `cap`; labels stay for read().
  std::optional<Time> run(Time cap) {
    cells_.assign(static_cast<std::size_t>((devices_ + 1) * (layers() + 1)), {});
    cell(devices_, layers()).push_back({});
    for (std::int32_t i = devices_ - 1; i >= 0; --i) {
      const std::int32_t last = i == 0 ? 0 : layers() - (devices_ - i);
      for (std::int32_t from = i; from <= last; ++from) {
        extend(cap, i, from);
      }
    }
    const std::vector<Label>& all = cell(0, 0);
    if (all.empty()) {
      return std::nullopt;
    }
    return std::ranges::min_element(all, {}, &Label::rest)->rest;
  }

  void extend(Time cap, std::int32_t stage, std::int32_t from) {
    std::vector<Label>& labels = cell(stage, from);
    for (std::int32_t to = from + 1; to <= layers() - (devices_ - 1 - stage); ++to) {
      const Time time = stage_time(stage, from, to);
      if (time > cap) {
        break;
      }
      const Load load = loads_.on_device(loads_.between(from, to), stage);
      const std::vector<Label>& after = cell(stage + 1, to);
      for (std::uint32_t next = 0; next < after.size(); ++next) {
        const Label& tail = after[next];
        const Time sum = time + tail.sum;
        add(labels, {std::max(tail.rest, extra_[static_cast<std::size_t>(stage)] + sum), sum,
                     tail.squares + load * load, to, next});
      }
    }
  }

  [[nodiscard]] std::vector<std::int32_t> read() {
    std::vector<std::int32_t> partition;
    const std::vector<Label>& all = cell(0, 0);
    const Label* label = &all.front();
    for (const Label& other : all) {
      if (std::tie(other.rest, other.squares) < std::tie(label->rest, label->squares)) {
        label = &other;
      }
    }
    std::int32_t from = 0;
    for (std::int32_t i = 0; i < devices_; ++i) {
      partition.push_back(label->to - from);
      from = label->to;
      if (i + 1 < devices_) {
        label = &cell(i + 1, from)[label->next];
      }
    }
    return partition;
  }

  LayerLoads loads_;
  std::vector<Time> extra_;
  std::int32_t devices_;
  std::vector<Time> sums_;
  std::vector<std::int64_t> speed_;
  Time rounds_ = 0;
  std::vector<Time> candidates_;
  std::vector<std::vector<Label>> cells_;
};

}  // namespace

std::vector<std::int32_t> mist_partition(const Problem& problem, std::span<const Time> extra) {
  STAGECRAFT_CHECK(problem.layers.count() >= problem.devices, "fewer layers than devices");
  return MistSolver(problem, extra).solve();
}

}  // namespace stagecraft::search::adaptis
