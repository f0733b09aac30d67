#include "placement.hpp"

#include <algorithm>
#include <optional>

namespace stagecraft::search::adaptis {
namespace {

constexpr std::int32_t kRowsVaried = 10;
constexpr std::int32_t kRowSeeds = 4;
constexpr std::int32_t kSwaps = 64;

bool before(const RankedPlacement& a, const RankedPlacement& b) {
  return std::tie(a.proxy, a.device_of_stage) < std::tie(b.proxy, b.device_of_stage);
}

// The best few by proxy, sorted, all different.
class Beam {
 public:
  explicit Beam(std::size_t most) : most_(most) {}

  void add(const PlacementLoads& loads) {
    const Proxy proxy = loads.proxy();
    if (kept_.size() == most_ && proxy > kept_.back().proxy) {
      return;
    }
    RankedPlacement ranked{loads.placement(), proxy};
    const auto place = std::lower_bound(kept_.begin(), kept_.end(), ranked, before);
    if (place != kept_.end() && place->device_of_stage == ranked.device_of_stage) {
      return;
    }
    kept_.insert(place, std::move(ranked));
    if (kept_.size() > most_) {
      kept_.pop_back();
    }
  }
  [[nodiscard]] std::vector<RankedPlacement> take() { return std::move(kept_); }

 private:
  std::size_t most_;
  std::vector<RankedPlacement> kept_;
};

struct Transfer {
  std::size_t stage = 0;
  std::int32_t device = 0;
};

// Calls visit(transfer) for each single-stage transfer, with the stage at its new place.
template <typename Visit>
void for_each_transfer(PlacementLoads& loads, std::int32_t devices, std::int32_t most_chunks,
                       Visit&& visit) {
  for (std::size_t s = 0; s < loads.placement().size(); ++s) {
    const std::int32_t home = loads.placement()[s];
    if (loads.stages_on(home) == 1) {
      continue;
    }
    for (std::int32_t d = 0; d < devices; ++d) {
      if (d != home && loads.stages_on(d) < most_chunks) {
        loads.move(s, d);
        visit(Transfer{s, d});
        loads.move(s, home);
      }
    }
  }
}

void add_transfers(PlacementLoads& loads, std::int32_t devices, std::int32_t most_chunks,
                   Beam& beam) {
  for_each_transfer(loads, devices, most_chunks, [&](Transfer) { beam.add(loads); });
}

// Moves the stage whose transfer lowers the proxy most, while one does.
void transfer_greedily(PlacementLoads& loads, std::int32_t devices, std::int32_t most_chunks,
                       Beam& beam) {
  while (true) {
    Proxy best = loads.proxy();
    std::optional<Transfer> chosen;
    for_each_transfer(loads, devices, most_chunks, [&](Transfer transfer) {
      if (const Proxy proxy = loads.proxy(); proxy < best) {
        best = proxy;
        chosen = transfer;
      }
    });
    if (!chosen) {
      return;
    }
    loads.move(chosen->stage, chosen->device);
    beam.add(loads);
  }
}

// Parts every pair of neighbours on one device: the later one goes where the proxy is smallest.
void disperse(PlacementLoads& loads, std::int32_t devices, std::int32_t most_chunks, Beam& beam) {
  for (std::size_t s = 1; s < loads.placement().size(); ++s) {
    const std::int32_t home = loads.placement()[s];
    if (home != loads.placement()[s - 1] || loads.stages_on(home) == 1) {
      continue;
    }
    std::optional<Proxy> best;
    std::int32_t target = home;
    for (std::int32_t d = 0; d < devices; ++d) {
      const bool beside = s + 1 < loads.placement().size() && loads.placement()[s + 1] == d;
      if (d == home || beside || loads.stages_on(d) >= most_chunks) {
        continue;
      }
      loads.move(s, d);
      if (const Proxy proxy = loads.proxy(); !best || proxy < *best) {
        best = proxy;
        target = d;
      }
      loads.move(s, home);
    }
    if (target != home) {
      loads.move(s, target);
      beam.add(loads);
    }
  }
}

void swap(PlacementLoads& loads, std::size_t a, std::size_t b) {
  const std::int32_t first = loads.placement()[a];
  const std::int32_t second = loads.placement()[b];
  loads.move(a, second);
  loads.move(b, first);
}

void swap_at_random(PlacementLoads& loads, Random& random, Beam& beam) {
  const auto last = static_cast<std::int64_t>(loads.placement().size()) - 1;
  for (std::int32_t k = 0; k < kSwaps; ++k) {
    const auto a = static_cast<std::size_t>(random.uniform(0, last));
    const auto b = static_cast<std::size_t>(random.uniform(0, last));
    if (loads.placement()[a] != loads.placement()[b]) {
      swap(loads, a, b);
      beam.add(loads);
      swap(loads, a, b);
    }
  }
}

}  // namespace

std::vector<RankedPlacement> row_placements(const LayerLoads& layers, std::span<const Load> stages,
                                            std::size_t beam) {
  const std::int32_t devices = layers.devices();
  const auto count = static_cast<std::int32_t>(stages.size());
  const std::int32_t rows = (count + devices - 1) / devices;
  Beam kept(beam);
  for (std::uint32_t turned = 0; turned < (1U << std::min(rows - 1, kRowsVaried)); ++turned) {
    std::vector<std::int32_t> placement;
    for (std::int32_t s = 0; s < count; ++s) {
      const std::int32_t row = s / devices;
      const bool descends = row > 0 && row <= kRowsVaried && ((turned >> (row - 1)) & 1U) != 0;
      placement.push_back(descends ? devices - 1 - s % devices : s % devices);
    }
    kept.add(PlacementLoads(layers, stages, std::move(placement)));
  }
  return kept.take();
}

std::vector<RankedPlacement> candidate_placements(const LayerLoads& layers,
                                                  std::span<const Load> stages,
                                                  std::int32_t most_chunks, std::size_t beam,
                                                  Random& random) {
  const std::int32_t devices = layers.devices();
  const auto count = static_cast<std::int32_t>(stages.size());
  std::vector<std::vector<std::int32_t>> seeds = {round_robin(count, devices)};
  if (count % devices == 0) {
    for (RankedPlacement& row : row_placements(layers, stages, kRowSeeds)) {
      if (row.device_of_stage != seeds.front()) {
        seeds.push_back(std::move(row.device_of_stage));
      }
    }
  }
  Beam kept(beam);
  for (const std::vector<std::int32_t>& seed : seeds) {
    PlacementLoads loads(layers, stages, seed);
    kept.add(loads);
    add_transfers(loads, devices, most_chunks, kept);
    swap_at_random(loads, random, kept);
    disperse(loads, devices, most_chunks, kept);
    transfer_greedily(loads, devices, most_chunks, kept);
    PlacementLoads transferred(layers, stages, seed);
    transfer_greedily(transferred, devices, most_chunks, kept);
    disperse(transferred, devices, most_chunks, kept);
  }
  return kept.take();
}

std::vector<RankedPlacement> neighbour_placements(const LayerLoads& layers,
                                                  std::span<const Load> stages,
                                                  const std::vector<std::int32_t>& device_of_stage,
                                                  std::int32_t most_chunks, std::size_t beam) {
  Beam kept(beam);
  PlacementLoads loads(layers, stages, device_of_stage);
  add_transfers(loads, layers.devices(), most_chunks, kept);
  for (std::size_t a = 0; a < stages.size(); ++a) {
    for (std::size_t b = a + 1; b < stages.size(); ++b) {
      if (device_of_stage[a] != device_of_stage[b]) {
        swap(loads, a, b);
        kept.add(loads);
        swap(loads, a, b);
      }
    }
  }
  return kept.take();
}

}  // namespace stagecraft::search::adaptis
