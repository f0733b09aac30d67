#include "stagecraft/data/lengths.hpp"

#include <filesystem>

#include <fmt/core.h>

#include "data/lengths/expression.hpp"
#include "data/lengths/grammar.hpp"
#include "data/lengths/numbers.hpp"
#include "data/lengths/source.hpp"

namespace stagecraft::data {
namespace {

std::string_view format_name(const FileInput& input) {
  switch (input.format) {
    case FileFormat::kCsv:
      return input.tabs ? "TSV" : "CSV";
    case FileFormat::kJsonLines:
      return "JSON Lines";
    case FileFormat::kAuto:
    case FileFormat::kLines:
      break;
  }
  return "lines";
}

std::string file_summary(const FileInput& input) {
  std::string text = fmt::format("{} of {}", format_name(input),
                                 input.path == "-" ? "standard input" : input.path);
  if (!input.column.empty()) {
    text += ", column " + input.column;
  }
  return input.field.empty() ? text : text + ", field " + input.field;
}

/// Neither a file nor the name of anything: which of both was meant is not known.
Diagnostic nothing_like_it(std::string_view text, const Diagnostic& as_file) {
  const std::string_view near = nearest_expression(text.substr(0, text.find('(')));
  return bad_input(fmt::format("{} is neither a file ({}) nor a name or an expression for lengths",
                               in_quotes(text), as_file.message),
                   near.empty() ? "see `stagecraft list data`"
                   : near == text
                       ? fmt::format("{} takes arguments, see `stagecraft list data`", near)
                       : fmt::format("did you mean '{}'?", near));
}

}  // namespace

Result<Lengths> parse_lengths(std::string_view text, const FileOptions& options) {
  Lengths lengths;
  lengths.text = text;
  if (trimmed(text).empty()) {
    return bad_input("the lengths are empty, expected a name, an expression or a file",
                     "see `stagecraft list data`");
  }
  if (is_expression(text)) {
    Result<Expression> expression = parse_expression(text, options.directory);
    if (!expression) {
      return expression.failures();
    }
    lengths.summary = std::move(expression->summary);
    if (const NamedLengths* named = find_named(trimmed(text))) {
      lengths.summary += fmt::format(" ({})", named->summary);
    }
    lengths.source =
        std::make_shared<Lengths::Source>(Lengths::Source{std::move(expression->mixture)});
    return lengths;
  }
  Result<FileInput> file = find_file(text, options);
  if (!file) {
    std::error_code status;
    const bool path_like = text.find_first_of("/.") != std::string_view::npos &&
                           text.find('(') == std::string_view::npos;
    const bool exists = std::filesystem::exists(
        std::filesystem::path(options.directory) / std::filesystem::path(text), status);
    return path_like || exists ? file.failures()
                               : Diagnostics{nothing_like_it(text, file.failures().front())};
  }
  lengths.finite = true;
  lengths.summary = file_summary(*file);
  lengths.source = std::make_shared<Lengths::Source>(Lengths::Source{std::move(*file)});
  return lengths;
}

Result<LengthSource> open_lengths(const Lengths& lengths, std::uint64_t seed,
                                  SkippedLines* skipped) {
  STAGECRAFT_CHECK(lengths.source != nullptr, "lengths come from parse_lengths");
  if (const auto* file = std::get_if<FileInput>(&lengths.source->what)) {
    return open_file(*file, skipped);
  }
  struct State {
    MixtureSampler sampler;
    Random random;
  };
  const auto state = std::make_shared<State>(
      State{MixtureSampler(std::get<Mixture>(lengths.source->what)), Random(seed)});
  return LengthSource([state](std::span<Tokens> out) -> Result<std::size_t> {
    for (Tokens& tokens : out) {
      tokens = state->sampler.draw(state->random);
    }
    return out.size();
  });
}

bool can_be_read_again(const Lengths& lengths) {
  const auto* file = std::get_if<FileInput>(&lengths.source->what);
  return file == nullptr || !file->once;
}

}  // namespace stagecraft::data
