// Scenario files (DESIGN 4.2 a): YAML in, data out, every error with file:line:column.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/cost/cost_table.hpp"
#include "stagecraft/execute/stage_model.hpp"
#include "stagecraft/generators/generator.hpp"
#include "stagecraft/plan/pipeline.hpp"
#include "stagecraft/scenario/data_choices.hpp"
#include "stagecraft/scenario/search_choices.hpp"
#include "stagecraft/schedule/schedule.hpp"

namespace stagecraft {

/// What every layer costs; L entries each. A list that was not given is empty.
struct LayerCosts {
  std::vector<std::string> names;
  std::vector<Time> forward;           ///< ns
  std::vector<Time> backward_input;    ///< ns; empty if the backward is not split
  std::vector<Time> backward_weight;   ///< ns; empty if the backward is not split
  std::vector<Time> backward;          ///< ns, fused
  std::vector<Bytes> activation;       ///< allocated by F
  std::vector<Bytes> activation_kept;  ///< part of `activation` that W releases
  std::vector<Bytes> parameters;       ///< held all the time

  [[nodiscard]] std::int32_t count() const { return static_cast<std::int32_t>(forward.size()); }
};

/// Where the scenario names its schedule, for messages about it.
struct ScheduleChoice {
  std::string kind = "1f1b";
  GeneratorOptions options;
  P2pLowering p2p = P2pLowering::kBatched;
  SourcePlace place;
  std::string source_line;

  /// Where an option was given; its value may come from an override and the name from the file.
  struct OptionPlace {
    SourcePlace place;
    std::string source_line;
  };
  std::map<std::string, OptionPlace, std::less<>> option_places;
};

/// What a scenario says, checked and in engine units, before a schedule is chosen.
struct Scenario {
  std::string name;
  std::string file;  ///< where it was read from

  Pipeline pipeline;  ///< the shape it states or implies
  /// False where the scenario leaves the shape to the schedule.
  bool chunks_stated = false;
  bool placement_stated = false;
  bool partition_stated = false;

  /// Costs of the stages of `pipeline` on a device of speed 1, whole micro-batches unless a grid
  /// varies by slice. memory.resident holds `memory.resident` only, not layers' parameters.
  CostTable costs;
  std::vector<std::int64_t> speed;  ///< [P] billionths; empty: 1
  /// One list for all micro-batches, or [M]; weights in any scale. Empty: equal slices.
  std::vector<std::vector<std::int64_t>> slice_shares;

  std::optional<LayerCosts> layers;
  std::vector<std::int32_t> partition;  ///< [S] layers per stage; empty without layers

  /// What the stages of `pipeline` compute when they run for real (`execute`).
  std::optional<StageModel> model;
  SourcePlace model_place;
  std::string model_line;
  /// False if there are only `execute` and no durations: then all of them are 0 and nothing can be
  /// prepared.
  bool costs_given = true;

  /// Of a scenario that brings data: then `schedule` names a strategy, the pipeline and its costs
  /// follow for every iteration (data_scenario.hpp), and `costs_given` is false.
  std::optional<DataChoices> data;

  ScheduleChoice schedule;

  SearchChoices search;
  /// The same file read with each of `search.devices`, in that order; empty if there are none.
  std::vector<Scenario> of_devices;
};

/// A pipeline with its costs and options, ready for a generator.
struct PreparedRun {
  std::string scenario;  ///< its name
  std::string schedule;  ///< generator's name
  Pipeline pipeline;
  CostTable costs;
  GeneratorOptions options;
  P2pLowering p2p = P2pLowering::kBatched;
  /// How the stages were cut anew to fit the schedule ("2 chunks per device, vee"), or what the
  /// schedule is on the shape as given where that is not what it is made for; empty otherwise.
  std::string recut;
};

/// Reads a scenario from a text. `file` names it in messages and is the base of relative paths.
/// `overrides` are "key.path=value" as given to --set. Fails (bad input) with all errors at once.
[[nodiscard]] Result<Scenario> read_scenario(std::string_view text, const std::string& file,
                                             std::span<const std::string> overrides = {});

/// The same from a file; "-" is standard input.
[[nodiscard]] Result<Scenario> load_scenario(const std::string& path,
                                             std::span<const std::string> overrides = {});

/// May stages be cut anew where a schedule needs another number of them?
enum class Recut : std::uint8_t {
  kOpenOnly,  ///< only where the scenario leaves chunks and placement open
  kAllowed,   ///< always: for comparing schedules of different shapes
};

/// Resolves the shape for a schedule ("" is the scenario's own) and its costs: device speeds and
/// slices folded in. Where the stages are cut anew, a scenario of layers is partitioned evenly by
/// count again; otherwise every stage counts as equal pieces, so that work, activation memory and
/// transfers of the whole pipeline stay what they were. Fails (bad input) if the shape does not
/// fit, or if the scenario gives no costs; the message says what would.
[[nodiscard]] Result<PreparedRun> prepare(const Scenario& scenario, std::string_view schedule = {},
                                          Recut recut = Recut::kOpenOnly);

/// The scenario's model (`execute`) with the stages of `pipeline`, which `prepare` made of it: the
/// layers of a stage are divided among its pieces as its costs are. Fails (bad input) if there is
/// no such section, or if layers do not divide; the message says what would.
[[nodiscard]] Result<StageModel> model_of(const Scenario& scenario, const Pipeline& pipeline);

/// Generates the schedule of a prepared run, its lowering included. Failures carry the scenario's
/// place of the schedule where they have none.
[[nodiscard]] Result<Schedule> make_schedule(const Scenario& scenario, const PreparedRun& run);

}  // namespace stagecraft
