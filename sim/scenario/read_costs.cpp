#include <algorithm>

#include <fmt/core.h>

#include "grids.hpp"
#include "sections.hpp"

namespace stagecraft {
namespace {

int depth_of(const Cells& cells) {
  int deepest = 0;
  for (const Cells& item : cells.items) {
    deepest = std::max(deepest, depth_of(item));
  }
  return cells.list ? deepest + 1 : 0;
}

/// Sizes of the lists: S (or S - 1 boundaries), then M, then the slices of each micro-batch. All
/// mismatches are reported.
bool check_sizes(Reader& reader, const Pipeline& pipeline, const Cells& cells,
                 std::string_view path, std::string_view stage_word) {
  const auto check = [&](const Cells& list, std::int32_t count, std::string_view what) {
    if (list.list && list.items.size() != static_cast<std::size_t>(count)) {
      reader.fail_count(list, path, static_cast<std::size_t>(count), what);
      return false;
    }
    return true;
  };
  if (!check(cells, pipeline.stages, stage_word)) {
    return false;
  }
  bool right = true;
  for (const Cells& stage : cells.items) {
    if (!check(stage, pipeline.microbatches, "micro-batch")) {
      right = false;
      continue;
    }
    for (std::size_t m = 0; m < stage.items.size(); ++m) {
      const bool fits = check(stage.items[m], pipeline.slices_of(static_cast<std::int32_t>(m)),
                              "slice of the micro-batch");
      right = right && fits;
    }
  }
  return right;
}

/// The value of a cell at (stage or boundary, micro-batch, slice), along the axes that it gives.
std::int64_t value_at(const Cells& cells, std::int32_t s, std::int32_t m, std::int32_t q) {
  const Cells* cell = &cells;
  for (const std::int32_t index : {s, m, q}) {
    if (cell->list) {
      cell = &cell->items[static_cast<std::size_t>(index)];
    }
  }
  return cell->value;
}

/// Transfers per boundary, or where they are stated deeper than that per unit.
struct Transfers {
  std::vector<std::int64_t> by_boundary;  ///< [S-1]; empty: nothing is given
  Grid by_unit;
  bool units_differ = false;
};

Transfers read_transfers(Reader& reader, const Scenario& scenario, std::string_view path) {
  Transfers transfers;
  const std::optional<Cells> cells = reader.cells(path);
  if (!cells) {
    return transfers;
  }
  const Pipeline boundaries = boundaries_of(scenario.pipeline);
  if (!check_sizes(reader, boundaries, *cells, path, "boundary between stages")) {
    return transfers;
  }
  for (std::int32_t s = 0; s < boundaries.stages; ++s) {
    transfers.by_boundary.push_back(value_at(*cells, s, 0, 0));
  }
  if (boundaries.stages > 0) {
    const auto axes = static_cast<GridAxes>(depth_of(*cells));
    transfers.units_differ = axes >= GridAxes::kMicrobatch;
    transfers.by_unit = fill_grid(
        boundaries, axes,
        [&](std::int32_t s, std::int32_t m, std::int32_t q) { return value_at(*cells, s, m, q); });
  }
  return transfers;
}

void read_transfers(Reader& reader, Scenario& scenario) {
  Transfers latency = read_transfers(reader, scenario, "costs.transfer");
  Transfers bytes = read_transfers(reader, scenario, "costs.transfer_bytes");
  if (latency.units_differ || bytes.units_differ) {
    set_transfers_by_unit(scenario.pipeline, std::move(latency.by_unit), std::move(bytes.by_unit),
                          scenario.costs);
    return;
  }
  scenario.costs.transfer_latency = std::move(latency.by_boundary);
  scenario.costs.transfer_bytes = std::move(bytes.by_boundary);
}

void read_slice_shares(Reader& reader, Scenario& scenario) {
  const std::optional<Cells> shares = reader.cells("costs.slice_shares");
  if (!shares) {
    return;
  }
  const Pipeline& pipeline = scenario.pipeline;
  const bool nested = std::any_of(shares->items.begin(), shares->items.end(),
                                  [](const Cells& item) { return item.list; });
  if (nested && shares->items.size() != static_cast<std::size_t>(pipeline.microbatches)) {
    reader.fail_count(*shares, "costs.slice_shares",
                      static_cast<std::size_t>(pipeline.microbatches), "micro-batch");
    return;
  }
  const auto add_row = [&](const Cells& row, std::int32_t slices) {
    std::vector<std::int64_t> weights;
    weights.reserve(row.items.size());
    for (const Cells& item : row.items) {
      weights.push_back(item.value);
    }
    if (weights.size() != static_cast<std::size_t>(slices)) {
      reader.fail(*row.node, fmt::format("'costs.slice_shares' lists {} shares, expected {}: one "
                                         "per slice of the micro-batch",
                                         weights.size(), slices));
    }
    scenario.slice_shares.push_back(std::move(weights));
  };
  if (nested) {
    for (std::int32_t m = 0; m < pipeline.microbatches; ++m) {
      add_row(shares->items[static_cast<std::size_t>(m)], pipeline.slices_of(m));
    }
    return;
  }
  const auto most = pipeline.max_slices();
  const bool uniform = std::all_of(pipeline.slices.begin(), pipeline.slices.end(),
                                   [&](std::int32_t n) { return n == most; });
  if (!uniform) {
    reader.fail(*shares->node,
                "one list of 'costs.slice_shares' cannot serve micro-batches of "
                "different slices, expected a list per micro-batch");
    return;
  }
  add_row(*shares, most);
}

/// The backward: both parts, the fused time, or all three.
void read_backward(Reader& reader, Scenario& scenario) {
  CostTable& costs = scenario.costs;
  const bool input = reader.has("costs.backward_input");
  const bool weight = reader.has("costs.backward_weight");
  const bool fused = reader.has("costs.backward");
  if (input != weight) {
    reader.fail(input ? "costs.backward_input" : "costs.backward_weight",
                fmt::format("'costs.{}' is missing, expected it beside 'costs.{}'",
                            input ? "backward_weight" : "backward_input",
                            input ? "backward_input" : "backward_weight"),
                "or give costs.backward alone, when the backward is not split");
  } else if (!input && !fused) {
    reader.fail("costs",
                "the backward's duration is missing, expected 'costs.backward_input' and "
                "'costs.backward_weight', or 'costs.backward'");
  }
  const std::optional<Grid> b = read_grid(reader, scenario, "costs.backward_input");
  const std::optional<Grid> w = read_grid(reader, scenario, "costs.backward_weight");
  const std::optional<Grid> bw = read_grid(reader, scenario, "costs.backward");
  if (b && w) {
    costs.split_backward = true;
    costs.backward_input = *b;
    costs.backward_weight = *w;
    costs.backward = add(*b, *w, scenario.pipeline);
  }
  if (bw) {
    costs.backward = *bw;
  }
}

void refuse_beside_layers(Reader& reader) {
  for (const std::string_view path :
       {"costs.forward", "costs.backward_input", "costs.backward_weight", "costs.backward"}) {
    if (reader.has(path)) {
      reader.fail(path,
                  fmt::format("'{}' is given beside 'layers', expected one of the two", path));
    }
  }
}

/// Durations that a scenario may leave out as a whole if it says what its stages compute.
bool durations_given(const Reader& reader) {
  constexpr std::string_view kDurations[] = {"costs.forward",         "costs.backward_input",
                                             "costs.backward_weight", "costs.backward",
                                             "costs.overlapped",      "costs.recompute"};
  return !reader.has("execute") ||
         std::any_of(std::begin(kDurations), std::end(kDurations),
                     [&](std::string_view path) { return reader.has(path); });
}

void read_durations(Reader& reader, Scenario& scenario) {
  if (const std::optional<Grid> forward = read_grid(reader, scenario, "costs.forward")) {
    scenario.costs.forward = *forward;
  } else if (!reader.has("costs.forward")) {
    reader.fail("costs",
                "'costs.forward' is missing, expected " + expectation(*find_key("costs.forward")));
  }
  read_backward(reader, scenario);
}

}  // namespace

std::optional<Grid> read_grid(Reader& reader, const Scenario& scenario, std::string_view path) {
  const Pipeline& pipeline = scenario.pipeline;
  const std::optional<Cells> cells = reader.cells(path);
  if (!cells || !check_sizes(reader, pipeline, *cells, path, "stage")) {
    return std::nullopt;
  }
  return fill_grid(
      pipeline, static_cast<GridAxes>(depth_of(*cells)),
      [&](std::int32_t s, std::int32_t m, std::int32_t q) { return value_at(*cells, s, m, q); });
}

void read_costs(Reader& reader, Scenario& scenario) {
  CostTable& costs = scenario.costs;
  if (scenario.layers) {
    refuse_beside_layers(reader);
    if (!scenario.partition.empty()) {
      set_layer_costs(*scenario.layers, scenario.partition, costs);
    }
  } else if (durations_given(reader)) {
    read_durations(reader, scenario);
  } else {
    scenario.costs_given = false;
  }
  costs.recompute = read_grid(reader, scenario, "costs.recompute").value_or(costs.forward);
  if (const std::optional<Grid> offload = read_grid(reader, scenario, "costs.offload")) {
    costs.offload_given = true;
    costs.offload = *offload;
  }
  costs.reload = read_grid(reader, scenario, "costs.reload").value_or(costs.offload);
  if (reader.has("costs.reload") && !reader.has("costs.offload")) {
    reader.fail("costs.reload", "'costs.offload' is missing, expected it beside 'costs.reload'");
  }
  if (const std::optional<Grid> pair = read_grid(reader, scenario, "costs.overlapped")) {
    costs.overlapped_given = true;
    costs.overlapped = *pair;
  }
  read_transfers(reader, scenario);
  read_slice_shares(reader, scenario);
}

}  // namespace stagecraft
