#include <algorithm>
#include <limits>

#include <fmt/core.h>

#include "data/lengths/numbers.hpp"
#include "data/lengths/records.hpp"

namespace stagecraft::data {
namespace {

std::int32_t clamped(std::int64_t value) {
  return static_cast<std::int32_t>(
      std::min<std::int64_t>(value, std::numeric_limits<std::int32_t>::max()));
}

}  // namespace

Record malformed(const Line& line, std::size_t column, std::string message, std::string hint) {
  // Enough of a line for its caret; token ids and texts would fill the screen.
  constexpr std::size_t kShown = 4096;
  Diagnostic problem = bad_input(std::move(message), std::move(hint));
  problem.place.line = clamped(line.number);
  problem.place.column = clamped(static_cast<std::int64_t>(column) + 1);
  if (column <= kShown) {
    problem.source_line = printable(line.text.substr(0, kShown));
  }
  return {Record::Kind::kMalformed, 0, std::move(problem)};
}

Record record_without_text(const Line& line) {
  switch (line.kind) {
    case Line::Kind::kTooLong:
      return malformed(line, 0, fmt::format("the line is longer than {} MiB", kLongestLine >> 20U));
    case Line::Kind::kDamaged:
      return malformed(line, 0, std::string(line.problem), "what follows cannot be read");
    case Line::Kind::kBroken: {
      Record record = malformed(line, 0, std::string(line.problem));
      record.kind = Record::Kind::kBroken;
      return record;
    }
    case Line::Kind::kText:
    case Line::Kind::kEnd:
      break;
  }
  return {};
}

std::span<const std::string_view> usual_names() {
  static constexpr std::string_view kNames[] = {
      "length",  "tokens", "num_tokens",      "n_tokens",  "token_count",
      "seq_len", "seqlen", "sequence_length", "input_ids", "token_ids"};
  return kNames;
}

Record PlainRecords::next() {
  for (;;) {
    const Line line = lines_.next();
    if (line.kind != Line::Kind::kText) {
      return record_without_text(line);
    }
    const std::string_view content = trimmed(line.text.substr(0, line.text.find('#')));
    if (content.empty()) {
      continue;
    }
    FieldLength length = field_length(content);
    if (length.tokens > 0) {
      return {Record::Kind::kLength, length.tokens, {}};
    }
    return malformed(line, static_cast<std::size_t>(content.data() - line.text.data()),
                     std::move(length.problem));
  }
}

}  // namespace stagecraft::data
