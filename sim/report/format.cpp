#include "report/format.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>

namespace stagecraft::report {
namespace {

constexpr int kMostDecimals = 3;

struct Step {
  std::string_view unit;
  std::int64_t divisor;
  std::int64_t below;  ///< the unit suits values below this
};

constexpr std::array<Step, 4> kTimeSteps = {{{"ns", 1, kMicrosecond},
                                             {"µs", kMicrosecond, kMillisecond},
                                             {"ms", kMillisecond, 10 * kSecond},
                                             {"s", kSecond, kNever}}};
constexpr std::array<Step, 5> kMemorySteps = {
    {{"B", 1, std::int64_t{1} << 10},
     {"KiB", std::int64_t{1} << 10, std::int64_t{1} << 20},
     {"MiB", std::int64_t{1} << 20, std::int64_t{1} << 30},
     {"GiB", std::int64_t{1} << 30, std::int64_t{1} << 40},
     {"TiB", std::int64_t{1} << 40, kUnlimited}}};

std::string fixed(std::int64_t value, std::int64_t divisor, int decimals) {
  return fmt::format("{:.{}f}", static_cast<double>(value) / static_cast<double>(divisor),
                     decimals);
}

int decimals_needed(std::int64_t value, std::int64_t divisor) {
  const std::string text = fixed(value, divisor, kMostDecimals);
  int decimals = kMostDecimals;
  while (decimals > 0 &&
         text[text.size() - static_cast<std::size_t>(kMostDecimals - decimals) - 1] == '0') {
    --decimals;
  }
  return decimals;
}

Scale choose(std::span<const Step> steps, std::span<const std::int64_t> values) {
  std::int64_t largest = 0;
  for (const std::int64_t value : values) {
    largest = std::max(largest, std::abs(value));
  }
  const auto step = std::find_if(steps.begin(), steps.end() - 1,
                                 [largest](const Step& s) { return largest < s.below; });
  Scale scale{step->unit, step->divisor, 0};
  for (const std::int64_t value : values) {
    scale.decimals = std::max(scale.decimals, decimals_needed(value, step->divisor));
  }
  return scale;
}

std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;  // not a UTF-8 continuation byte
  }));
}

}  // namespace

Scale time_scale(std::span<const Time> values) {
  return choose(kTimeSteps, values);
}

Scale memory_scale(std::span<const Bytes> values) {
  Scale scale = choose(kMemorySteps, values);
  scale.decimals = std::min(scale.decimals, 2);
  return scale;
}

std::string scaled(std::int64_t value, const Scale& scale) {
  return fixed(value, scale.divisor, scale.decimals);
}

std::string time_text(Time value) {
  const Scale scale = time_scale(std::span(&value, 1));
  return fmt::format("{} {}", scaled(value, scale), scale.unit);
}

std::string rough_time_text(Time value) {
  const Scale scale = time_scale(std::span(&value, 1));
  const double quantity = static_cast<double>(value) / static_cast<double>(scale.divisor);
  const int whole = std::abs(quantity) >= 100.0 ? 0 : std::abs(quantity) >= 10.0 ? 1 : 2;
  return fmt::format("{:.{}f} {}", quantity, std::min(whole, scale.decimals), scale.unit);
}

std::string memory_text(Bytes value) {
  const Scale scale = memory_scale(std::span(&value, 1));
  return fmt::format("{} {}", scaled(value, scale), scale.unit);
}

std::string percent_text(double fraction) {
  return fmt::format("{:.1f} %", 100.0 * fraction);
}

std::string_view op_word(OpKind kind) {
  static constexpr std::array<std::string_view, kOpKindCount> kWords = {
      "forward",       "backward for inputs", "backward for weights",
      "backward",      "recompute",           "offload",
      "reload",        "overlapped pair",     "gradient reduction",
      "optimizer step"};
  return kWords[static_cast<std::size_t>(kind)];
}

std::string placement_text(const Pipeline& pipeline) {
  const std::int32_t chunks = pipeline.chunks();
  const std::string_view name = to_string(pipeline.placement);
  return chunks > 1 ? fmt::format("{} x{}", name, chunks) : std::string(name);
}

std::vector<int> chunk_of_stage(const Pipeline& pipeline) {
  std::vector<int> seen(static_cast<std::size_t>(pipeline.devices), 0);
  std::vector<int> chunk;
  chunk.reserve(pipeline.device_of_stage.size());
  for (const std::int32_t device : pipeline.device_of_stage) {
    chunk.push_back(seen[static_cast<std::size_t>(device)]++);
  }
  return chunk;
}

std::string TextTable::str() const {
  std::vector<std::size_t> widths(left_.size(), 0);
  for (const auto& row : rows_) {
    for (std::size_t column = 0; column < row.size(); ++column) {
      widths[column] = std::max(widths[column], width(row[column]));
    }
  }
  std::string text;
  const auto end_line = [&text] {
    text.erase(text.find_last_not_of(' ') + 1);
    text += '\n';
  };
  for (std::size_t r = 0; r < rows_.size(); ++r) {
    for (std::size_t column = 0; column < rows_[r].size(); ++column) {
      const std::string& cell = rows_[r][column];
      const std::string padding(widths[column] - width(cell), ' ');
      text += column == 0 ? "" : "  ";
      text += left_[column] ? cell + padding : padding + cell;
    }
    end_line();
    if (r == 0) {
      for (std::size_t column = 0; column < widths.size(); ++column) {
        text += column == 0 ? "" : "  ";
        text.append(widths[column], '-');
      }
      end_line();
    }
  }
  return text;
}

}  // namespace stagecraft::report
