// Schedule generators: functions from (pipeline, costs, options) to a Schedule, in a registry by
// name. A new schedule is one new file in sim/generators and one line in registry.cpp.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/cost/cost_table.hpp"
#include "stagecraft/plan/pipeline.hpp"
#include "stagecraft/schedule/schedule.hpp"

namespace stagecraft {

/// One option of a generator, declared once: the scenario reader, error messages, `list schedules`
/// and the reference page all come from this record.
struct OptionSpec {
  std::string_view name;           ///< key beside `schedule.kind`
  std::string_view unit;           ///< "micro-batches", "bytes", "chunks", "" ...
  std::string_view default_value;  ///< as written in a file; "" = derived, see help
  std::string_view range;          ///< human text: "1 to M", "batched | overlap"
  std::string_view help;           ///< one sentence
};

/// Options as given: name -> text. The scenario reader has already refused unknown names.
using GeneratorOptions = std::map<std::string, std::string, std::less<>>;

struct GeneratorInput {
  const Pipeline& pipeline;
  const CostTable& costs;
  const GeneratorOptions& options;
};

/// A schedule of the field. `generate` never asserts on user input: what does not fit is a
/// diagnostic that says what would.
struct GeneratorInfo {
  std::string_view name;         ///< as in DESIGN 4.2
  std::string_view summary;      ///< one line
  std::string_view source;       ///< paper or code base
  std::string_view order;        ///< order rule
  std::string_view constraints;  ///< what P, M, V, placement it takes
  std::string_view bubble;       ///< bubble formula
  std::string_view memory;       ///< peak activation formula
  PlacementKind placement;       ///< the placement it is defined on (kExplicit: any)
  std::int32_t chunks = 0;       ///< chunks per device it needs; 0: any
  /// Chunks per device where the scenario leaves them open and `chunks` is 0: schedules made for
  /// several chunks say 2.
  std::int32_t usual_chunks = 1;
  bool needs_split_backward = false;
  std::span<const OptionSpec> options;
  Result<Schedule> (*generate)(const GeneratorInput&);
};

/// All generators in the order of DESIGN 4.2.
[[nodiscard]] std::span<const GeneratorInfo> generators();

/// nullptr if there is none of that name.
[[nodiscard]] const GeneratorInfo* find_generator(std::string_view name);

/// Looks the name up and generates; an unknown name is bad input that lists the nearest one.
[[nodiscard]] Result<Schedule> generate(std::string_view name, const GeneratorInput& input);

/// Typed access to options for generators; a malformed value is bad input naming option and range.
[[nodiscard]] Result<std::int64_t> integer_option(const GeneratorInput& input,
                                                  std::string_view name, std::int64_t fallback,
                                                  std::int64_t low, std::int64_t high);
[[nodiscard]] Result<bool> flag_option(const GeneratorInput& input, std::string_view name,
                                       bool fallback);

}  // namespace stagecraft
