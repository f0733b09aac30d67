// The command lines of `search` and `merge`.
#include <charconv>

#include <fmt/core.h>

#include "argument_groups.hpp"
#include "stagecraft/scenario/search_choices.hpp"

namespace stagecraft::cli {
namespace {

/// "2/8": shard 2 of 8, the first is 0.
std::string read_shard(const std::string& text, SearchArguments& search) {
  const std::size_t slash = text.find('/');
  const auto number = [&](std::size_t from, std::size_t to, std::int32_t& value) {
    const char* end = text.data() + to;
    const auto [rest, error] = std::from_chars(text.data() + from, end, value);
    return error == std::errc() && rest == end;
  };
  const bool right = slash != std::string::npos && number(0, slash, search.shard) &&
                     number(slash + 1, text.size(), search.shards) && search.shard >= 0 &&
                     search.shard < search.shards && search.shards <= 1'000'000;
  return right ? std::string{}
               : fmt::format("'{}' is not a shard, expected i/N with i from 0 to N-1", text);
}

void add_how(CLI::App& command, Arguments& arguments) {
  SearchArguments& search = arguments.search;
  command
      .add_option("--method", search.method,
                  "how to search, see `stagecraft list methods` "
                  "(default stagecraft)")
      ->type_name("NAME");
  command
      .add_option("--option", search.options, "option of the method: key=value (repeat for more)")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false)
      ->take_all();
  command
      .add_option("--budget", search.budget,
                  "wall time such as 500ms, 30s, 2min (what a resumed search took before "
                  "included), or candidates such as 100000evals, with which the result is the "
                  "same on every machine (default 30s)")
      ->type_name("BUDGET")
      ->check([](const std::string& text) {
        const Result<SearchBudget> budget = parse_budget(text);
        return budget ? std::string{} : budget.failures().front().message;
      });
  command
      .add_option("--objective", search.objective,
                  "what to make small: iteration (default), makespan, span, memory (largest peak), "
                  "cost (devices x iteration), or pareto (iteration, with effort spread over "
                  "memory limits)")
      ->type_name("OBJECTIVE")
      ->check(CLI::IsMember({"iteration", "makespan", "span", "memory", "cost", "pareto"}));
  command
      .add_option_function<std::uint64_t>(
          "--seed", [&search](std::uint64_t seed) { search.seed = seed; },
          "seed of the random numbers (default 1)")
      ->type_name("N");
  command.add_option("--threads", arguments.threads, "threads (0, default: every core)")
      ->type_name("N")
      ->check(CLI::Range(0, 1024));
}

void add_long_runs(CLI::App& command, Arguments& arguments) {
  SearchArguments& search = arguments.search;
  command
      .add_option("--checkpoint", search.checkpoint,
                  "file to write every few seconds, from which --resume continues")
      ->type_name("FILE");
  command
      .add_option("--checkpoint-every", search.checkpoint_seconds,
                  "seconds between checkpoints (default 3)")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.01, 86'400.0));
  command
      .add_option("--resume", search.resume,
                  "checkpoint to continue from; it goes on being written, unless --checkpoint "
                  "names another file")
      ->type_name("FILE");
  command
      .add_option("--shard",
                  "search only the points i, i+N, i+2N ... of the outer choices "
                  "(search.microbatches, search.devices); i counts from 0")
      ->type_name("i/N")
      ->each([](const std::string&) {})
      ->check([&search](const std::string& text) { return read_shard(text, search); });
  command
      .add_option("--part", search.part, "write the result of this shard for `stagecraft merge`")
      ->type_name("FILE");
  command.add_flag("--mpi", search.mpi,
                   "work together with the other processes of an MPI job (found out by itself "
                   "under mpirun and srun)");
}

}  // namespace

void add_search(CLI::App& app, Arguments& arguments) {
  CLI::App& command = *app.add_subcommand(
      "search", "the best partition, placement, schedule and memory plan, with a lower bound");
  add_scenario(command, arguments);
  add_how(command, arguments);
  command
      .add_option("--out", arguments.search.out,
                  "write the best plan as a scenario that simulate, schedule and execute take")
      ->type_name("FILE");
  add_outputs(command, arguments);
  add_format(command, arguments, {"text", "json"});
  add_long_runs(command, arguments);
  command.footer(
      "What may be chosen is what the scenario leaves open: see section `search` in `stagecraft "
      "list keys`.\nCtrl-C ends the search with the best plan so far; a second one ends the "
      "program at once.\nExit status 3: no plan respects all limits; the limit that binds is "
      "named.");
  command.callback([&arguments] { arguments.command = Command::kSearch; });
}

void add_merge(CLI::App& app, Arguments& arguments) {
  CLI::App& command = *app.add_subcommand(
      "merge", "join the parts of a search that ran in shards (search --shard i/N --part FILE)");
  command.add_option("PART", arguments.search.parts, "files written by search --part")->required();
  command.add_option("--out", arguments.search.out, "write the best plan as a scenario")
      ->type_name("FILE");
  add_outputs(command, arguments);
  add_format(command, arguments, {"text", "json"});
  command.callback([&arguments] { arguments.command = Command::kMerge; });
}

}  // namespace stagecraft::cli
