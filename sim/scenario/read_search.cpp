// `search`: what `stagecraft search` may choose, and how it searches.
#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/core.h>

#include "grids.hpp"
#include "sections.hpp"
#include "shape.hpp"
#include "stagecraft/core/text.hpp"
#include "stagecraft/search/method.hpp"

namespace stagecraft {
namespace {

/// One value or a list of them; each at most once.
std::vector<std::int32_t> read_values(Reader& reader, std::string_view path) {
  const std::optional<Cells> cells = reader.cells(path);
  std::vector<std::int32_t> values;
  if (!cells) {
    return values;
  }
  if (!cells->list) {
    return {static_cast<std::int32_t>(cells->value)};
  }
  for (const Cells& item : cells->items) {
    const auto value = static_cast<std::int32_t>(item.value);
    if (std::find(values.begin(), values.end(), value) != values.end()) {
      reader.fail(*item.node, fmt::format("'{}' lists {} twice", path, value));
    }
    values.push_back(value);
  }
  return values;
}

void read_schedule_name(Reader& reader, const Node& node, SearchChoices& search) {
  if (node.kind != Node::Kind::kScalar) {
    reader.fail(node, fmt::format("'search.schedules' holds {}, expected the name of a schedule",
                                  describe(node)));
    return;
  }
  if (find_generator(node.text) == nullptr) {
    const Diagnostic unknown = unknown_schedule(node.text);
    reader.fail(node, unknown.message, unknown.hint);
    return;
  }
  if (std::find(search.schedules.begin(), search.schedules.end(), node.text) ==
      search.schedules.end()) {
    search.schedules.push_back(node.text);
  }
}

void read_schedules(Reader& reader, SearchChoices& search) {
  const Node* node = reader.find("search.schedules");
  if (node == nullptr || (node->kind == Node::Kind::kScalar && node->text == "all")) {
    return;
  }
  if (node->kind != Node::Kind::kList) {
    read_schedule_name(reader, *node, search);
    return;
  }
  if (node->items.empty()) {
    reader.fail(*node, "'search.schedules' is an empty list, expected names of schedules, or all");
  }
  for (const Node::Pointer& item : node->items) {
    read_schedule_name(reader, *item, search);
  }
}

void read_method(Reader& reader, SearchChoices& search) {
  search.method = reader.text("search.method");
  const search::MethodInfo* info = search::find_method(search.method.value_or("stagecraft"));
  if (search.method && info == nullptr) {
    std::vector<std::string_view> names;
    for (const search::MethodInfo& known : search::methods()) {
      names.push_back(known.name);
    }
    const std::string_view near = nearest_name(*search.method, names);
    reader.fail("search.method",
                fmt::format("unknown search method '{}', expected one of: {}", *search.method,
                            join(names, " ")),
                near.empty() ? "" : fmt::format("did you mean '{}'?", near));
  }
  const Node* options = reader.find("search.options");
  if (options == nullptr || info == nullptr) {
    return;
  }
  if (options->kind != Node::Kind::kMap) {
    reader.fail(*options, fmt::format("'search.options' is {}, expected a map of options of method "
                                      "{}",
                                      describe(*options), info->name));
    return;
  }
  std::vector<std::string_view> known;
  for (const OptionSpec& option : info->options) {
    known.push_back(option.name);
  }
  for (const Node::Entry& entry : options->entries) {
    if (std::find(known.begin(), known.end(), entry.key) == known.end()) {
      const std::string_view near = nearest_name(entry.key, known);
      reader.failures.push_back(
          error_at(entry,
                   fmt::format("search method {} has no option '{}', expected one of: {}",
                               info->name, entry.key, join(known, " ")),
                   near.empty() ? "" : fmt::format("did you mean '{}'?", near)));
    } else if (entry.value->kind != Node::Kind::kScalar) {
      reader.fail(*entry.value, fmt::format("option '{}' is {}, expected one value", entry.key,
                                            describe(*entry.value)));
    } else {
      search.options[entry.key] = entry.value->text;
    }
  }
}

void read_how(Reader& reader, SearchChoices& search) {
  if (const std::optional<std::size_t> objective = reader.choice("search.objective")) {
    search.objective =
        std::string(split_choices(find_key("search.objective")->choices)[*objective]);
  }
  read_method(reader, search);
  search.budget = reader.text("search.budget");
  if (search.budget) {
    const Result<SearchBudget> budget = parse_budget(*search.budget);
    if (!budget) {
      reader.fail("search.budget", "'search.budget' is " + budget.failures().front().message);
    }
  }
  if (const std::optional<std::int64_t> seed = reader.number("search.seed")) {
    search.seed = static_cast<std::uint64_t>(*seed);
  }
}

bool same_for_all(const std::vector<std::int32_t>& values) {
  return std::adjacent_find(values.begin(), values.end(), std::not_equal_to<>()) == values.end();
}

/// True if nothing is stated micro-batch by micro-batch.
bool same_microbatches(const Scenario& scenario) {
  const std::vector<const Grid*> grids = all_grids(scenario.costs);
  return same_for_all(scenario.pipeline.slices) && scenario.slice_shares.size() <= 1 &&
         std::all_of(grids.begin(), grids.end(),
                     [](const Grid* grid) { return grid->microbatch_stride == 0; });
}

/// What is asked for must be there to be chosen.
void check_choices(Reader& reader, const Scenario& scenario) {
  const SearchChoices& search = scenario.search;
  const bool pieces = !scenario.layers && scenario.chunks_stated;
  if (search.partition.value_or(false) && pieces) {
    reader.fail("search.partition",
                "'search.partition' opens what the costs per stage state, expected a section "
                "'layers' with the costs of what may move");
  }
  if (search.chunks && pieces) {
    reader.fail("search.chunks",
                "'search.chunks' opens the number of stages, which costs per stage or "
                "pipeline.chunks state; expected a section 'layers', or one cost for all stages "
                "and no pipeline.chunks");
  }
  if (search.offload.value_or(false) && !scenario.costs.offload_given) {
    reader.fail("search.offload",
                "'search.offload' needs the time of a copy, expected 'costs.offload'");
  }
  if (!search.microbatches.empty() && !same_microbatches(scenario)) {
    reader.fail("search.microbatches",
                "'search.microbatches' scales the costs of a micro-batch, expected costs and "
                "slices that are the same for all micro-batches");
  }
  if (!search.devices.empty() && !scenario.layers) {
    reader.fail("search.devices",
                "'search.devices' needs to know what every device would compute, expected a "
                "section 'layers'");
  }
  const bool others = search.devices.size() > 1 ||
                      (!search.devices.empty() && search.devices[0] != scenario.pipeline.devices);
  if (others && (scenario.partition_stated || reader.find("pipeline.placement") != nullptr)) {
    reader.fail("search.devices",
                "'search.devices' changes the number of devices, expected no pipeline.partition "
                "and no pipeline.placement");
  }
}

}  // namespace

void read_search(Reader& reader, Scenario& scenario) {
  SearchChoices& search = scenario.search;
  search.place.file = scenario.file;
  const Node* section = reader.find("search");
  if (section == nullptr || section->kind != Node::Kind::kMap) {
    return;  // what is no map is reported by the check of keys
  }
  const Diagnostic here = error_at(*section, "");
  search.place = here.place;
  search.source_line = here.source_line;
  const std::size_t before = reader.failures.size();
  search.partition = reader.flag("search.partition");
  search.placement = reader.flag("search.placement");
  search.schedule = reader.flag("search.schedule");
  search.recompute = reader.flag("search.recompute");
  search.offload = reader.flag("search.offload");
  if (const std::optional<std::int64_t> chunks = reader.number("search.chunks")) {
    search.chunks = static_cast<std::int32_t>(*chunks);
  }
  read_schedules(reader, search);
  search.microbatches = read_values(reader, "search.microbatches");
  search.devices = read_values(reader, "search.devices");
  search.overhead = reader.number("search.overhead").value_or(0);
  read_how(reader, search);
  if (reader.failures.size() == before) {
    check_choices(reader, scenario);
  }
}

Result<SearchBudget> parse_budget(std::string_view text) {
  struct BudgetUnit {
    std::string_view name;
    double seconds;
  };
  static constexpr std::array<BudgetUnit, 5> kUnits = {
      {{"ms", 1e-3}, {"s", 1.0}, {"min", 60.0}, {"h", 3600.0}, {"evals", 0.0}}};
  constexpr double kYear = 366.0 * 86'400.0;
  double number = 0.0;
  const char* end = text.data() + text.size();
  const auto [rest, error] =
      std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  const std::string_view name(rest, static_cast<std::size_t>(end - rest));
  const auto* unit = std::find_if(kUnits.begin(), kUnits.end(),
                                  [&](const BudgetUnit& one) { return one.name == name; });
  const bool positive = error == std::errc() && number > 0.0;
  if (positive && unit != kUnits.end()) {
    if (unit->seconds > 0.0 && number * unit->seconds <= kYear) {
      return SearchBudget{number * unit->seconds, 0};
    }
    if (unit->seconds == 0.0 && number >= 1.0 && number <= 1e18 &&
        number == static_cast<double>(static_cast<std::uint64_t>(number))) {
      return SearchBudget{0.0, static_cast<std::uint64_t>(number)};
    }
  }
  return bad_input(
      fmt::format("'{}', expected a time such as 500ms, 30s or 2min, or a number of candidates "
                  "such as 100000evals",
                  text));
}

}  // namespace stagecraft
