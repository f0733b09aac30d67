// stagecraft search: fills in what a scenario leaves open.
#include <optional>
#include <utility>

#include <fmt/core.h>

#include "commands.hpp"
#include "data_commands.hpp"
#include "exit_status.hpp"
#include "interrupt.hpp"
#include "output.hpp"
#include "search_advice.hpp"
#include "search_outputs.hpp"
#include "search_setup.hpp"
#include "search_transport.hpp"
#include "search_watch.hpp"
#include "stagecraft/core/file.hpp"
#include "stagecraft/scenario/search_space.hpp"

namespace stagecraft::cli {
namespace {

/// What a search is about, before it begins.
struct Setup {
  Scenario scenario;
  std::unique_ptr<search::Space> space;
  search::SearchOptions options;
};

Result<Setup> set_up(const Arguments& arguments) {
  Result<Scenario> scenario = load_explicit_scenario(arguments);
  if (!scenario) {
    return scenario.failures();
  }
  Result<search::SearchOptions> options = search_options(arguments, *scenario);
  if (!options) {
    return options.failures();
  }
  Result<std::unique_ptr<search::Space>> space = make_search_space(*scenario);
  if (!space) {
    return space.failures();
  }
  if (!options->resume.empty()) {
    if (const Result<std::string> text = read_file(options->resume); !text) {
      return text.failures();
    }
  }
  return Setup{std::move(*scenario), std::move(*space), std::move(*options)};
}

/// Points of the space that this shard has.
std::int32_t points_of_shard(const Setup& setup) {
  const auto points = static_cast<std::int32_t>(all_points(*setup.space).size());
  const search::SearchOptions& options = setup.options;
  return points / options.shards + (options.shard < points % options.shards ? 1 : 0);
}

SearchPart make_part(const Setup& setup, search::SearchResult result) {
  SearchPart part;
  search::SearchOptions whole = setup.options;
  whole.shard = 0;
  whole.shards = 1;
  part.identity = identity_of(*setup.space, whole);
  part.scenario = setup.scenario.name;
  const auto coordinates = setup.space->coordinates();
  part.coordinates.assign(coordinates.begin(), coordinates.end());
  part.pareto = setup.options.method_options.pareto;
  part.points = points_of_shard(setup);
  part.threads = setup.options.threads;
  part.result = std::move(result);
  return part;
}

/// A shard may have nothing to do, or nothing that can be done; its part says so.
int report_nothing(const Arguments& arguments, const Setup& setup, const SearchPart& part) {
  if (!arguments.search.part.empty()) {
    if (const auto written = write_file(arguments.search.part, to_json(part)); !written) {
      return fail(written.failures());
    }
  }
  if (part.points == 0) {
    fmt::print(stderr, "note: shard {}/{} has no points to search\n", setup.options.shard,
               setup.options.shards);
    return kDone;
  }
  if (part.result.interrupted) {
    fmt::print(stderr, "interrupted: no plan was found yet\n");
  }
  return fail(explain_nothing(setup.scenario, *setup.space, setup.options, part.result));
}

int report_found(const Arguments& arguments, const Setup& setup, SearchPart part,
                 std::int32_t processes) {
  if (part.result.interrupted) {
    fmt::print(stderr, "interrupted: this is the best plan so far\n");
  }
  if (const Diagnostics failures = add_plans(*setup.space, setup.scenario, part);
      !failures.empty()) {
    return fail(failures);
  }
  const std::optional<MoreMemory> more =
      try_more_memory(setup.scenario, setup.options, part.result);
  const Result<SearchReport> report = make_report(part, processes, more);
  return report ? write_report(arguments, part, *report) : fail(report.failures());
}

Result<search::SearchResult> watch_search(Setup& setup, search::Transport& transport) {
  SearchWatch watch(setup.options.method_options.objective, transport.rank() == 0);
  setup.options.improved = [&watch](const search::Improvement& step) { watch.improved(step); };
  setup.options.interrupted = [&watch] {
    watch.tick();
    return Interrupt::requested();
  };
  Result<search::SearchResult> result = run_search(*setup.space, setup.options, transport);
  setup.options.improved = nullptr;
  setup.options.interrupted = [] { return Interrupt::requested(); };
  return result;
}

/// Tells the processes of a search whether one of them cannot begin, so that none waits for it.
/// The first one's failures are printed once. Returns 0 or the exit status of all.
int begin_status(search::Transport& transport, const Diagnostics& failures) {
  // A digit of the status, then the words.
  const std::string own =
      failures.empty() ? "" : fmt::format("{}{}", failure_status(failures), to_string(failures));
  for (const std::string& text : transport.all_gather(own)) {
    if (!text.empty()) {
      if (transport.rank() == 0) {
        fmt::print(stderr, "{}", text.substr(1));
      }
      return text.front() - '0';
    }
  }
  return kDone;
}

}  // namespace

int run_search(const Arguments& arguments) {
  const Result<std::unique_ptr<search::Transport>> transport = open_transport(arguments.search.mpi);
  if (!transport) {
    return fail(transport.failures());
  }
  Result<Setup> setup = set_up(arguments);
  const bool speaks = (*transport)->rank() == 0;
  Diagnostics failures = setup ? Diagnostics{} : setup.failures();
  if (setup && speaks) {
    failures = search_output_failures(arguments);
  }
  if (const int status = begin_status(**transport, failures); status != kDone) {
    return status;
  }
  const Interrupt interrupt(true);
  Result<search::SearchResult> result = watch_search(*setup, **transport);
  if (!result) {
    return speaks ? fail(result.failures()) : kBadInput;
  }
  if (!speaks) {
    return result->found ? kDone : kInfeasible;
  }
  SearchPart part = make_part(*setup, std::move(*result));
  return part.result.found ? report_found(arguments, *setup, std::move(part), (*transport)->size())
                           : report_nothing(arguments, *setup, part);
}

}  // namespace stagecraft::cli
