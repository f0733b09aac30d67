#include "arguments.hpp"

#include <algorithm>
#include <iostream>
#include <utility>

#include <fmt/core.h>
#include <CLI/CLI.hpp>

#include "argument_groups.hpp"
#include "exit_status.hpp"
#include "stagecraft/core/text.hpp"
#include "stagecraft/version.hpp"

namespace stagecraft::cli {
namespace {

struct Parser {
  CLI::App app{"Simulates, compares and searches pipeline-parallel training schedules.",
               "stagecraft"};
  Arguments arguments;
  std::string schedules = "all";
};

void add_formation(CLI::App& command, Arguments& arguments) {
  command
      .add_option("--formation", arguments.formation,
                  "with data: write which tokens of which sequences make which micro-batch and "
                  "slice (JSON)")
      ->type_name("FILE");
}

void add_simulate(Parser& parser) {
  Arguments& arguments = parser.arguments;
  CLI::App& command = *parser.app.add_subcommand("simulate", "one schedule: times, idle, memory");
  add_scenario(command, arguments);
  command
      .add_option("--schedule", arguments.schedule,
                  "schedule (with data: strategy) instead of the scenario's own")
      ->type_name("NAME");
  add_outputs(command, arguments);
  add_format(command, arguments, {"text", "json"});
  add_formation(command, arguments);
  command
      .add_option("--out", arguments.machine.out,
                  "with data: write the iteration as a scenario with explicit costs and its ops")
      ->type_name("FILE");
  command.callback([&arguments] { arguments.command = Command::kSimulate; });
}

void add_compare(Parser& parser) {
  Arguments& arguments = parser.arguments;
  CLI::App& command =
      *parser.app.add_subcommand("compare", "many schedules in one table, best first");
  add_scenario(command, arguments);
  command
      .add_option(
          "--schedules", parser.schedules,
          "names with commas between, or all (default): every schedule but optimal and file, or "
          "with data every strategy")
      ->type_name("A,B,C");
  add_outputs(command, arguments);
  add_format(command, arguments, {"text", "json"});
  command.add_option("--threads", arguments.threads, "schedules worked on at once (0: every core)")
      ->type_name("N")
      ->check(CLI::Range(0, 1024));
  command.add_flag("--wide", arguments.wide, "also the peak memory of every device");
  command.callback([&arguments] { arguments.command = Command::kCompare; });
}

void add_schedule(Parser& parser) {
  Arguments& arguments = parser.arguments;
  CLI::App& command = *parser.app.add_subcommand("schedule", "the op lists of a schedule");
  add_scenario(command, arguments);
  command
      .add_option("--schedule", arguments.schedule,
                  "schedule (with data: strategy) instead of the scenario's own")
      ->type_name("NAME");
  add_format(command, arguments, {"ops", "json", "pytorch-csv"});
  add_formation(command, arguments);
  command.callback([&arguments] { arguments.command = Command::kSchedule; });
}

/// A number of ns with its unit, 1ms to 60min; anything less is the noise of a machine.
std::string read_watchdog(std::string& text) {
  static constexpr std::pair<std::string_view, double> kUnits[] = {
      {"ms", 1e6}, {"s", 1e9}, {"min", 60e9}};
  const std::size_t letters = std::min(text.find_first_not_of("0123456789."), text.size());
  double number = 0.0;
  const bool is_number = CLI::detail::lexical_cast(text.substr(0, letters), number);
  for (const auto& [unit, factor] : kUnits) {
    const double time = number * factor;
    if (is_number && text.substr(letters) == unit && time >= 1e6 && time <= 3600e9) {
      text = fmt::format("{:.0f}", time);
      return {};
    }
  }
  return fmt::format("'{}' is not a duration from 1ms to 60min, such as 500ms or 5s", text);
}

void add_watchdog(CLI::App& command, Arguments& arguments) {
  command
      .add_option("--watchdog", arguments.machine.watchdog,
                  "give up when nothing runs or ends for this long: 1ms to 60min (default 10s)")
      ->type_name("DURATION")
      ->transform(CLI::Validator(read_watchdog, std::string()));
}

/// What one backend does not know must not be ignored in silence.
void refuse_foreign_options(const CLI::App& execute, const MachineArguments& machine) {
  const auto given = [&](const char* name) { return execute.get_option(name)->count() > 0; };
  for (const char* name : {"--gpus", "--no-graphs"}) {
    if (machine.backend == "host" && given(name)) {
      throw CLI::ValidationError(name, "the host has no GPUs, expected with --backend cuda only");
    }
  }
  if (machine.backend == "cuda" && machine.body != "stage" && given("--body")) {
    throw CLI::ValidationError(
        "--body", "'" + machine.body + "' is for --backend host, expected stage or nothing");
  }
}

void add_execute(Parser& parser) {
  Arguments& arguments = parser.arguments;
  MachineArguments& machine = arguments.machine;
  CLI::App& command =
      *parser.app.add_subcommand("execute", "run a schedule for real, predicted beside measured");
  add_scenario(command, arguments);
  command
      .add_option("--backend", machine.backend,
                  "host: one thread per device; cuda: streams of one or several GPUs")
      ->type_name("BACKEND")
      ->required()
      ->check(CLI::IsMember({"host", "cuda"}));
  CLI::Option* one = command.add_option("--schedule", arguments.schedule,
                                        "schedule instead of the scenario's own");
  one->type_name("NAME");
  command
      .add_option("--schedules", parser.schedules,
                  "a table over schedules: names with commas between, or all")
      ->type_name("A,B,C")
      ->excludes(one)
      ->each([&machine](const std::string&) { machine.table = true; });
  command
      .add_option("--body", machine.body,
                  "what ops do on the host: sleep or busy for their time, or stage: compute the "
                  "scenario's section 'execute', as cuda always does (default sleep)")
      ->type_name("BODY")
      ->check(CLI::IsMember({"sleep", "busy", "stage"}));
  command
      .add_option("--iterations", machine.iterations,
                  "iterations of a run, one after the other; from two on they have a period, the "
                  "iteration time (default 3)")
      ->type_name("N")
      ->check(CLI::Range(1, 1000));
  command.add_option("--runs", machine.runs, "runs, of which the median is reported (default 3)")
      ->type_name("N")
      ->check(CLI::Range(1, 1000));
  add_watchdog(command, arguments);
  command
      .add_option(
          "--gpus", machine.gpus,
          "of cuda; whole: a GPU per device; divided: one GPU for all; auto (default): whole "
          "if there are enough")
      ->type_name("USE")
      ->check(CLI::IsMember({"auto", "whole", "divided"}));
  command.add_flag("--no-graphs", machine.no_graphs,
                   "of cuda: launch kernels one by one, without graphs");
  command.add_flag("--anyway", machine.anyway,
                   "run even what is predicted to deadlock or to exceed memory");
  add_outputs(command, arguments);
  add_format(command, arguments, {"text", "json"});
  command.callback([&arguments, &command] {
    refuse_foreign_options(command, arguments.machine);
    arguments.command = Command::kExecute;
  });
}

void add_calibrate(Parser& parser) {
  Arguments& arguments = parser.arguments;
  MachineArguments& machine = arguments.machine;
  CLI::App& command = *parser.app.add_subcommand(
      "calibrate", "measure what every op of a scenario costs, and write that as a scenario");
  add_scenario(command, arguments);
  command.add_option("--device", machine.backend, "where to measure")
      ->type_name("DEVICE")
      ->required()
      ->check(CLI::IsMember({"host", "cuda"}));
  command.add_option("--out", machine.out, "scenario with explicit costs to write")
      ->type_name("FILE")
      ->required();
  command.add_option("--json", arguments.json, "write what was measured as JSON")
      ->type_name("FILE");
  command.add_flag("--alone", machine.alone,
                   "take the costs of ops that run alone, not with the other devices busy");
  command.add_option("--repeat", machine.repeat, "samples of every op (default 11)")
      ->type_name("N")
      ->check(CLI::Range(1, 100000));
  command.callback([&arguments] { arguments.command = Command::kCalibrate; });
}

void add_list(Parser& parser) {
  Arguments& arguments = parser.arguments;
  CLI::App& command = *parser.app.add_subcommand(
      "list", "what there is: schedules, keys, search methods, data, strategies");
  command
      .add_option("TOPIC", arguments.topic,
                  "schedules, keys of a scenario file, search methods, data (stand-ins and "
                  "expressions for sequence lengths), strategies for data, or cost profiles")
      ->required();
  command.add_option("NAME", arguments.names, "only these, with all details");
  command.callback([&arguments] { arguments.command = Command::kList; });
}

/// `--set a=1 b=2` means `--set a=1 --set b=2`; a scenario's name may hold no '='.
std::vector<std::string> spread_overrides(int argc, const char* const* argv) {
  std::vector<std::string> words;
  bool after_override = false;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const bool another = after_override && !word.starts_with("-") &&
                         word.find('=') != std::string::npos && words.back() != "--set";
    if (another) {
      words.emplace_back("--set");
    }
    after_override = word == "--set" || (after_override && words.back() == "--set") || another;
    words.push_back(word);
  }
  return words;
}

std::vector<std::string> command_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(command->get_name());
  }
  return names;
}

std::string near_option(const CLI::App& command, std::string_view word) {
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) {
      names.push_back("--" + name);
    }
  }
  const std::vector<std::string_view> views(names.begin(), names.end());
  return std::string(nearest_name(word.substr(0, word.find('=')), views));
}

const CLI::App& chosen_command(const CLI::App& app) {
  const auto chosen = app.get_subcommands();
  return chosen.empty() ? app : *chosen.front();
}

int report(const Parser& parser, const CLI::ParseError& error,
           const std::vector<std::string>& words) {
  if (error.get_exit_code() == 0) {  // --help and --version
    return parser.app.exit(error, std::cout, std::cerr) == 0 ? kDone : kBadInput;
  }
  const CLI::App& command = chosen_command(parser.app);
  std::string message = error.what();
  std::string hint;
  for (const std::string& word : words) {
    if (message.find(word) != std::string::npos && word.starts_with("--") && hint.empty()) {
      hint = near_option(command, word);
      hint = hint == word ? "" : hint;
    }
  }
  fmt::print(stderr, "error: {}\n", message);
  if (!hint.empty()) {
    fmt::print(stderr, "  did you mean '{}'?\n", hint);
  }
  const std::string name = &command == &parser.app ? "" : command.get_name() + " ";
  fmt::print(stderr, "  see `stagecraft {}--help`\n", name);
  return kBadInput;
}

struct Names {
  std::vector<std::string> names;     ///< each once, in order of their first places
  std::vector<std::string> repeated;  ///< each once
};

Names split_names(const std::string& list) {
  const auto in = [](const std::vector<std::string>& some, const std::string& one) {
    return std::find(some.begin(), some.end(), one) != some.end();
  };
  Names all;
  std::string name;
  for (const char c : list + ",") {
    if (c != ',') {
      name += c;
      continue;
    }
    if (!name.empty() && !in(all.names, name)) {
      all.names.push_back(name);
    } else if (!name.empty() && !in(all.repeated, name)) {
      all.repeated.push_back(name);
    }
    name.clear();
  }
  return all;
}

}  // namespace

std::optional<Arguments> parse_arguments(int argc, const char* const* argv, int& status) {
  Parser parser;
  parser.app.set_version_flag("--version", fmt::format("stagecraft {}", kVersion));
  parser.app.require_subcommand(1);
  parser.app.failure_message(CLI::FailureMessage::simple);
  add_simulate(parser);
  add_compare(parser);
  add_schedule(parser);
  add_search(parser.app, parser.arguments);
  add_merge(parser.app, parser.arguments);
  add_execute(parser);
  add_calibrate(parser);
  add_data(parser.app, parser.arguments);
  add_list(parser);

  std::vector<std::string> words = spread_overrides(argc, argv);
  if (words.empty()) {
    fmt::print(stderr, "error: a command is missing\n\n{}", parser.app.help());
    status = kBadInput;
    return std::nullopt;
  }
  const std::vector<std::string> commands = command_names(parser.app);
  if (!words[0].starts_with("-") &&
      std::find(commands.begin(), commands.end(), words[0]) == commands.end()) {
    const std::vector<std::string_view> names(commands.begin(), commands.end());
    const std::string_view near = nearest_name(words[0], names);
    fmt::print(stderr, "error: unknown command '{}', expected one of: {}\n", words[0],
               join(names, " "));
    if (!near.empty()) {
      fmt::print(stderr, "  did you mean '{}'?\n", near);
    }
    status = kBadInput;
    return std::nullopt;
  }
  try {
    // CLI11 takes the words from the back.
    parser.app.parse(std::vector<std::string>(words.rbegin(), words.rend()));
  } catch (const CLI::ParseError& error) {
    status = report(parser, error, words);
    return std::nullopt;
  }
  if (parser.schedules != "all") {
    Names given = split_names(parser.schedules);
    for (const std::string& name : given.repeated) {
      fmt::print(stderr, "warning: --schedules names '{}' more than once, it is taken once\n",
                 name);
    }
    parser.arguments.schedules = std::move(given.names);
    if (parser.arguments.schedules.empty()) {
      fmt::print(stderr, "error: --schedules names no schedule, expected A,B,C or all\n");
      status = kBadInput;
      return std::nullopt;
    }
  }
  return parser.arguments;
}

}  // namespace stagecraft::cli
