// The sections of a scenario file, each read by a file of its own into the Scenario. They report
// what is wrong to the reader and go on with what can still be checked.
#pragma once

#include "reader.hpp"
#include "stagecraft/scenario/scenario.hpp"

namespace stagecraft {

/// `schedule`: name, lowering and options.
void read_schedule(Reader& reader, Scenario& scenario);

/// `pipeline`: the shape, from what it, the layers and the lists per stage say. False if it is
/// unusable, so that nothing that depends on it can be checked.
[[nodiscard]] bool read_pipeline(Reader& reader, Scenario& scenario);

/// `layers`: what every layer costs; before read_pipeline, which checks the partition.
void read_layers(Reader& reader, Scenario& scenario);

/// `costs` and, with layers, their sums by stage.
void read_costs(Reader& reader, Scenario& scenario);

/// `memory` and `optimizer`.
void read_memory(Reader& reader, Scenario& scenario);
void read_optimizer(Reader& reader, Scenario& scenario);

/// `execute`: what the stages compute; after read_costs, whose slice shares cut its tokens.
void read_execute(Reader& reader, Scenario& scenario);

/// `communication`, `links` and `host_link`.
void read_network(Reader& reader, Scenario& scenario);

/// `data`, `training`, `parallelism`, `profile` and `model`.
void read_data(Reader& reader, Scenario& scenario);

/// `profile` and `model`; nothing if they are wrong.
[[nodiscard]] std::optional<SequenceProfile> read_profile(Reader& reader);

/// `schedule` of a scenario that brings data: a strategy and its options.
void read_strategy(Reader& reader, Scenario& scenario);

/// `search`: what is open; after all other sections.
void read_search(Reader& reader, Scenario& scenario);

/// Whether the scenario itself came from standard input, so that the value of `path` cannot be read
/// there too; reports it.
[[nodiscard]] bool refuse_standard_input(Reader& reader, std::string_view path,
                                         const Scenario& scenario);

/// The value at `path` along the axes it gives, sizes checked; nothing if absent or wrong.
[[nodiscard]] std::optional<Grid> read_grid(Reader& reader, const Scenario& scenario,
                                            std::string_view path);

/// Sums of the layers of every stage of `partition` ([S]); empty lists stay one zero.
[[nodiscard]] Grid sum_layers(const std::vector<std::int64_t>& values,
                              const std::vector<std::int32_t>& partition);

/// Layers per stage: even by count, the first stages taking one more where it does not divide.
[[nodiscard]] std::vector<std::int32_t> even_partition(std::int32_t layers, std::int32_t stages);

/// Fills the durations and activations of `costs` from the layers.
void set_layer_costs(const LayerCosts& layers, const std::vector<std::int32_t>& partition,
                     CostTable& costs);

}  // namespace stagecraft
