// Options of strategies without a pipeline: a number, or that the planner finds one.
#pragma once

#include <cstdint>
#include <string_view>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/generators/generator.hpp"

namespace stagecraft::elastic::rounds {

struct Choice {
  enum class Kind : std::uint8_t {
    kAuto,    ///< by rule
    kBest,    ///< all of them are compared
    kNumber,  ///< as given
  };
  Kind kind = Kind::kAuto;
  std::int32_t value = 0;

  [[nodiscard]] bool automatic() const { return kind == Kind::kAuto; }
  [[nodiscard]] bool best() const { return kind == Kind::kBest; }
  [[nodiscard]] bool given() const { return kind == Kind::kNumber; }
};

/// "auto" or "best", where the spec's range offers them, or a number from low to high; what is not
/// given is as the spec's default says.
[[nodiscard]] Result<Choice> read_choice(const GeneratorOptions& options, std::string_view strategy,
                                         const OptionSpec& spec, std::int32_t low,
                                         std::int32_t high);

}  // namespace stagecraft::elastic::rounds
