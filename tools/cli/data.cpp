// stagecraft data: what a set of sequence lengths looks like.
#include <utility>

#include <fmt/core.h>

#include "commands.hpp"
#include "exit_status.hpp"
#include "interrupt.hpp"
#include "output.hpp"
#include "stagecraft/core/file.hpp"
#include "stagecraft/core/text.hpp"
#include "stagecraft/data/describe.hpp"
#include "stagecraft/report/data_report.hpp"

namespace stagecraft::cli {
namespace {

constexpr std::int64_t kSamplesOfEndless = 1'000'000;

data::FileOptions file_options(const DataArguments& arguments) {
  data::FileOptions options;
  options.format = arguments.input_format == "lines"   ? data::FileFormat::kLines
                   : arguments.input_format == "csv"   ? data::FileFormat::kCsv
                   : arguments.input_format == "jsonl" ? data::FileFormat::kJsonLines
                                                       : data::FileFormat::kAuto;
  options.column = arguments.column;
  options.field = arguments.field;
  options.skip_malformed = arguments.skip_malformed;
  return options;
}

/// What has no end is no file: options of files are a slip there.
Diagnostics foreign_options(const DataArguments& arguments, const data::Lengths& lengths) {
  const bool of_files = !arguments.column.empty() || !arguments.field.empty() ||
                        arguments.skip_malformed || arguments.input_format != "auto";
  if (lengths.finite || !of_files) {
    return {};
  }
  return {bad_input(fmt::format("'{}' is no file ({}), expected no --column, --field, "
                                "--input-format or --skip-malformed",
                                arguments.lengths, lengths.summary),
                    fmt::format("a file of that name is ./{}", arguments.lengths))};
}

void tell_skipped(const data::SkippedLines& skipped) {
  if (skipped.count == 0) {
    return;
  }
  fmt::print(stderr, "warning: {} malformed {} skipped, the first of them:\n",
             with_thousands(skipped.count), skipped.count == 1 ? "line was" : "lines were");
  for (Diagnostic problem : skipped.first) {
    problem.source_line.clear();
    fmt::print(stderr, "  {}", to_string(problem));
  }
}

/// Notes whether the data ended.
data::LengthSource watched(data::LengthSource source, bool& at_end) {
  return [source = std::move(source), &at_end](std::span<data::Tokens> out) -> Result<std::size_t> {
    Result<std::size_t> got = source(out);
    at_end = got && *got == 0;
    return got;
  };
}

Result<LengthReport> describe(const DataArguments& arguments, const data::Lengths& lengths,
                              data::SkippedLines& skipped) {
  const Result<data::LengthSource> source =
      data::open_lengths(lengths, arguments.seed, arguments.skip_malformed ? &skipped : nullptr);
  if (!source) {
    return source.failures();
  }
  LengthReport report;
  report.name = arguments.lengths == "-" ? "standard input" : arguments.lengths;
  report.summary = lengths.summary;
  if (!arguments.context.empty()) {
    report.context = *data::parse_tokens(arguments.context);
  }
  const std::int64_t most =
      arguments.samples > 0 ? arguments.samples : (lengths.finite ? 0 : kSamplesOfEndless);
  bool at_end = false;
  const data::LengthSource reading = watched(*source, at_end);
  Result<data::LengthSummary> summary = data::describe_lengths(reading, report.context, most);
  if (!summary) {
    return summary.failures();
  }
  if (!at_end && lengths.finite) {
    // Exactly as many samples as the file has are no sample.
    data::Tokens next = 0;
    static_cast<void>(reading(std::span<data::Tokens>(&next, 1)));
  }
  report.lengths = std::move(*summary);
  report.sampled = !at_end;
  report.skipped_lines = skipped.count;
  return report;
}

int write(const Arguments& arguments, const LengthReport& report) {
  const std::pair<const std::string&, std::string (*)(const LengthReport&)> outputs[] = {
      {arguments.json, length_json}, {arguments.html, length_page}, {arguments.svg, length_svg}};
  for (const auto& [path, text] : outputs) {
    if (path.empty()) {
      continue;
    }
    if (const Result<std::size_t> written = write_file(path, text(report)); !written) {
      return fail(written.failures());
    }
  }
  if (output_is_taken(arguments)) {
    return kDone;
  }
  return print(arguments.format == "json" ? length_json(report) : length_text(report));
}

}  // namespace

int run_data(const Arguments& arguments) {
  const Result<data::Lengths> lengths =
      data::parse_lengths(arguments.data.lengths, file_options(arguments.data));
  if (!lengths) {
    return fail(lengths.failures());
  }
  if (const Diagnostics failures = foreign_options(arguments.data, *lengths); !failures.empty()) {
    return fail(failures);
  }
  if (const int status = check_outputs({arguments.json, arguments.html, arguments.svg});
      status != kDone) {
    return status;
  }
  data::SkippedLines skipped;
  const Result<LengthReport> report = describe(arguments.data, *lengths, skipped);
  if (!report) {
    return fail(report.failures());
  }
  tell_skipped(skipped);
  if (report->lengths.sequences == 0) {
    Diagnostic empty = bad_input("there is no length, expected at least one");
    empty.place.file = arguments.data.lengths;
    return fail({std::move(empty)});
  }
  // Reading keeps nothing that an interrupt could spoil and ends at once; files are written whole.
  const Interrupt interrupt;
  const int status = write(arguments, *report);
  if (Interrupt::requested()) {
    Interrupt::obey();
  }
  return status;
}

}  // namespace stagecraft::cli
