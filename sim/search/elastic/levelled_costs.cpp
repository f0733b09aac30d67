#include "search/elastic/levelled_costs.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <utility>
#include <vector>

namespace stagecraft::elastic {
namespace {

constexpr double kNanosecondsPerSecond = 1e9;

/// What attention of a slice has to do.
struct SliceWork {
  double tokens = 0.0;
  double pairs = 0.0;  ///< of query and key
  double reach = 0.0;  ///< keys of the piece that reaches back furthest
};

SliceWork work_of(const data::Slice& slice) {
  SliceWork work;
  for (const data::Piece& piece : slice.pieces) {
    const auto context = static_cast<double>(piece.begin);
    const auto tokens = static_cast<double>(piece.padded);
    work.tokens += tokens;
    work.pairs += tokens * (context + tokens / 2.0);
    work.reach = std::max(work.reach, context + tokens);
  }
  return work;
}

/// Elements that go out and come back.
struct Moved {
  double out = 0.0;
  double back = 0.0;

  void add(const Moved& other) {
    out += other.out;
    back += other.back;
  }
  // The busier of two links, each way.
  void raise(const Moved& other) {
    out = std::max(out, other.out);
    back = std::max(back, other.back);
  }
  [[nodiscard]] Moved share(double part) const { return {out * part, back * part}; }
};

struct MovedBothWays {
  Moved forward;
  Moved backward;
};

/// While the first stage works on one slice.
struct Step {
  MovedBothWays busiest;  ///< of links
  double excess = 0.0;    ///< pairs of the slowest slice above the mean
};

// Computing `pairs` of a slice elsewhere.
MovedBothWays moved_by(const SequenceProfile& profile, const SliceWork& work, double pairs) {
  const double width = profile.hidden;
  const double keys_width = double{2} * profile.kv_width;
  const double best = std::sqrt(3.0 * keys_width / (5.0 * width) * pairs);
  const double queries = std::min(std::max(best, pairs / work.reach), work.tokens);
  const double keys = pairs / queries;
  return {{queries * width + keys * keys_width, queries * width},
          {2.0 * queries * width + keys * keys_width, queries * width + keys * keys_width}};
}

// The first stage works on slice `q`.
Step step_of(const SequenceProfile& profile, std::int32_t stages,
             const std::vector<SliceWork>& works, std::size_t q) {
  std::vector<const SliceWork*> window;
  double mean = 0.0;
  for (std::int32_t k = 0; k < stages; ++k) {
    window.push_back(&works[q]);
    mean += works[q].pairs / stages;
    q = (q == 0 ? works.size() : q) - 1;
  }
  Step step;
  MovedBothWays all;
  double excess = 0.0;
  double most_lacking = 0.0;
  for (const SliceWork* work : window) {
    // Sums of equal numbers need not be their multiple: what rounding leaves is no work.
    if (const double pairs = work->pairs - mean; pairs > 1e-9 * mean) {
      const MovedBothWays moved = moved_by(profile, *work, pairs);
      step.busiest.forward.raise(moved.forward);
      step.busiest.backward.raise(moved.backward);
      step.excess = std::max(step.excess, pairs);
      all.forward.add(moved.forward);
      all.backward.add(moved.backward);
      excess += pairs;
    } else {
      most_lacking = std::max(most_lacking, -pairs);
    }
  }
  if (excess > 0.0) {
    step.busiest.forward.raise(all.forward.share(most_lacking / excess));
    step.busiest.backward.raise(all.backward.share(most_lacking / excess));
  }
  return step;
}

// ns per element of one token on one GPU of a stage: those of a stage share its tokens.
double element_time(const SequenceProfile& profile, const SequenceLayout& layout) {
  const double network = std::min(profile.node_bytes_per_second,
                                  profile.network_bytes_per_second / profile.gpus_per_node);
  const double rate =
      layout.gpus() <= profile.gpus_per_node ? profile.node_bytes_per_second : network;
  return profile.element_bytes / layout.group() / rate * kNanosecondsPerSecond;
}

Time rounded_time(double time) {
  return static_cast<Time>(std::llround(time));
}

// Every slice of micro-batch `m` takes the mean of `values` of its slices; what does not divide
// goes to the first ones, so that the sum stays.
void level(const UnitTable& table, std::int32_t m, std::vector<Time>& values) {
  const std::int32_t slices = table.slices_of(m);
  for (std::int32_t p = 0; p < table.stages; ++p) {
    const auto begin = values.begin() + static_cast<std::ptrdiff_t>(
                                            table.at(p, table.first[static_cast<std::size_t>(m)]));
    const Time sum = std::accumulate(begin, begin + slices, Time{0});
    for (std::int32_t q = 0; q < slices; ++q) {
      begin[q] = sum / slices + (q < sum % slices ? 1 : 0);
    }
  }
}

void level(std::int32_t m, UnitTable& table) {
  level(table, m, table.forward);
  level(table, m, table.backward);
  level(table, m, table.layer);
}

void charge(std::int32_t m, const LevellingCost& cost, UnitTable& table) {
  const std::size_t i = static_cast<std::size_t>(m);
  for (std::int32_t p = 0; p < table.stages; ++p) {
    const double layers = table.layers[static_cast<std::size_t>(p)];
    for (std::int32_t u = table.first[i]; u < table.first[i + 1]; ++u) {
      const std::size_t at = table.at(p, u);
      table.forward[at] += rounded_time(layers * cost.forward);
      table.backward[at] += rounded_time(layers * cost.backward);
      table.layer[at] += rounded_time(cost.forward);
    }
  }
}

// The last stage's logits, a share on every stage.
void share_logits(const SequenceProfile& profile, const SequenceLayout& layout,
                  const data::Formation& formation, UnitTable& table) {
  SequenceProfile without = profile;
  without.logits_bytes = 0.0;
  std::int32_t unit = 0;
  const std::int32_t last = table.stages - 1;
  for (const data::MicroBatch& microbatch : formation.microbatches) {
    for (const data::Slice& slice : microbatch.slices) {
      const Bytes bare = unit_cost(without, layout, last, slice, microbatch.split()).activation;
      const Bytes logits = table.activation[table.at(last, unit)] - bare;
      table.activation[table.at(last, unit)] = bare;
      for (std::int32_t p = 0; p < table.stages; ++p) {
        table.activation[table.at(p, unit)] += (logits + table.stages - 1) / table.stages;
      }
      ++unit;
    }
  }
}

// The last hidden states of every slice go to all stages, and their gradients come back.
void charge_vocabulary(const SequenceProfile& profile, const SequenceLayout& layout,
                       const data::Formation& formation, UnitTable& table) {
  if (table.stages == 1) {
    return;
  }
  const double token = profile.hidden * element_time(profile, layout);
  std::int32_t unit = 0;
  for (const data::MicroBatch& microbatch : formation.microbatches) {
    for (const data::Slice& slice : microbatch.slices) {
      const Time time =
          rounded_time(static_cast<double>(slice.padded()) * token) + profile.message_latency;
      for (std::int32_t p = 0; p < table.stages; ++p) {
        table.forward[table.at(p, unit)] += time;
        table.backward[table.at(p, unit)] += time;
      }
      ++unit;
    }
  }
}

}  // namespace

LevellingCost levelling_cost(const SequenceProfile& profile, const SequenceLayout& layout,
                             const data::MicroBatch& microbatch) {
  LevellingCost cost;
  std::vector<SliceWork> works;
  works.reserve(microbatch.slices.size());
  for (const data::Slice& slice : microbatch.slices) {
    works.push_back(work_of(slice));
  }
  const auto slices = static_cast<double>(works.size());
  const double element = element_time(profile, layout);
  const double pair = 2.0 * profile.quadratic_ns / (double{1} * profile.layers * layout.group());
  const auto latency = static_cast<double>(profile.message_latency);
  const auto time = [&](const Moved& moved) {
    return moved.out > 0.0 ? (moved.out + moved.back) * element + 2.0 * latency : 0.0;
  };
  for (std::size_t q = 0; q < works.size(); ++q) {
    const Step step = step_of(profile, layout.pipeline, works, q);
    cost.forward += time(step.busiest.forward) / slices;
    cost.backward += time(step.busiest.backward) / slices;
    cost.saved += step.excess * pair / slices;
  }
  return cost;
}

void level_costs(const SequenceProfile& profile, const SequenceLayout& layout,
                 const data::Formation& formation, bool charged, UnitTable& table) {
  share_logits(profile, layout, formation, table);
  for (std::int32_t m = 0; m < table.microbatches(); ++m) {
    const LevellingCost cost =
        charged
            ? levelling_cost(profile, layout, formation.microbatches[static_cast<std::size_t>(m)])
            : LevellingCost{};
    if (!charged || cost.pays()) {
      level(m, table);
      charge(m, cost, table);
    }
  }
  if (charged) {
    charge_vocabulary(profile, layout, formation, table);
  }
}

}  // namespace stagecraft::elastic
