#include "search/elastic/unit_table.hpp"

#include <algorithm>
#include <utility>

#include "search/elastic/levelled_costs.hpp"

namespace stagecraft::elastic {
namespace {

using data::Tokens;

/// Slice as costs see it: alone on a stage of an otherwise empty device.
data::Slice whole_slice(Tokens tokens) {
  return data::Slice{{data::Piece{0, 0, tokens, tokens}}};
}

Grid stage_unit_grid(const UnitTable& table, const std::vector<std::int64_t>& values,
                     std::int32_t max_slices) {
  const std::int32_t microbatches = table.microbatches();
  std::vector<std::int64_t> wide(static_cast<std::size_t>(table.stages) *
                                 static_cast<std::size_t>(microbatches) *
                                 static_cast<std::size_t>(max_slices));
  for (std::int32_t p = 0; p < table.stages; ++p) {
    for (std::int32_t u = 0; u < table.units; ++u) {
      const std::int32_t m = table.microbatch[static_cast<std::size_t>(u)];
      wide[static_cast<std::size_t>((std::int64_t{p} * microbatches + m) * max_slices +
                                    table.slice(u))] = values[table.at(p, u)];
    }
  }
  return Grid::per_slice(std::move(wide), microbatches, max_slices);
}

/// Overwrites durations and memory with those of the table.
void fold(const UnitTable& table, const Checkpointing& checkpointing, SequencePipeline& pipeline) {
  const std::int32_t slices = pipeline.pipeline.max_slices();
  std::vector<std::int64_t> recompute(table.forward.size());
  std::vector<std::int64_t> release(table.forward.size());
  std::vector<std::int64_t> input(table.forward.size());
  for (std::int32_t p = 0; p < table.stages; ++p) {
    for (std::int32_t u = 0; u < table.units; ++u) {
      const std::size_t at = table.at(p, u);
      const std::int32_t layers = checkpointing.at(p, u, table.units);
      recompute[at] = layers * table.layer[at];
      release[at] = -table.activation[at];
      input[at] = table.activation[at] - layers * table.saving[at];
    }
  }
  CostTable& costs = pipeline.costs;
  costs.forward = stage_unit_grid(table, table.forward, slices);
  costs.backward = stage_unit_grid(table, table.backward, slices);
  costs.recompute = stage_unit_grid(table, recompute, slices);
  costs.memory.forward = stage_unit_grid(table, table.activation, slices);
  costs.memory.backward_input = Grid::constant(0);
  costs.memory.backward_weight = stage_unit_grid(table, release, slices);
  costs.memory.stage_input = stage_unit_grid(table, input, slices);
}

void read_latencies(const CostTable& costs, UnitTable& table) {
  for (std::int32_t b = 0; b + 1 < table.stages; ++b) {
    for (std::int32_t u = 0; u < table.units; ++u) {
      table.latency.push_back(
          costs.transfers_by_unit
              ? costs.unit_transfer_latency.at(b, table.microbatch[static_cast<std::size_t>(u)],
                                               table.slice(u))
              : costs.transfer_latency[static_cast<std::size_t>(b)]);
    }
  }
}

struct Key {
  std::size_t slices = 0;
  Time forward = 0;
  std::int32_t microbatch = 0;
};

// `forward(m, q)`: time of a slice's forward on the first stage.
template <typename Forward>
std::vector<Key> longest_first(const Forward& forward, const data::Formation& formation) {
  std::vector<Key> keys;
  keys.reserve(formation.microbatches.size());
  for (std::size_t i = 0; i < formation.microbatches.size(); ++i) {
    const auto m = static_cast<std::int32_t>(i);
    Key key{formation.microbatches[i].slices.size(), 0, m};
    for (std::size_t q = 0; q < key.slices; ++q) {
      key.forward += forward(m, static_cast<std::int32_t>(q));
    }
    keys.push_back(key);
  }
  std::stable_sort(keys.begin(), keys.end(), [](const Key& a, const Key& b) {
    return a.slices != b.slices ? a.slices > b.slices : a.forward > b.forward;
  });
  return keys;
}

void reorder(const std::vector<Key>& keys, data::Formation& formation) {
  std::vector<data::MicroBatch> sorted;
  sorted.reserve(keys.size());
  for (const Key& key : keys) {
    sorted.push_back(std::move(formation.microbatches[static_cast<std::size_t>(key.microbatch)]));
  }
  formation.microbatches = std::move(sorted);
}

void reorder(const std::vector<Key>& keys, UnitTable& table) {
  std::vector<std::int32_t> from;  // unit of every unit
  from.reserve(static_cast<std::size_t>(table.units));
  std::vector<std::int32_t> first = {0};
  first.reserve(table.first.size());
  for (std::size_t m = 0; m < keys.size(); ++m) {
    const std::int32_t begin = table.first[static_cast<std::size_t>(keys[m].microbatch)];
    for (std::size_t q = 0; q < keys[m].slices; ++q) {
      table.microbatch[from.size()] = static_cast<std::int32_t>(m);
      from.push_back(begin + static_cast<std::int32_t>(q));
    }
    first.push_back(static_cast<std::int32_t>(from.size()));
  }
  table.first = std::move(first);
  std::vector<std::int64_t> row(from.size());
  for (std::vector<std::int64_t>* list : {&table.forward, &table.backward, &table.layer,
                                          &table.activation, &table.saving, &table.latency}) {
    for (std::size_t begin = 0; begin < list->size(); begin += from.size()) {
      for (std::size_t u = 0; u < from.size(); ++u) {
        row[u] = (*list)[begin + static_cast<std::size_t>(from[u])];
      }
      std::copy(row.begin(), row.end(), list->begin() + static_cast<std::ptrdiff_t>(begin));
    }
  }
}

}  // namespace

Result<UnitTable> unit_table(const SequenceProfile& profile, const SequenceLayout& layout,
                             const data::Formation& formation, CostRule rule) {
  UnitTable table;
  table.stages = layout.pipeline;
  table.first.reserve(formation.microbatches.size() + 1);
  table.first.push_back(0);
  for (std::size_t m = 0; m < formation.microbatches.size(); ++m) {
    const auto slices = static_cast<std::int32_t>(formation.microbatches[m].slices.size());
    table.first.push_back(table.first.back() + slices);
    table.microbatch.insert(table.microbatch.end(), static_cast<std::size_t>(slices),
                            static_cast<std::int32_t>(m));
  }
  table.units = table.first.back();
  const std::size_t cells =
      static_cast<std::size_t>(table.stages) * static_cast<std::size_t>(table.units);
  // One layer of every unit recomputed tells what recomputing a layer takes and frees.
  const Checkpointing one_layer{std::vector<std::int32_t>(cells, 1)};
  const Result<SequencePipeline> pipeline =
      sequence_pipeline(profile, layout, formation, one_layer);
  if (!pipeline) {
    return pipeline.failures();
  }
  const CostTable& costs = pipeline->costs;
  for (auto* list :
       {&table.forward, &table.backward, &table.layer, &table.activation, &table.saving}) {
    list->reserve(cells);
  }
  for (std::int32_t p = 0; p < table.stages; ++p) {
    table.layers.push_back(layers_of_stage(profile, layout, p));
    table.resident.push_back(costs.memory.resident_of(p));
    table.room.push_back(costs.memory.capacity_of(p) - table.resident.back());
    for (std::int32_t m = 0; m < table.microbatches(); ++m) {
      for (std::int32_t q = 0; q < table.slices_of(m); ++q) {
        table.forward.push_back(costs.forward.at(p, m, q));
        table.backward.push_back(costs.backward.at(p, m, q));
        table.layer.push_back(costs.recompute.at(p, m, q));
        table.activation.push_back(costs.memory.forward.at(p, m, q));
        table.saving.push_back(costs.memory.forward.at(p, m, q) -
                               costs.memory.stage_input.at(p, m, q));
      }
    }
  }
  read_latencies(costs, table);
  if (rule != CostRule::kPlain) {
    level_costs(profile, layout, formation, rule == CostRule::kLevelled, table);
  }
  return table;
}

Result<UnitTable> longest_first_table(const SequenceProfile& profile, const SequenceLayout& layout,
                                      data::Formation& formation, CostRule rule) {
  Result<UnitTable> table = unit_table(profile, layout, formation, rule);
  if (!table) {
    return table;
  }
  const std::vector<Key> keys = longest_first(
      [&](std::int32_t m, std::int32_t q) {
        return table->forward[table->at(0, table->first[static_cast<std::size_t>(m)] + q)];
      },
      formation);
  reorder(keys, formation);
  reorder(keys, *table);
  return table;
}

Time order_bound(const UnitTable& table) {
  const auto units = static_cast<std::size_t>(table.units);
  std::vector<Time> to(units, 0);  // of each unit, to the stage
  std::vector<Time> back(units, 0);
  Time bound = 0;
  for (std::int32_t p = 0; p < table.stages; ++p) {
    // A stage begins no earlier than its first unit arrives, and its last one still has to go back.
    Time load = *std::ranges::min_element(to) + *std::ranges::min_element(back);
    for (std::size_t u = 0; u < units; ++u) {
      const std::size_t at = table.at(p, 0) + u;
      load += table.forward[at] + table.backward[at];
      if (p + 1 < table.stages) {
        to[u] += table.forward[at] + table.latency[at];
        back[u] += table.backward[at] + table.latency[at];
      }
    }
    bound = std::max(bound, load);
  }
  return bound;
}

Result<SequencePipeline> costed_pipeline(const SequenceProfile& profile,
                                         const SequenceLayout& layout,
                                         const data::Formation& formation,
                                         const Checkpointing& checkpointing, CostRule rule) {
  Result<SequencePipeline> pipeline = sequence_pipeline(profile, layout, formation, checkpointing);
  if (!pipeline || rule == CostRule::kPlain) {
    return pipeline;
  }
  const Result<UnitTable> table = unit_table(profile, layout, formation, rule);
  if (!table) {
    return table.failures();
  }
  fold(*table, checkpointing, *pipeline);
  return pipeline;
}

Tokens most_tokens_of_slice(const SequenceProfile& profile, const SequenceLayout& layout) {
  Tokens most = data::kLongestSequence;
  for (std::int32_t p = 0; p < layout.pipeline; ++p) {
    const Bytes room = profile.capacity - profile.reserved - model_state_bytes(profile, layout, p);
    const auto needs = [&](Tokens tokens) {
      return unit_cost(profile, layout, p, whole_slice(tokens), true).activation;
    };
    Tokens low = 0;
    Tokens high = most;
    while (low < high) {
      const Tokens middle = low + (high - low + 1) / 2;
      if (needs(middle) <= room) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    most = low;
  }
  return most;
}

void sort_longest_first(const SequenceProfile& profile, const SequenceLayout& layout,
                        data::Formation& formation) {
  reorder(longest_first(
              [&](std::int32_t m, std::int32_t q) {
                const auto& microbatch = formation.microbatches[static_cast<std::size_t>(m)];
                return unit_cost(profile, layout, 0, microbatch.slices[static_cast<std::size_t>(q)],
                                 microbatch.split())
                    .forward();
              },
              formation),
          formation);
}

}  // namespace stagecraft::elastic
