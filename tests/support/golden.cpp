#include "support/golden.hpp"

#include <cmath>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "stagecraft/core/check.hpp"

namespace stagecraft::test {
namespace {

std::string slurp(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  STAGECRAFT_CHECK(stream.good(), "golden data is missing");
  return {std::istreambuf_iterator<char>(stream), {}};
}

// RFC 4180: quoted cells may hold commas, quotes (doubled) and line ends.
std::vector<std::vector<std::string>> parse_csv(const std::string& text) {
  std::vector<std::vector<std::string>> rows;
  std::vector<std::string> row;
  std::string cell;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c != '"') {
        cell += c;
      } else if (i + 1 < text.size() && text[i + 1] == '"') {
        cell += '"';
        ++i;
      } else {
        quoted = false;
      }
    } else if (c == '"') {
      quoted = true;
    } else if (c == ',') {
      row.push_back(std::move(cell));
      cell.clear();
    } else if (c == '\n') {
      row.push_back(std::move(cell));
      cell.clear();
      rows.push_back(std::move(row));
      row.clear();
    } else if (c != '\r') {
      cell += c;
    }
  }
  if (!cell.empty() || !row.empty()) {
    row.push_back(std::move(cell));
    rows.push_back(std::move(row));
  }
  return rows;
}

const std::vector<GoldenRow>& all_rows() {
  static const std::vector<GoldenRow> rows = [] {
    const auto table = parse_csv(slurp(STAGECRAFT_TEST_DATA "/golden/schedules.csv"));
    std::vector<GoldenRow> result;
    for (std::size_t i = 1; i < table.size(); ++i) {
      GoldenRow row;
      for (std::size_t c = 0; c < table[0].size() && c < table[i].size(); ++c) {
        row.cells[table[0][c]] = table[i][c];
      }
      result.push_back(std::move(row));
    }
    return result;
  }();
  return rows;
}

}  // namespace

const std::string& GoldenRow::at(std::string_view column) const {
  const auto cell = cells.find(column);
  STAGECRAFT_CHECK(cell != cells.end(), "unknown golden column");
  return cell->second;
}

bool GoldenRow::has(std::string_view column) const {
  return !at(column).empty();
}

double GoldenRow::number(std::string_view column) const {
  return std::stod(at(column));
}

int GoldenRow::integer(std::string_view column) const {
  return std::stoi(at(column));
}

std::vector<double> GoldenRow::numbers(std::string_view column) const {
  std::vector<double> values;
  const std::string& text = at(column);
  for (std::size_t begin = 0; begin < text.size();) {
    std::size_t end = text.find(';', begin);
    if (end == std::string::npos) {
      end = text.size();
    }
    values.push_back(std::stod(text.substr(begin, end - begin)));
    begin = end + 1;
  }
  return values;
}

std::vector<Time> GoldenRow::times(std::string_view column) const {
  std::vector<Time> result;
  for (const double value : numbers(column)) {
    result.push_back(std::llround(value * 1000.0));
  }
  return result;
}

std::vector<GoldenRow> golden_rows(std::string_view peer, std::string_view schedule,
                                   bool with_failures) {
  std::vector<GoldenRow> result;
  for (const GoldenRow& row : all_rows()) {
    if (row.at("peer") == peer && row.at("schedule").starts_with(schedule) &&
        (with_failures || !row.at("trust").starts_with("C"))) {
      result.push_back(row);
    }
  }
  return result;
}

std::vector<std::vector<std::string>> golden_order(const std::string& key) {
  static const nlohmann::json orders =
      nlohmann::json::parse(slurp(STAGECRAFT_TEST_DATA "/golden/orders.json"));
  return orders.at(key).get<std::vector<std::vector<std::string>>>();
}

}  // namespace stagecraft::test
