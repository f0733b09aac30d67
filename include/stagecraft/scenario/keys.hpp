// Every key of a scenario file, declared once: the reader's checks, the error messages and the
// reference page (`stagecraft list keys`) come from these records.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace stagecraft {

enum class KeyType : std::uint8_t {
  kText,
  kFlag,       ///< true or false
  kChoice,     ///< one of KeySpec::choices
  kInteger,    ///< a whole number
  kDuration,   ///< time; a bare number is in `time_unit`
  kBytes,      ///< size; a bare number is bytes
  kBandwidth,  ///< bytes per second, e.g. 25GB/s; 200Gb/s counts bits
  kRatio,      ///< a number, kept in billionths
  kTokens,     ///< a whole number of tokens; 48K is 49152
};

/// Along what a list under the key runs.
enum class KeyAxis : std::uint8_t {
  kNone,
  kStage,
  kBoundary,
  kDevice,
  kLayer,
  kMicrobatch,
  kValue
};

// In the order in which a record reads best.
// NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding)
struct KeySpec {
  std::string_view path;  ///< dotted, e.g. "pipeline.devices"
  KeyType type = KeyType::kText;
  KeyAxis axis = KeyAxis::kNone;
  /// Deepest nesting of lists: 0 one value only, 1 also a list along `axis`, 2 also lists of lists
  /// per micro-batch (of slices where the axis is micro-batches), 3 also per slice.
  int depth = 0;
  std::int64_t low = 0;  ///< smallest and largest value, in engine units
  std::int64_t high = 0;
  std::string_view choices = {};        ///< "loop | vee"
  std::string_view default_value = {};  ///< as written in a file; "" if the key has none
  std::string_view help = {};           ///< one sentence
  bool list_only = false;               ///< a single value will not do
};

/// All keys, in the order of the reference page.
[[nodiscard]] std::span<const KeySpec> scenario_keys();

/// nullptr if there is none of that path.
[[nodiscard]] const KeySpec* find_key(std::string_view path);

/// What a value must look like: "an integer from 1 to 65535".
[[nodiscard]] std::string expectation(const KeySpec& spec);

/// Markdown tables of all keys, a section each, with the options of every schedule.
[[nodiscard]] std::string keys_reference();

}  // namespace stagecraft
