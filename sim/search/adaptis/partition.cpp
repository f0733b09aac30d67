#include "partition.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

#include "stagecraft/core/check.hpp"

namespace stagecraft::search::adaptis {
namespace {

constexpr int kBoundaryMoves = 800;
constexpr int kUnorderedMoves = 500;

std::vector<std::int32_t> in_order(std::int32_t count) {
  std::vector<std::int32_t> ids(static_cast<std::size_t>(count));
  std::iota(ids.begin(), ids.end(), 0);
  return ids;
}

// Loads of one stage per device, in order.
std::vector<Load> line_loads(const LayerLoads& layers, std::span<const std::int32_t> partition) {
  std::vector<Load> loads = layers.of_stages(partition);
  for (std::size_t s = 0; s < loads.size(); ++s) {
    loads[s] = layers.on_device(loads[s], static_cast<std::int32_t>(s));
  }
  return loads;
}

std::vector<std::int32_t> fill(const LayerLoads& layers) {
  const std::int32_t devices = layers.devices();
  const Load limit = layers.total() / devices * 105 / 100;
  std::vector<std::int32_t> partition;
  std::int32_t from = 0;
  for (std::int32_t d = 0; d < devices; ++d) {
    const std::int32_t last = layers.count() - (devices - 1 - d);  // one layer for each one to come
    std::int32_t to = from + 1;
    while (to < last &&
           (d == devices - 1 || layers.on_device(layers.between(from, to + 1), d) <= limit)) {
      ++to;
    }
    partition.push_back(to - from);
    from = to;
  }
  return partition;
}

// The best single move of a layer over a boundary; false if none lowers the variance and fits.
bool move_boundary(const LayerLoads& layers, const Fits& fits, Shape& shape) {
  const Load now = variance(line_loads(layers, shape.partition));
  Load best = now;
  std::vector<std::int32_t> chosen;
  for (std::size_t s = 0; s + 1 < shape.partition.size(); ++s) {
    for (const auto& [from, to] : {std::pair{s, s + 1}, std::pair{s + 1, s}}) {
      if (shape.partition[from] == 1) {
        continue;
      }
      Shape next = shape;
      --next.partition[from];
      ++next.partition[to];
      const Load value = variance(line_loads(layers, next.partition));
      if (value < best && fits(next)) {
        best = value;
        chosen = std::move(next.partition);
      }
    }
  }
  if (chosen.empty()) {
    return false;
  }
  shape.partition = std::move(chosen);
  return true;
}

// Layers on devices, one layer per stage.
class UnorderedLayers {
 public:
  UnorderedLayers(const LayerLoads& layers, const Fits& fits)
      : layers_(layers), fits_(fits), device_of_(static_cast<std::size_t>(layers.count()), 0) {
    loads_.assign(static_cast<std::size_t>(layers.devices()), 0);
    held_.assign(loads_.size(), 0);
  }

  void place_longest_first() {
    std::vector<std::int32_t> order = in_order(layers_.count());
    std::ranges::stable_sort(
        order, [this](std::int32_t a, std::int32_t b) { return weight(a) > weight(b); });
    for (const std::int32_t layer : order) {
      std::size_t target = 0;
      for (std::size_t d = 1; d < loads_.size(); ++d) {
        target = loads_[d] < loads_[target] ? d : target;
      }
      put(layer, static_cast<std::int32_t>(target), 1);
    }
  }

  // The best single move or swap, if one lowers the variance and fits.
  bool improve() {
    const Load now = variance(loads_);
    Load best = now;
    std::vector<std::int32_t> chosen;
    const auto consider = [&] {
      if (const Load value = variance(loads_); value < best && fits_(shape())) {
        best = value;
        chosen = device_of_;
      }
    };
    for (std::int32_t layer = 0; layer < layers_.count(); ++layer) {
      const std::int32_t home = device(layer);
      for (std::int32_t d = 0; d < layers_.devices(); ++d) {
        if (d != home && held_[static_cast<std::size_t>(home)] > 1) {
          move(layer, d);
          consider();
          move(layer, home);
        }
      }
      for (std::int32_t other = layer + 1; other < layers_.count(); ++other) {
        const std::int32_t away = device(other);
        if (away != home && weight(other) != weight(layer)) {
          move(layer, away);
          move(other, home);
          consider();
          move(other, away);
          move(layer, home);
        }
      }
    }
    if (chosen.empty()) {
      return false;
    }
    for (std::int32_t layer = 0; layer < layers_.count(); ++layer) {
      move(layer, chosen[static_cast<std::size_t>(layer)]);
    }
    return true;
  }

  [[nodiscard]] Shape shape() const {
    return {std::vector<std::int32_t>(device_of_.size(), 1), device_of_};
  }

 private:
  [[nodiscard]] Load weight(std::int32_t layer) const { return layers_.between(layer, layer + 1); }
  [[nodiscard]] std::int32_t device(std::int32_t layer) const {
    return device_of_[static_cast<std::size_t>(layer)];
  }
  void put(std::int32_t layer, std::int32_t d, int sign) {
    loads_[static_cast<std::size_t>(d)] += sign * layers_.on_device(weight(layer), d);
    held_[static_cast<std::size_t>(d)] += sign;
    device_of_[static_cast<std::size_t>(layer)] = d;
  }
  void move(std::int32_t layer, std::int32_t d) {
    put(layer, device(layer), -1);
    put(layer, d, 1);
  }

  const LayerLoads& layers_;
  const Fits& fits_;
  std::vector<std::int32_t> device_of_;
  std::vector<Load> loads_;
  std::vector<std::int32_t> held_;
};

// A partition of the first n layers into k stages, as a step from one of k-1.
struct Step {
  Load squares = 0;
  std::int32_t from = 0;   // layers before the last stage
  std::uint32_t rank = 0;  // which of the partitions of those
};
using Cell = std::vector<Step>;

// Puts a step into a sorted cell of at most `most`; of equal ones the first stays in front.
bool insert(Cell& cell, const Step& step, std::size_t most) {
  if (cell.size() == most && step.squares >= cell.back().squares) {
    return false;
  }
  const auto place =
      std::upper_bound(cell.begin(), cell.end(), step,
                       [](const Step& a, const Step& b) { return a.squares < b.squares; });
  cell.insert(place, step);
  if (cell.size() > most) {
    cell.pop_back();
  }
  return true;
}

void fill_cell(const LayerLoads& layers, const std::vector<Cell>& previous, std::int32_t stages,
               std::int32_t consumed, std::size_t most, Cell& cell) {
  for (std::int32_t from = consumed - 1; from >= stages - 1; --from) {
    const Load load = layers.between(from, consumed);
    const Load square = load * load;
    if (cell.size() == most && square >= cell.back().squares) {
      return;  // a longer last stage only costs more
    }
    const Cell& before = previous[static_cast<std::size_t>(from)];
    for (std::uint32_t rank = 0; rank < before.size(); ++rank) {
      if (!insert(cell, {before[rank].squares + square, from, rank}, most)) {
        break;
      }
    }
  }
}

}  // namespace

std::vector<std::int32_t> filled_partition(const LayerLoads& layers, const Fits& fits) {
  STAGECRAFT_CHECK(layers.count() >= layers.devices(), "fewer layers than devices");
  Shape shape{fill(layers), in_order(layers.devices())};
  for (int move = 0; move < kBoundaryMoves && move_boundary(layers, fits, shape); ++move) {
  }
  return shape.partition;
}

std::vector<std::int32_t> longest_first(const LayerLoads& layers, const Fits& fits) {
  STAGECRAFT_CHECK(layers.count() >= layers.devices(), "fewer layers than devices");
  UnorderedLayers unordered(layers, fits);
  unordered.place_longest_first();
  for (int move = 0; move < kUnorderedMoves && unordered.improve(); ++move) {
  }
  return unordered.shape().device_of_stage;
}

std::vector<std::vector<std::int32_t>> best_partitions(const LayerLoads& layers,
                                                       std::int32_t stages, std::size_t most) {
  const std::int32_t count = layers.count();
  std::vector<std::vector<std::int32_t>> partitions;
  if (stages > count) {
    return partitions;
  }
  std::vector<std::vector<Cell>> cells(static_cast<std::size_t>(stages) + 1,
                                       std::vector<Cell>(static_cast<std::size_t>(count) + 1));
  cells[0][0].push_back({});
  for (std::int32_t k = 1; k <= stages; ++k) {
    const auto& previous = cells[static_cast<std::size_t>(k - 1)];
    // Every later stage needs a layer; the last takes all that are left.
    const std::int32_t first = k == stages ? count : k;
    for (std::int32_t n = first; n <= count - (stages - k); ++n) {
      fill_cell(layers, previous, k, n, most,
                cells[static_cast<std::size_t>(k)][static_cast<std::size_t>(n)]);
    }
  }
  const Cell& last = cells.back().back();
  for (std::uint32_t rank = 0; rank < last.size(); ++rank) {
    std::vector<std::int32_t> partition(static_cast<std::size_t>(stages));
    std::int32_t n = count;
    std::uint32_t at = rank;
    for (std::int32_t k = stages; k > 0; --k) {
      const Step& step = cells[static_cast<std::size_t>(k)][static_cast<std::size_t>(n)][at];
      partition[static_cast<std::size_t>(k - 1)] = n - step.from;
      n = step.from;
      at = step.rank;
    }
    partitions.push_back(std::move(partition));
  }
  return partitions;
}

}  // namespace stagecraft::search::adaptis
