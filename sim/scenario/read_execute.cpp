// What the stages compute when a scenario runs for real.
#include <algorithm>
#include <numeric>

#include <fmt/core.h>

#include "grids.hpp"
#include "sections.hpp"

namespace stagecraft {
namespace {

/// A count that must be there.
std::int32_t read_count(Reader& reader, std::string_view path) {
  if (!reader.has(path)) {
    reader.fail("execute",
                fmt::format("'{}' is missing, expected {}", path, expectation(*find_key(path))));
    return 0;
  }
  return static_cast<std::int32_t>(reader.number(path).value_or(0));
}

std::vector<std::int32_t> read_stages(Reader& reader, const Scenario& scenario,
                                      std::string_view path) {
  if (!reader.has(path)) {
    reader.fail("execute",
                fmt::format("'{}' is missing, expected {}", path, expectation(*find_key(path))));
    return {};
  }
  const auto stages = static_cast<std::size_t>(scenario.pipeline.stages);
  const auto values = reader.list(path, stages).value_or(std::vector<std::int64_t>{});
  return {values.begin(), values.end()};
}

/// The tokens of one micro-batch by slice; nothing if they do not suffice or were counted wrongly.
std::vector<std::int32_t> slice_tokens(Reader& reader, const Scenario& scenario, const Cells& cells,
                                       std::int32_t microbatch) {
  const auto slices = static_cast<std::size_t>(scenario.pipeline.slices_of(microbatch));
  if (cells.list) {
    if (cells.items.size() != slices) {
      reader.fail_count(cells, "execute.tokens", slices, "slice of the micro-batch");
      return {};
    }
    std::vector<std::int32_t> tokens;
    for (const Cells& item : cells.items) {
      tokens.push_back(static_cast<std::int32_t>(item.value));
    }
    return tokens;
  }
  const auto& shares = scenario.slice_shares;
  const std::size_t row = shares.size() > 1 ? static_cast<std::size_t>(microbatch) : 0;
  // Shares that are wrong have been reported already.
  const bool shared = row < shares.size() && shares[row].size() == slices;
  const std::vector<std::int64_t> parts =
      apportion(cells.value, shared ? shares[row] : std::vector<std::int64_t>(slices, 1));
  if (std::any_of(parts.begin(), parts.end(), [](std::int64_t part) { return part < 1; })) {
    reader.fail(
        *cells.node,
        fmt::format("'execute.tokens' gives micro-batch {} {} tokens for {} slices{}, "
                    "expected at least one token in every slice",
                    microbatch, cells.value, slices, shared ? " by costs.slice_shares" : ""));
    return {};
  }
  return {parts.begin(), parts.end()};
}

void read_tokens(Reader& reader, const Scenario& scenario, StageModel& model) {
  constexpr std::string_view kPath = "execute.tokens";
  if (!reader.has(kPath)) {
    reader.fail("execute",
                fmt::format("'{}' is missing, expected {}", kPath, expectation(*find_key(kPath))));
    return;
  }
  const std::optional<Cells> cells = reader.cells(kPath);
  if (!cells) {
    return;
  }
  const auto microbatches = static_cast<std::size_t>(scenario.pipeline.microbatches);
  if (cells->list && cells->items.size() != microbatches) {
    reader.fail_count(*cells, kPath, microbatches, "micro-batch");
    return;
  }
  for (std::size_t m = 0; m < microbatches; ++m) {
    const Cells& one = cells->list ? cells->items[m] : *cells;
    const std::size_t before = reader.failures.size();
    model.tokens.push_back(slice_tokens(reader, scenario, one, static_cast<std::int32_t>(m)));
    if (!cells->list && reader.failures.size() != before) {
      return;  // one value for all: one message for all
    }
  }
}

}  // namespace

void read_execute(Reader& reader, Scenario& scenario) {
  const Node* section = reader.find("execute");
  if (section == nullptr || section->kind != Node::Kind::kMap) {
    return;  // what is no map is reported by the check of keys
  }
  const Diagnostic here = error_at(*reader.root().find("execute"), "");
  scenario.model_place = here.place;
  scenario.model_line = here.source_line;
  const std::size_t before = reader.failures.size();
  StageModel model;
  model.hidden = read_count(reader, "execute.hidden");
  model.heads = read_count(reader, "execute.heads");
  if (model.hidden > 0 && model.heads > 0 && model.hidden % model.heads != 0) {
    reader.fail("execute.heads",
                fmt::format("'execute.heads' is {}, expected a divisor of 'execute.hidden', {}",
                            model.heads, model.hidden));
  }
  model.ffn = read_stages(reader, scenario, "execute.ffn");
  model.layers = read_stages(reader, scenario, "execute.layers");
  read_tokens(reader, scenario, model);
  if (reader.failures.size() == before) {
    // What is left to be wrong are sums, over the slices of a micro-batch.
    for (const Diagnostic& failure : check_model(model, scenario.pipeline)) {
      reader.fail("execute.tokens", "'execute.tokens': " + failure.message, failure.hint);
    }
  }
  scenario.model = std::move(model);
}

}  // namespace stagecraft
