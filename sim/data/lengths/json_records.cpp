#include <algorithm>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "data/lengths/numbers.hpp"
#include "data/lengths/records.hpp"
#include "stagecraft/core/text.hpp"

namespace stagecraft::data {
namespace {

/// Finds the value of one field while a line is parsed; nothing is kept of the rest. The names of
/// its public functions are the library's.
class FieldFinder {
 public:
  explicit FieldFinder(const std::vector<std::string>& path) : path_(path) {}

  bool null() { return scalar("null"); }
  bool boolean(bool) { return scalar("true or false"); }
  bool number_integer(std::int64_t number) { return scalar("", number); }
  bool number_unsigned(std::uint64_t number) {
    constexpr auto kMost = static_cast<std::uint64_t>(kLongestSequence) + 1;
    return scalar("", static_cast<Tokens>(std::min(number, kMost)));
  }
  bool number_float(double, const std::string& text) { return scalar(in_quotes(text)); }
  bool string(std::string&) { return scalar("a string"); }
  template <typename Bytes>
  bool binary(Bytes&) {
    return scalar("binary");
  }
  bool start_object(std::size_t) {
    int level = kOff;
    switch (place()) {
      case Place::kRoot:
        level = 0;
        break;
      case Place::kOnWay:
        level = open_.back() + 1;
        break;
      case Place::kWanted:
        note("an object", 0);
        break;
      case Place::kElement:
        ++elements_;
        array_problem_ = "an array of objects";
        break;
      case Place::kElsewhere:
        break;
    }
    open_.push_back(level);
    return true;
  }
  bool start_array(std::size_t) {
    const Place here = place();
    const bool counted = here == Place::kWanted || (here == Place::kRoot && path_.empty());
    if (here == Place::kElement) {
      ++elements_;
      array_problem_ = "an array of arrays";
    } else if (counted) {
      elements_ = 0;
      array_problem_.clear();
    }
    open_.push_back(counted ? kCounted : kOff);
    return true;
  }
  bool end_object() {
    open_.pop_back();
    return true;
  }
  bool end_array() {
    if (open_.back() == kCounted) {
      note(elements_ == 0 ? "an empty array" : array_problem_, elements_);
    }
    open_.pop_back();
    return true;
  }
  bool key(std::string& here) {
    key_ = Place::kElsewhere;
    if (open_.back() < 0) {
      return true;
    }
    const auto level = static_cast<std::size_t>(open_.back());
    if (path_.empty()) {
      take_usual(here, level);
    } else if (here == path_[level]) {
      key_ = level + 1 == path_.size() ? Place::kWanted : Place::kOnWay;
    }
    if (key_ == Place::kElsewhere && others_.size() < kMostOthers) {
      others_.push_back(here);
    }
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception&) {
    error_at_ = position;
    return false;
  }

  bool found = false;
  Tokens tokens = 0;    ///< of the value found, if problem is empty
  std::string problem;  ///< what it is instead of a number
  std::string name;     ///< its key, if that was not given

  [[nodiscard]] std::size_t error_at() const { return error_at_; }
  [[nodiscard]] const std::vector<std::string>& others() const { return others_; }

 private:
  static constexpr int kOff = -1;
  static constexpr int kCounted = -2;
  static constexpr std::size_t kMostOthers = 32;

  enum class Place : std::uint8_t { kElsewhere, kRoot, kOnWay, kWanted, kElement };

  /// Where the value stands that begins now.
  [[nodiscard]] Place place() const {
    if (open_.empty()) {
      return Place::kRoot;
    }
    return open_.back() == kCounted ? Place::kElement
           : open_.back() == kOff   ? Place::kElsewhere
                                    : key_;
  }

  bool scalar(std::string wrong, Tokens number = 0) {
    const Place here = place();
    if (here == Place::kElement) {
      ++elements_;
    } else if (here == Place::kWanted || (here == Place::kRoot && path_.empty())) {
      note(std::move(wrong), number);
    }
    return true;
  }

  void note(std::string wrong, Tokens number) {
    found = true;
    problem = std::move(wrong);
    tokens = number;
  }

  void take_usual(const std::string& key, std::size_t level) {
    const auto names = usual_names();
    const auto rank = std::find(names.begin(), names.end(), key) - names.begin();
    if (level == 0 && rank < std::min(rank_ + 1, std::ssize(names))) {
      rank_ = rank;
      name = key;
      key_ = Place::kWanted;
    }
  }

  const std::vector<std::string>& path_;
  std::vector<int> open_;  ///< containers: how far on the path they lie, kOff or kCounted
  Place key_ = Place::kElsewhere;
  Tokens elements_ = 0;
  std::string array_problem_;
  std::ptrdiff_t rank_ = std::ssize(usual_names());  ///< of `name` among the usual ones
  std::size_t error_at_ = 0;
  std::vector<std::string> others_;
};

std::vector<std::string> split_path(const std::string& field) {
  std::vector<std::string> path;
  for (std::size_t begin = 0; begin < field.size() + 1 && !field.empty();) {
    const std::size_t end = std::min(field.find('.', begin), field.size());
    path.push_back(field.substr(begin, end - begin));
    begin = end + 1;
  }
  return path;
}

Record field_missing(const Line& line, const std::vector<std::string>& path,
                     const FieldFinder& finder) {
  std::string name;
  for (const std::string& part : path) {
    name += (name.empty() ? "" : ".") + part;
  }
  const std::vector<std::string_view> others(finder.others().begin(), finder.others().end());
  const std::string_view near = path.empty() ? "" : nearest_name(path.back(), others);
  return malformed(
      line, 0,
      path.empty() ? fmt::format("no field holds a length, expected one of {}, or one to be named "
                                 "(--field)",
                                 join(usual_names(), ", "))
                   : fmt::format("there is no field {}", in_quotes(name)),
      near.empty() ? "" : fmt::format("did you mean {}?", in_quotes(near)));
}

/// The place of the field: where its key first stands, which is right but for texts that hold it.
std::size_t column_of(std::string_view text, std::string_view key) {
  const std::size_t found = text.find(fmt::format("\"{}\"", key));
  return found == std::string_view::npos ? 0 : found;
}

}  // namespace

JsonRecords::JsonRecords(LineReader lines, const std::string& field)
    : lines_(std::move(lines)), path_(split_path(field)) {}

Record JsonRecords::next() {
  for (;;) {
    const Line line = lines_.next();
    if (line.kind != Line::Kind::kText) {
      return record_without_text(line);
    }
    if (trimmed(line.text).empty()) {
      continue;
    }
    FieldFinder finder(path_);
    if (!nlohmann::json::sax_parse(line.text.begin(), line.text.end(), &finder)) {
      return malformed(line,
                       std::min(std::max<std::size_t>(finder.error_at(), 1) - 1, line.text.size()),
                       "the line is not valid JSON, expected one object");
    }
    if (!finder.found) {
      return field_missing(line, path_, finder);
    }
    const std::string_view key = path_.empty() ? finder.name : path_.back();
    const std::size_t column = column_of(line.text, key);
    if (!finder.problem.empty()) {
      return malformed(line, column,
                       finder.problem +
                           " is no length, expected a whole number of tokens or an "
                           "array of token ids",
                       finder.problem == "a string" ? "texts have to be tokenized first" : "");
    }
    if (finder.tokens < 1 || finder.tokens > kLongestSequence) {
      return malformed(line, column,
                       range_problem(fmt::format("{}", finder.tokens), finder.tokens < 1));
    }
    return {Record::Kind::kLength, finder.tokens, {}};
  }
}

}  // namespace stagecraft::data
