// The command line of `data`.
#include <fmt/core.h>

#include "argument_groups.hpp"
#include "stagecraft/data/lengths.hpp"

namespace stagecraft::cli {
namespace {

void add_input(CLI::App& command, DataArguments& data) {
  command
      .add_option("DATA", data.lengths,
                  "file of lengths (- for standard input), name of a stand-in, or expression; see "
                  "`stagecraft list data`")
      ->required();
  command
      .add_option("--column", data.column,
                  "column of CSV or TSV: its name, or its number from 1 (default: the only one, or "
                  "one with a usual name)")
      ->type_name("C");
  command
      .add_option("--field", data.field,
                  "field of JSON Lines, nested by dots: a number, or an array of token ids, whose "
                  "size counts (default: one with a usual name)")
      ->type_name("F");
  command
      .add_option("--input-format", data.input_format,
                  "auto (default: by the name), lines, csv (and TSV) or jsonl")
      ->type_name("FORMAT")
      ->check(CLI::IsMember({"auto", "lines", "csv", "jsonl"}))
      ->transform(CLI::Validator(
          [](std::string& format) {
            format = format == "json-lines" ? "jsonl" : format;
            return std::string();
          },
          std::string()));
  command.add_flag("--skip-malformed", data.skip_malformed,
                   "count and go over lines that cannot be read, instead of failing at the first");
}

}  // namespace

void add_data(CLI::App& app, Arguments& arguments) {
  DataArguments& data = arguments.data;
  CLI::App& command = *app.add_subcommand(
      "data", "describe a set of sequence lengths: quantiles, and where its tokens are");
  add_input(command, data);
  command
      .add_option("--context", data.context,
                  "longest sequence, such as 48K (of 1024): longer ones count as cut to it")
      ->type_name("TOKENS")
      ->check([](const std::string& text) {
        const Result<data::Tokens> tokens = data::parse_tokens(text);
        return tokens ? std::string{} : tokens.failures().front().message;
      });
  command
      .add_option("--samples", data.samples,
                  "sequences to take (default: all of a file, 1000000 of what has no end)")
      ->type_name("N")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 32));
  command.add_option("--seed", data.seed, "seed of what is drawn (default 1)")
      ->type_name("N")
      ->check([](const std::string& text) {
        const bool whole = text.find_first_not_of("0123456789") == std::string::npos;
        return whole ? std::string{} : "'" + text + "' is not a whole number from 0 on";
      });
  add_format(command, arguments, {"text", "json"});
  command
      .add_option("--json", arguments.json,
                  "write the result as JSON (-: to standard output, and nothing else there)")
      ->type_name("FILE");
  command.add_option("--html", arguments.html, "write a page")->type_name("FILE");
  command.add_option("--svg", arguments.svg, "write a picture of the histogram")->type_name("FILE");
  command.callback([&arguments] { arguments.command = Command::kData; });
}

}  // namespace stagecraft::cli
