#include <algorithm>
#include <charconv>

#include <fmt/core.h>

#include "data/lengths/numbers.hpp"
#include "data/lengths/records.hpp"
#include "stagecraft/core/text.hpp"

namespace stagecraft::data {
namespace {

// A quote that is never closed must not swallow a whole file.
constexpr std::size_t kLongestQuotedRow = std::size_t{1} << 20U;

/// A problem at an offset of a row that may have several lines.
Record wrong_at(std::string_view row, std::int64_t number, std::size_t offset, std::string message,
                std::string hint = {}) {
  offset = std::min(offset, row.size());
  const std::string_view before = row.substr(0, offset);
  const std::size_t begin = before.rfind('\n') + 1;  // npos + 1 is 0
  const std::size_t end = std::min(row.find('\n', offset), row.size());
  const Line line{Line::Kind::kText,
                  row.substr(begin, end - begin),
                  number + std::count(before.begin(), before.end(), '\n'),
                  {}};
  return malformed(line, offset - begin, std::move(message), std::move(hint));
}

/// A problem of the first row, without which no other can be read.
Record broken(std::string_view row, std::int64_t number, std::size_t offset, std::string message,
              std::string hint) {
  Record record = wrong_at(row, number, offset, std::move(message), std::move(hint));
  record.kind = Record::Kind::kBroken;
  return record;
}

/// A column by its number from 1; 0 if `column` is a name.
std::size_t column_number(std::string_view column) {
  std::size_t number = 0;
  const char* begin = column.data();
  const char* end = begin + column.size();
  const auto [rest, error] = std::from_chars(begin, end, number);
  return error == std::errc() && rest == end ? number : 0;
}

bool looks_like_number(std::string_view text) {
  text = trimmed(text);
  return text.empty() || (text.front() >= '0' && text.front() <= '9') || text.front() == '-' ||
         text.front() == '+' || text.front() == '.';
}

}  // namespace

CsvRecords::CsvRecords(LineReader lines, std::string column, bool tabs)
    : lines_(std::move(lines)), column_(std::move(column)), separator_(tabs ? '\t' : '\0') {}

Line CsvRecords::next_line() {
  if (!again_.empty()) {
    const std::int64_t number = again_.front().first;
    current_ = std::move(again_.front().second);
    again_.pop_front();
    return {Line::Kind::kText, current_, number, {}};
  }
  if (after_again_) {
    const Line line = *after_again_;
    after_again_.reset();
    return line;
  }
  return lines_.next();
}

Record CsvRecords::next() {
  for (;;) {
    const Line line = next_line();
    if (line.kind != Line::Kind::kText) {
      return record_without_text(line);
    }
    if (trimmed(line.text).empty()) {
      continue;
    }
    Record record = take_row(line);
    if (record.kind != Record::Kind::kEnd) {  // else it was the header
      return record;
    }
  }
}

Record CsvRecords::take_row(const Line& line) {
  if (separator_ == 0) {
    guess_separator(line.text);
  }
  if (line.text.find('"') != std::string_view::npos) {
    return take_quoted(line);
  }
  if (first_) {
    static_cast<void>(split(line.text));  // without quotes nothing can be wrong
    return take_first(line.text, line.number);
  }
  // The cell alone: most rows come here.
  std::size_t begin = 0;
  for (std::size_t i = 0; i < index_; ++i) {
    const std::size_t found = line.text.find(separator_, begin);
    if (found == std::string_view::npos) {
      return wrong_at(
          line.text, line.number, line.text.size(),
          fmt::format("the row has {} columns, expected at least {}", i + 1, index_ + 1));
    }
    begin = found + 1;
  }
  const std::size_t end = std::min(line.text.find(separator_, begin), line.text.size());
  return take_length(line.text, line.number, begin, line.text.substr(begin, end - begin));
}

Record CsvRecords::take_quoted(const Line& line) {
  const std::int64_t number = line.number;
  row_ = line.text;
  std::vector<std::size_t> begins;  // of the lines after the first
  for (;;) {
    switch (split(row_)) {
      case Split::kDone:
        return take_cells(row_, number);
      case Split::kWrong: {
        // Lines after the one that is wrong are read again as rows of their own.
        Record record = wrong_at(row_, number, wrong_at_,
                                 "a quote within a value, expected it "
                                 "doubled and the value in quotes");
        while (!begins.empty()) {
          again_.emplace_front(number + static_cast<std::int64_t>(begins.size()),
                               row_.substr(begins.back()));
          row_.resize(begins.back() - 1);
          begins.pop_back();
        }
        return record;
      }
      case Split::kOpenQuote:
        break;
    }
    const std::size_t opened = cells_.back().offset;
    Line more;
    bool closed = false;
    while (!closed && row_.size() <= kLongestQuotedRow) {
      more = next_line();
      if (more.kind != Line::Kind::kText) {
        break;
      }
      row_ += '\n';
      begins.push_back(row_.size());
      row_ += more.text;
      closed = more.text.find('"') != std::string_view::npos;
    }
    if (!closed) {
      if (more.kind != Line::Kind::kText) {
        after_again_ = more;
      }
      Record record = wrong_at(row_, number, opened, "the quote is not closed");
      while (!begins.empty()) {
        again_.emplace_front(number + static_cast<std::int64_t>(begins.size()),
                             row_.substr(begins.back()));
        row_.resize(begins.back() - 1);
        begins.pop_back();
      }
      return record;
    }
  }
}

CsvRecords::Split CsvRecords::split(std::string_view row) {
  cells_.clear();
  std::size_t at = 0;
  for (;;) {
    cells_.push_back({{}, at});
    Cell& cell = cells_.back();
    if (at < row.size() && row[at] == '"') {
      for (++at;; ++at) {
        const std::size_t quote = row.find('"', at);
        if (quote == std::string_view::npos) {
          return Split::kOpenQuote;
        }
        cell.text += row.substr(at, quote - at);
        at = quote + 1;
        if (at >= row.size() || row[at] != '"') {
          break;
        }
        cell.text += '"';
      }
      if (at < row.size() && row[at] != separator_) {
        wrong_at_ = at - 1;
        return Split::kWrong;
      }
    } else {
      const std::size_t end = std::min(row.find(separator_, at), row.size());
      cell.text = row.substr(at, end - at);
      if (const std::size_t quote = cell.text.find('"'); quote != std::string::npos) {
        wrong_at_ = at + quote;
        return Split::kWrong;
      }
      at = end;
    }
    if (at == row.size()) {
      return Split::kDone;
    }
    ++at;
  }
}

Record CsvRecords::take_cells(std::string_view row, std::int64_t number) {
  if (first_) {
    return take_first(row, number);
  }
  if (cells_.size() <= index_) {
    return wrong_at(
        row, number, row.size(),
        fmt::format("the row has {} columns, expected at least {}", cells_.size(), index_ + 1));
  }
  return take_length(row, number, cells_[index_].offset, cells_[index_].text);
}

Record CsvRecords::take_length(std::string_view row, std::int64_t number, std::size_t offset,
                               std::string_view cell) const {
  FieldLength length = field_length(cell);
  return length.tokens > 0 ? Record{Record::Kind::kLength, length.tokens, {}}
                           : wrong_at(row, number, offset, std::move(length.problem),
                                      index_ == 0 ? "" : fmt::format("column {}", index_ + 1));
}

Record CsvRecords::take_first(std::string_view row, std::int64_t number) {
  first_ = false;
  bool header = false;
  std::string problem = find_column(header);
  if (!problem.empty()) {
    std::vector<std::string_view> names;
    names.reserve(cells_.size());
    for (const Cell& cell : cells_) {
      names.push_back(trimmed(cell.text));
    }
    const std::string_view near =
        column_.empty() ? std::string_view{} : nearest_name(column_, names);
    return broken(row, number, 0, std::move(problem),
                  near.empty() ? "" : fmt::format("did you mean '{}'?", printable(near)));
  }
  if (!header) {
    return take_cells(row, number);
  }
  const std::size_t next = same_name(index_);
  return next == cells_.size() || column_number(column_) > 0
             ? Record{}
             : broken(row, number, cells_[next].offset,
                      fmt::format("columns {} and {} have the same name {}", index_ + 1, next + 1,
                                  in_quotes(trimmed(cells_[index_].text))),
                      fmt::format("choose one by its number, e.g. column {}", index_ + 1));
}

/// The next column after `index` of the same name; the number of columns if there is none.
std::size_t CsvRecords::same_name(std::size_t index) const {
  std::size_t next = index + 1;
  while (next < cells_.size() && trimmed(cells_[next].text) != trimmed(cells_[index].text)) {
    ++next;
  }
  return next;
}

/// Sets index_; what is wrong with the first row otherwise.
std::string CsvRecords::find_column(bool& header) {
  std::string names;
  for (const Cell& cell : cells_) {
    names += (names.empty() ? "" : ", ") + in_quotes(trimmed(cell.text));
    if (names.size() > 400) {
      names += ", ...";
      break;
    }
  }
  const auto place_of = [&](std::string_view name) {
    const auto found = std::find_if(cells_.begin(), cells_.end(),
                                    [&](const Cell& c) { return trimmed(c.text) == name; });
    return static_cast<std::size_t>(found - cells_.begin());
  };
  if (const std::size_t number = column_number(column_); number > 0) {
    index_ = number - 1;
    if (index_ >= cells_.size()) {
      return fmt::format("there is no column {}, expected 1 to {}", number, cells_.size());
    }
  } else if (!column_.empty()) {
    header = true;
    index_ = place_of(column_);
    return index_ < cells_.size() ? ""
                                  : fmt::format("there is no column {}, expected one of {}",
                                                in_quotes(column_), names);
  } else if (cells_.size() > 1) {
    header = true;
    for (const std::string_view name : usual_names()) {
      index_ = place_of(name);
      if (index_ < cells_.size()) {
        return {};
      }
    }
    return fmt::format("there are {} columns ({}), expected one to be named (--column)",
                       cells_.size(), names);
  }
  header = !looks_like_number(cells_[index_].text);
  return {};
}

void CsvRecords::guess_separator(std::string_view row) {
  separator_ = ',';
  std::ptrdiff_t most = std::count(row.begin(), row.end(), ',');
  for (const char candidate : {'\t', ';'}) {
    const std::ptrdiff_t count = std::count(row.begin(), row.end(), candidate);
    if (count > most) {
      most = count;
      separator_ = candidate;
    }
  }
}

}  // namespace stagecraft::data
