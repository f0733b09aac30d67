// Writes a prepared run as a scenario file, by stage or, for plans, by layer.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "grids.hpp"
#include "stagecraft/core/check.hpp"
#include "stagecraft/execute/stage_model.hpp"
#include "stagecraft/scenario/scenario.hpp"
#include "stagecraft/search/problem.hpp"

namespace stagecraft {

/// "[a, b, c]", or just "a" if all are the same.
template <typename Value>
[[nodiscard]] std::string list_value(const std::vector<Value>& values) {
  STAGECRAFT_CHECK(!values.empty(), "an empty list says nothing");
  if (std::equal(values.begin() + 1, values.end(), values.begin())) {
    return fmt::format("{}", values.front());
  }
  std::string text;
  for (const Value& value : values) {
    text += fmt::format("{}{}", text.empty() ? "[" : ", ", value);
  }
  return text + "]";
}

/// "[a, b, c]".
template <typename Value>
[[nodiscard]] std::string full_list(const std::vector<Value>& values) {
  return fmt::format("[{}]", fmt::join(values, ", "));
}

/// "[a, b, c]" of `count` texts.
[[nodiscard]] std::string entries(std::int32_t count,
                                  const std::function<std::string(std::int32_t)>& entry);

/// A text as YAML takes it: bare where nothing in it means anything to YAML.
[[nodiscard]] std::string text_value(std::string_view text);

/// What a plan states by layer instead of by stage.
struct PlanLayers {
  search::Layers layers;
  std::vector<std::int32_t> partition;
};

/// One scenario in YAML, written once.
class Writer {
 public:
  Writer(const PreparedRun& run, const std::optional<StageModel>& model,
         const PlanLayers* layers = nullptr)
      : run_(run), costs_(run.costs), pipeline_(run.pipeline), model_(model), layers_(layers) {}

  std::string take() {
    line("name", text_value(run_.scenario));
    line("time_unit", "ns");
    write_pipeline();
    write_layers();
    section("costs");
    write_durations();
    write_transfers();
    write_network();
    write_memory();
    write_optimizer();
    write_model();
    write_schedule();
    return std::move(text_);
  }

 private:
  void section(std::string_view name) {
    text_ += fmt::format("{}:\n", name);
    indent_ = "  ";
  }
  void end_section() { indent_.clear(); }
  void line(std::string_view key, std::string_view value) {
    text_ += fmt::format("{}{}: {}\n", indent_, key, value);
  }

  /// The op lists as they are, one line per device.
  void ops_block(std::string_view text) {
    text_ += fmt::format("{}ops: |\n", indent_);
    while (!text.empty()) {
      const std::size_t end = std::min(text.find('\n'), text.size());
      text_ += fmt::format("{}  {}\n", indent_, text.substr(0, end));
      text.remove_prefix(std::min(end + 1, text.size()));
    }
  }

  /// One entry per stage (or boundary): a value, or a list per micro-batch.
  void stage_lines(std::string_view key, const Grid& grid, GridAxes axes, std::int32_t stages) {
    text_ += fmt::format("{}{}:\n", indent_, key);
    const bool by_slice = axes == GridAxes::kSlice;
    for (std::int32_t s = 0; s < stages; ++s) {
      text_ += fmt::format("{}  - {}\n", indent_, entries(pipeline_.microbatches, [&](auto m) {
                             return !by_slice ? std::to_string(grid.at(s, m))
                                              : entries(pipeline_.slices_of(m), [&](auto q) {
                                                  return std::to_string(grid.at(s, m, q));
                                                });
                           }));
    }
  }

  void grid(std::string_view key, const Grid& grid, GridAxes axes, std::int32_t stages) {
    if (axes >= GridAxes::kMicrobatch) {
      stage_lines(key, grid, axes, stages);
      return;
    }
    std::vector<std::int64_t> values;
    for (std::int32_t s = 0; s < (axes == GridAxes::kNone ? 1 : stages); ++s) {
      values.push_back(grid.at(s, 0));
    }
    line(key, list_value(values));
  }
  /// Durations and memory of whole micro-batches are cut into slices when they are read, so those
  /// of slices are written slice by slice.
  void cut_grid(std::string_view key, const Grid& values) {
    grid(key, values, pipeline_.max_slices() > 1 ? GridAxes::kSlice : axes_of(values),
         pipeline_.stages);
  }
  [[nodiscard]] bool same(const Grid& a, const Grid& b) const {
    for (std::int32_t s = 0; s < pipeline_.stages; ++s) {
      for (std::int32_t m = 0; m < pipeline_.microbatches; ++m) {
        for (std::int32_t q = 0; q < pipeline_.slices_of(m); ++q) {
          if (a.at(s, m, q) != b.at(s, m, q)) {
            return false;
          }
        }
      }
    }
    return true;
  }

  void write_pipeline();
  void write_layers();
  void write_backward();
  void write_durations();
  void write_transfers();
  void write_network();
  void write_memory();
  void write_optimizer();
  void write_model();
  void write_schedule();

  const PreparedRun& run_;
  const CostTable& costs_;
  const Pipeline& pipeline_;
  const std::optional<StageModel>& model_;
  const PlanLayers* layers_;
  std::string indent_;
  std::string text_;
};

}  // namespace stagecraft
