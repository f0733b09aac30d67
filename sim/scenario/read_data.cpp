// What a scenario says about its data: lengths, sampling, iterations, and how many GPUs share what.
#include <algorithm>
#include <filesystem>

#include <fmt/core.h>

#include "sections.hpp"
#include "stagecraft/data/lengths.hpp"

namespace stagecraft {
namespace {

/// A number that has a default in `fallback`.
template <typename Number>
Number number_or(Reader& reader, std::string_view path, Number fallback) {
  const std::optional<std::int64_t> value = reader.number(path);
  return value ? static_cast<Number>(*value) : fallback;
}

data::FileOptions file_options(Reader& reader, const Scenario& scenario) {
  constexpr data::FileFormat kFormats[] = {data::FileFormat::kAuto, data::FileFormat::kLines,
                                           data::FileFormat::kCsv, data::FileFormat::kJsonLines};
  data::FileOptions options;
  options.format = kFormats[reader.choice("data.format").value_or(0)];
  options.column = reader.text("data.column").value_or("");
  options.field = reader.text("data.field").value_or("");
  options.skip_malformed = reader.flag("data.skip_malformed").value_or(false);
  if (scenario.file != "-") {
    options.directory = std::filesystem::path(scenario.file).parent_path().string();
  }
  return options;
}

void read_lengths(Reader& reader, const Scenario& scenario, DataChoices& data) {
  const data::FileOptions options = file_options(reader, scenario);
  const std::optional<std::string> text = reader.text("data.lengths");
  const std::optional<std::int64_t> constant = reader.number("data.sequence_length");
  if (reader.has("data.lengths") && reader.has("data.sequence_length")) {
    reader.fail("data.sequence_length",
                "'data.sequence_length' stands beside 'data.lengths', expected one of them");
    return;
  }
  if (!reader.has("data.lengths") && !reader.has("data.sequence_length")) {
    reader.fail("data", "'data' lacks 'lengths', expected a file, a stand-in or an expression",
                "write lengths: commoncrawl, or see `stagecraft list data`");
    return;
  }
  if (!text && !constant) {
    return;
  }
  if (text == "-" && refuse_standard_input(reader, "data.lengths", scenario)) {
    return;
  }
  const Result<data::Lengths> lengths =
      data::parse_lengths(text ? *text : fmt::format("constant({})", *constant), options);
  if (!lengths) {
    for (const Diagnostic& failure : lengths.failures()) {
      reader.fail(text ? "data.lengths" : "data.sequence_length", failure.message, failure.hint);
    }
    return;
  }
  data.lengths = *lengths;
}

void read_sampling(Reader& reader, data::SamplingOptions& sampling) {
  constexpr data::OverLong kOverLong[] = {data::OverLong::kTruncate, data::OverLong::kDrop};
  sampling.global_batch = number_or(reader, "training.global_batch", sampling.global_batch);
  sampling.context = number_or(reader, "data.context", sampling.context);
  sampling.over_long = kOverLong[reader.choice("data.over_long").value_or(0)];
  sampling.seed = number_or(reader, "data.seed", sampling.seed);
  sampling.shuffle_window = number_or(reader, "data.shuffle_window", sampling.shuffle_window);
  sampling.epochs = number_or(reader, "data.epochs", sampling.epochs);
}

void read_regimes(Reader& reader, DataChoices& data) {
  data.regimes = {2'048, 8'192, 32'768};
  const std::optional<Cells> given = reader.cells("data.regimes");
  if (!given) {
    return;
  }
  data.regimes.clear();
  const std::vector<Cells> single(given->list ? 0 : 1, *given);
  for (const Cells& cell : given->list ? given->items : single) {
    if (!data.regimes.empty() && cell.value <= data.regimes.back()) {
      reader.fail(*cell.node, "'data.regimes' does not ascend, expected larger and larger bounds");
      return;
    }
    data.regimes.push_back(cell.value);
  }
}

void read_layout(Reader& reader, SequenceLayout& layout) {
  layout.pipeline = number_or(reader, "parallelism.pipeline", layout.pipeline);
  layout.sequence = number_or(reader, "parallelism.ulysses", layout.sequence);
  layout.tensor = number_or(reader, "parallelism.tensor", layout.tensor);
  layout.context = number_or(reader, "parallelism.context", layout.context);
  layout.data = number_or(reader, "parallelism.data", layout.data);
}

void check_layout(Reader& reader, const DataChoices& data) {
  const SequenceLayout& layout = data.layout;
  std::int64_t gpus = 1;
  for (const std::int32_t degree :
       {layout.pipeline, layout.sequence, layout.tensor, layout.context, layout.data}) {
    gpus *= degree;
    if (gpus > 65'535) {
      reader.fail("parallelism",
                  "the degrees of 'parallelism' multiply to more than 65535 GPUs, expected fewer");
      return;
    }
  }
  // What is wrong with the constants alone is wrong on one GPU too.
  if (const Diagnostics wrong = check_sequence_profile(data.profile, {}); !wrong.empty()) {
    for (const Diagnostic& failure : wrong) {
      reader.fail(reader.has("profile") ? "profile" : "data", failure.message, failure.hint);
    }
    return;
  }
  for (const Diagnostic& failure : check_sequence_profile(data.profile, layout)) {
    reader.fail(reader.has("parallelism") ? "parallelism" : "data", failure.message, failure.hint);
  }
}

}  // namespace

void read_data(Reader& reader, Scenario& scenario) {
  const Node& section = *reader.find("data");
  DataChoices data;
  const Diagnostic here = error_at(section, "");
  data.place = here.place;
  data.source_line = here.source_line;
  const std::size_t before = reader.failures.size();
  read_lengths(reader, scenario, data);
  read_sampling(reader, data.sampling);
  data.iterations = number_or(reader, "data.iterations", data.iterations);
  data.iteration = number_or(reader, "data.iteration", data.iteration);
  read_regimes(reader, data);
  read_layout(reader, data.layout);
  if (std::optional<SequenceProfile> profile = read_profile(reader)) {
    data.profile = std::move(*profile);
    if (reader.failures.size() == before) {
      check_layout(reader, data);
    }
  }
  scenario.costs_given = false;
  scenario.data = std::move(data);
}

}  // namespace stagecraft
