#include "options.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include <fmt/core.h>

#include "baselines.hpp"
#include "stagecraft/core/text.hpp"

namespace stagecraft::search::adaptis {
namespace {

constexpr OptionSpec kSpecs[] = {
    {"baseline", "", "", "s-1f1b | i-1f1b | zb | mist | minmax-1f1b | minmax-zb",
     "give the plan of this baseline of the paper instead of searching"},
    {"phases", "", "both", "both | candidates | tuner",
     "rank and simulate candidate shapes (SimPipe), tune by bubbles (the paper), or both"},
    {"irregular", "", "false", "true | false",
     "also stage counts that are no multiple of the number of devices"},
    {"rank", "", "partition", "partition | device",
     "sort candidates first by the variance of stage loads, or of device loads"},
    {"top_k", "partitions", "32", "1 to 1000", "partitions kept for every stage count"},
    {"beam", "placements", "32", "1 to 1000", "placements kept for every partition"},
    {"sim_k", "shapes", "32", "1 to 100000", "candidate shapes that are simulated"},
    {"per_count", "shapes", "2", "0 to 1000", "of them at least so many for every stage count"},
    {"exempt_trials", "trials", "4", "0 to 1000",
     "groups of ops that the scheduling rule tries not to put off"},
    {"iterations", "steps", "100", "0 to 1000000", "most steps of the tuner"},
    {"patience", "steps", "10", "1 to 1000000",
     "moves of a layer without a new best after which the partition step ends"},
    {"neighbours", "shapes", "8", "1 to 1000", "neighbours that a placement step simulates"},
    {"weight_trials", "trials", "2000", "0 to 10000000", "moves of W that a scheduling step tries"},
    {"embedding", "layers", "auto", "auto | 0 | 1",
     "layers at the beginning that even partitions do not count; auto: the first if no other costs "
     "the same"},
    {"head", "layers", "auto", "auto | 0 | 1", "the same for the end"},
};

class Reader {
 public:
  explicit Reader(const GeneratorOptions& given) : given_(given) {}

  void refuse_unknown() {
    std::vector<std::string_view> names;
    for (const OptionSpec& spec : kSpecs) {
      names.push_back(spec.name);
    }
    for (const auto& [name, text] : given_) {
      if (std::ranges::find(names, name) == names.end()) {
        const std::string_view nearest = nearest_name(name, names);
        failures_.push_back(bad_input(
            fmt::format("method adaptis has no option '{}'", name),
            nearest.empty() ? "it has " + join(names, ", ") : fmt::format("'{}'?", nearest)));
      }
    }
  }

  /// Index into `choices`.
  std::size_t choice(std::string_view name, std::span<const std::string_view> choices,
                     std::size_t fallback) {
    const std::string* text = find(name);
    if (text == nullptr) {
      return fallback;
    }
    const auto found = std::ranges::find(choices, *text);
    if (found == choices.end()) {
      refuse(name, *text);
      return fallback;
    }
    return static_cast<std::size_t>(found - choices.begin());
  }

  void number(std::string_view name, std::int32_t low, std::int32_t high, std::int32_t& value) {
    const std::string* text = find(name);
    if (text == nullptr) {
      return;
    }
    std::int32_t read = 0;
    const char* end = text->data() + text->size();
    const auto [stop, error] = std::from_chars(text->data(), end, read);
    if (error != std::errc{} || stop != end || read < low || read > high) {
      refuse(name, *text);
    } else {
      value = read;
    }
  }

  [[nodiscard]] const Diagnostics& failures() const { return failures_; }

 private:
  [[nodiscard]] const std::string* find(std::string_view name) const {
    const auto found = given_.find(name);
    return found == given_.end() ? nullptr : &found->second;
  }
  void refuse(std::string_view name, std::string_view text) {
    const auto* spec = std::ranges::find(kSpecs, name, &OptionSpec::name);
    failures_.push_back(bad_input(fmt::format(
        "option {} of method adaptis cannot be '{}', expected {}", name, text, spec->range)));
  }

  const GeneratorOptions& given_;
  Diagnostics failures_;
};

}  // namespace

std::span<const OptionSpec> option_specs() {
  return kSpecs;
}

Result<Options> read_options(const GeneratorOptions& given) {
  constexpr std::string_view kFlags[] = {"false", "true"};
  constexpr std::string_view kPhases[] = {"both", "candidates", "tuner"};
  constexpr std::string_view kRanks[] = {"partition", "device"};
  constexpr std::string_view kEnds[] = {"0", "1", "auto"};
  Reader reader(given);
  reader.refuse_unknown();
  Options options;
  const std::vector<std::string_view> baselines = baseline_names();
  const std::size_t baseline = reader.choice("baseline", baselines, baselines.size());
  if (baseline < baselines.size()) {
    options.baseline = baselines[baseline];
  }
  const std::size_t phases = reader.choice("phases", kPhases, 0);
  options.candidates = phases != 2;
  options.tuner = phases != 1;
  options.irregular = reader.choice("irregular", kFlags, 0) == 1;
  options.rank_by_device = reader.choice("rank", kRanks, 0) == 1;
  reader.number("top_k", 1, 1000, options.top_k);
  reader.number("beam", 1, 1000, options.beam);
  reader.number("sim_k", 1, 100'000, options.sim_k);
  reader.number("per_count", 0, 1000, options.per_count);
  reader.number("exempt_trials", 0, 1000, options.exempt_trials);
  reader.number("iterations", 0, 1'000'000, options.iterations);
  reader.number("patience", 1, 1'000'000, options.patience);
  reader.number("neighbours", 1, 1000, options.neighbours);
  reader.number("weight_trials", 0, 10'000'000, options.weight_trials);
  const auto end = [](std::size_t choice) {
    return choice == 2 ? -1 : static_cast<std::int32_t>(choice);
  };
  options.embedding = end(reader.choice("embedding", kEnds, 2));
  options.head = end(reader.choice("head", kEnds, 2));
  if (!reader.failures().empty()) {
    return reader.failures();
  }
  return options;
}

Freedom freedom_of(const Problem& problem) {
  // Loads rank shapes, and only of uniform problems do layers say what stages cost.
  const bool known = problem.uniform && problem.layers.count() >= problem.devices;
  Freedom freedom;
  freedom.partition = known && problem.partition_open;
  freedom.placement = known && problem.placement_open;
  freedom.chunks = freedom.partition && freedom.placement && problem.chunks_open;
  std::vector<std::int32_t> held(static_cast<std::size_t>(problem.devices), 0);
  for (const std::int32_t device : problem.device_of_stage) {
    ++held[static_cast<std::size_t>(device)];
  }
  const std::int32_t stated = *std::max_element(held.begin(), held.end());
  freedom.most_chunks = freedom.chunks ? std::max(problem.most_chunks, stated) : stated;
  return freedom;
}

std::vector<Rule> rules_of(const Problem& problem, const Options& options) {
  const bool greedy = problem.schedule_open || std::ranges::count(problem.schedules, "greedy") > 0;
  if (greedy) {
    return {{"greedy", {{"exempt_trials", std::to_string(options.exempt_trials)}}}};
  }
  std::vector<Rule> rules;
  for (const std::string& name : problem.schedules) {
    rules.push_back({name, {}});
  }
  return rules;
}

Ends ends_of(const Problem& problem, const Options& options) {
  Ends ends = find_ends(problem.layers);
  ends.embedding = options.embedding < 0 ? ends.embedding : options.embedding;
  ends.head = options.head < 0 ? ends.head : options.head;
  return ends;
}

}  // namespace stagecraft::search::adaptis
