#include "argument_groups.hpp"

#include <utility>

namespace stagecraft::cli {

void add_scenario(CLI::App& command, Arguments& arguments) {
  command.add_option("SCENARIO", arguments.scenario, "scenario file (YAML), - for standard input")
      ->required();
  command
      .add_option(
          "--set", arguments.overrides,
          "override a key of the scenario: key.path=value (repeat for more); paths in it begin "
          "in the current folder, those of the scenario in the scenario's own")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false)
      ->take_all();
}

void add_outputs(CLI::App& command, Arguments& arguments) {
  const auto file = [&](const char* name, std::string& target, const char* help) {
    command.add_option(name, target, help)->type_name("FILE");
  };
  file("--json", arguments.json,
       "write the result as JSON (-: to standard output, and nothing else there)");
  file("--trace", arguments.trace, "write a Chrome/Perfetto trace");
  file("--html", arguments.html, "write an interactive page");
  file("--svg", arguments.svg, "write a static picture of the timeline");
}

void add_format(CLI::App& command, Arguments& arguments, std::vector<std::string> formats) {
  command.add_option("--format", arguments.format, "what to print on standard output")
      ->type_name("FORMAT")
      ->check(CLI::IsMember(std::move(formats)));
}

}  // namespace stagecraft::cli
