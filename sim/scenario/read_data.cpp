// What a scenario says about its data: lengths, sampling, iterations, and how many GPUs share what.
#include <algorithm>

#include <fmt/core.h>

#include "overrides.hpp"
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
  const Node* format = reader.find("data.format");
  if (format != nullptr && format->text == "json-lines") {  // as well as jsonl
    options.format = data::FileFormat::kJsonLines;
  } else {
    options.format = kFormats[reader.choice("data.format").value_or(0)];
  }
  options.column = reader.text("data.column").value_or("");
  options.field = reader.text("data.field").value_or("");
  options.skip_malformed = reader.flag("data.skip_malformed").value_or(false);
  if (const Node* lengths = reader.find("data.lengths")) {
    options.directory = directory_of(*lengths, scenario.file).string();
  }
  return options;
}

/// What is drawn is no file: keys that say how to read one are a slip there. Those of the file do
/// not bind other lengths that an override names.
void refuse_file_keys(Reader& reader, const data::FileOptions& options,
                      const data::Lengths& lengths) {
  const Node* named = reader.find("data.lengths");
  const auto refuse = [&](std::string_view path, bool given) {
    const Node* key = reader.find(path);
    if (!given || key == nullptr ||
        (named != nullptr && is_override(*named) && !is_override(*key))) {
      return;
    }
    reader.fail(*key,
                fmt::format("'{}' says how to read a file, and '{}' is none ({})", path,
                            lengths.text, lengths.summary),
                fmt::format("leave it out; a file of that name is ./{}", lengths.text));
  };
  refuse("data.format", options.format != data::FileFormat::kAuto);
  refuse("data.column", !options.column.empty());
  refuse("data.field", !options.field.empty());
  refuse("data.skip_malformed", options.skip_malformed);
}

/// A failure inside a file, or of a file, says which one and where; it is reported at the key that
/// names the file.
std::string with_own_place(const Diagnostic& failure) {
  const SourcePlace& place = failure.place;
  if (place.file.empty()) {
    return failure.message;
  }
  return place.line > 0
             ? fmt::format("{}:{}:{}: {}", place.file, place.line, place.column, failure.message)
             : fmt::format("{}: {}", place.file, failure.message);
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
      reader.fail(text ? "data.lengths" : "data.sequence_length", with_own_place(failure),
                  failure.hint);
    }
    return;
  }
  data.lengths = *lengths;
  if (!lengths->finite) {
    refuse_file_keys(reader, options, *lengths);
  }
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

/// The section, or the last of its values that an override gave: what does not fit together did
/// so before, as far as anyone knows.
void fail_section(Reader& reader, std::string_view path, const Diagnostic& failure) {
  const Node* section = reader.find(reader.has(path) ? path : "data");
  const Node* judged = section;
  for (const Node::Entry& entry : section->entries) {
    judged = is_override(*entry.value) ? entry.value.get() : judged;
  }
  reader.fail(*judged, failure.message, failure.hint);
}

void check_layout(Reader& reader, const DataChoices& data) {
  const SequenceLayout& layout = data.layout;
  std::int64_t gpus = 1;
  for (const std::int32_t degree :
       {layout.pipeline, layout.sequence, layout.tensor, layout.context, layout.data}) {
    gpus *= degree;
    if (gpus > 65'535) {
      fail_section(
          reader, "parallelism",
          bad_input("the degrees of 'parallelism' multiply to more than 65535 GPUs, expected "
                    "fewer"));
      return;
    }
  }
  // What is wrong with the constants alone is wrong on one GPU too.
  if (const Diagnostics wrong = check_sequence_profile(data.profile, {}); !wrong.empty()) {
    for (const Diagnostic& failure : wrong) {
      fail_section(reader, "profile", failure);
    }
    return;
  }
  for (const Diagnostic& failure : check_sequence_profile(data.profile, layout)) {
    fail_section(reader, "parallelism", failure);
  }
}

}  // namespace

void read_data(Reader& reader, Scenario& scenario) {
  DataChoices data;
  const Node* lengths = reader.find("data.lengths");
  const Diagnostic here =
      error_at(lengths != nullptr && is_override(*lengths) ? *lengths : *reader.find("data"), "");
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
