#include <array>
#include <charconv>

#include <fmt/core.h>

#include "all.hpp"
#include "stagecraft/core/text.hpp"

namespace stagecraft {

std::span<const GeneratorInfo> generators() {
  // In the order of DESIGN 4.2, one line each. Initialised on first use: the infos live in other
  // files.
  // clang-format off
  static const GeneratorInfo all[] = {
      gpipe_info(),
      one_f_one_b_info(),
      eager_1f1b_info(),
      interleaved_info(),
      looped_bfs_info(),

      // Zero bubble, interleaved or with one stage per device.
      interleaved_zb_info(),
      zb_h1_info(),
      zb_h2_info(),
      zb_auto_info(),

      // V-shaped and overlapped.
      zbv_info(),
      v_half_info(),
      v_min_info(),
      v_flex_info(),
      v_1f1b_info(),
      dualpipe_info(),
      dualpipev_info(),

      // Slices, groups, waves and two directions.
      seq1f1b_info(),
      group_interleaved_info(),
      pipeoffload_info(),
      chimera_info(),
      hanayo_info(),
      terapipe_info(),

      // Driven by costs, and read from a file.
      greedy_info(),
      elastic_info(),
      file_info(),
  };
  // clang-format on
  return all;
}

const GeneratorInfo* find_generator(std::string_view name) {
  for (const GeneratorInfo& info : generators()) {
    if (info.name == name) {
      return &info;
    }
  }
  return nullptr;
}

Result<Schedule> generate(std::string_view name, const GeneratorInput& input) {
  const GeneratorInfo* info = find_generator(name);
  if (info != nullptr) {
    return info->generate(input);
  }
  std::vector<std::string_view> names;
  for (const GeneratorInfo& known : generators()) {
    names.push_back(known.name);
  }
  const std::string_view near = nearest_name(name, names);
  return bad_input(
      fmt::format("unknown schedule '{}', expected one of: {}", name, join(names, " ")),
      near.empty() ? "" : fmt::format("did you mean '{}'?", near));
}

Result<std::int64_t> integer_option(const GeneratorInput& input, std::string_view name,
                                    std::int64_t fallback, std::int64_t low, std::int64_t high) {
  const auto given = input.options.find(name);
  if (given == input.options.end()) {
    return fallback;
  }
  const std::string& text = given->second;
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < low || value > high) {
    return bad_input(fmt::format("schedule option '{}' is '{}', expected an integer from {} to {}",
                                 name, text, low, high));
  }
  return value;
}

Result<bool> flag_option(const GeneratorInput& input, std::string_view name, bool fallback) {
  const auto given = input.options.find(name);
  if (given == input.options.end()) {
    return fallback;
  }
  if (given->second == "true" || given->second == "false") {
    return given->second == "true";
  }
  return bad_input(
      fmt::format("schedule option '{}' is '{}', expected true or false", name, given->second));
}

}  // namespace stagecraft
