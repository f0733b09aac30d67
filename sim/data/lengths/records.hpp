// One length after the other out of the lines of a file, in each of the formats.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "data/lengths/line_reader.hpp"
#include "stagecraft/data/lengths.hpp"

namespace stagecraft::data {

/// What the next record is.
struct Record {
  enum class Kind : std::uint8_t {
    kLength,
    kEnd,
    kMalformed,  ///< may be skipped
    kBroken,     ///< ends the stream
  };
  Kind kind = Kind::kEnd;
  Tokens tokens = 0;
  std::optional<Diagnostic> problem;  ///< of kMalformed and kBroken; its file is not set
};

[[nodiscard]] Record malformed(const Line& line, std::size_t column, std::string message,
                               std::string hint = {});
/// The record of a line that is no text.
[[nodiscard]] Record record_without_text(const Line& line);

/// Keys and columns that are taken where none is named, the first of them that is there.
[[nodiscard]] std::span<const std::string_view> usual_names();

/// One length per line; blank lines, and what follows a '#', are gone over.
class PlainRecords {
 public:
  explicit PlainRecords(LineReader lines) : lines_(std::move(lines)) {}
  [[nodiscard]] Record next();

 private:
  LineReader lines_;
};

/// A column of comma-, semicolon- or tab-separated values (RFC 4180, with quotes).
class CsvRecords {
 public:
  CsvRecords(LineReader lines, std::string column, bool tabs);
  [[nodiscard]] Record next();

 private:
  struct Cell {
    std::string text;        ///< without its quotes
    std::size_t offset = 0;  ///< in the row
  };
  enum class Split : std::uint8_t { kDone, kOpenQuote, kWrong };

  [[nodiscard]] Line next_line();
  [[nodiscard]] Record take_row(const Line& line);
  [[nodiscard]] Record take_quoted(const Line& line);
  [[nodiscard]] Record take_cells(std::string_view row, std::int64_t number);
  [[nodiscard]] Record take_length(std::string_view row, std::int64_t number, std::size_t offset,
                                   std::string_view cell) const;
  [[nodiscard]] Record take_first(std::string_view row, std::int64_t number);
  [[nodiscard]] std::string find_column(bool& header);
  [[nodiscard]] std::size_t same_name(std::size_t index) const;
  [[nodiscard]] Split split(std::string_view row);
  void guess_separator(std::string_view row);

  LineReader lines_;
  std::string column_;
  char separator_ = 0;  ///< 0: to be guessed from the first row
  bool first_ = true;
  std::size_t index_ = 0;  ///< of the column
  std::vector<Cell> cells_;
  std::size_t wrong_at_ = 0;                                ///< of Split::kWrong: offset in the row
  std::string row_;                                         ///< of several lines
  std::deque<std::pair<std::int64_t, std::string>> again_;  ///< lines to be read once more
  std::optional<Line> after_again_;
  std::string current_;
};

/// A field of JSON objects, one per line; its value is a number, or an array, whose size counts.
class JsonRecords {
 public:
  JsonRecords(LineReader lines, const std::string& field);
  [[nodiscard]] Record next();

 private:
  LineReader lines_;
  std::vector<std::string> path_;  ///< empty: one of usual_names(), or the line is the value
};

}  // namespace stagecraft::data
