#include "data/lengths/histogram.hpp"

#include <array>
#include <cmath>

#include <fmt/core.h>

#include "data/lengths/numbers.hpp"
#include "stagecraft/core/file.hpp"
#include "stagecraft/core/text.hpp"

namespace stagecraft::data {
namespace {

constexpr std::string_view kExpected = "expected up_to,count or up_to,count,mean";

struct Field {
  std::string_view text;
  std::int32_t column = 1;
};

/// At most four fields: one more than there may be shows that there are too many.
std::vector<Field> fields_of(std::string_view line) {
  std::vector<Field> fields;
  std::size_t begin = 0;
  while (fields.size() < 4) {
    const std::size_t end = std::min(line.find_first_of(",\t;", begin), line.size());
    fields.push_back(
        {trimmed(line.substr(begin, end - begin)), static_cast<std::int32_t>(begin) + 1});
    if (end == line.size()) {
      break;
    }
    begin = end + 1;
  }
  return fields;
}

std::optional<double> number_of(std::string_view text) {
  const std::optional<double> value = take_number(text);
  return value && text.empty() ? value : std::nullopt;
}

/// Reads the lines of a histogram one after the other.
class HistogramReader {
 public:
  explicit HistogramReader(const std::string& path) : path_(path) {}

  /// False if the line is wrong.
  bool take(std::string_view line) {
    ++number_;
    line_ = line;
    const std::string_view content = trimmed(line);
    if (content.empty() || content.front() == '#') {
      return true;
    }
    const std::vector<Field> fields = fields_of(line);
    const bool header = first_ && !number_of(fields.front().text);
    first_ = false;
    return header || take_fields(fields);
  }

  bool take_fields(const std::vector<Field>& fields) {
    if (fields.size() < 2 || fields.size() > 3) {
      return wrong(fields.back(), std::string(kExpected));
    }
    std::array<double, 3> values{};
    for (std::size_t i = 0; i < fields.size(); ++i) {
      const std::optional<double> value = number_of(fields[i].text);
      if (!value) {
        return wrong(fields[i],
                     fmt::format("{} is not a number, {}", in_quotes(fields[i].text), kExpected));
      }
      values[i] = *value;
    }
    const Result<Tokens> up_to = parse_tokens(fields[0].text);
    if (!up_to) {
      return wrong(fields[0], up_to.failures().front().message);
    }
    HistogramBucket bucket{*up_to, values[1], std::nullopt};
    if (fields.size() == 3) {
      bucket.mean = values[2];
    }
    const std::string problem =
        bucket_problem(bucket, buckets_.empty() ? 0 : buckets_.back().up_to);
    if (!problem.empty()) {
      return wrong(fields[0], problem);
    }
    if (buckets_.size() == kMostBuckets) {
      return wrong(fields[0], fmt::format("more than {} buckets", kMostBuckets));
    }
    buckets_.push_back(bucket);
    return true;
  }

  bool wrong(const Field& field, std::string message) {
    failure_ = bad_input(std::move(message));
    failure_.place = {path_, number_, field.column};
    failure_.source_line = printable(line_);
    return false;
  }

  Result<std::vector<HistogramBucket>> finish() {
    double total = 0.0;
    for (const HistogramBucket& bucket : buckets_) {
      total += bucket.share;
    }
    if (total <= 0.0) {
      failure_ = bad_input(fmt::format("the histogram holds no sequence, {}", kExpected));
      failure_.place.file = path_;
      return failure_;
    }
    return std::move(buckets_);
  }

  Diagnostic failure_;

 private:
  const std::string& path_;
  std::string_view line_;
  std::int32_t number_ = 0;
  bool first_ = true;
  std::vector<HistogramBucket> buckets_;
};

}  // namespace

std::string bucket_problem(const HistogramBucket& bucket, Tokens above) {
  if (bucket.up_to <= above) {
    return fmt::format("the bucket ends at {}, expected more than {}, where the one before it ends",
                       bucket.up_to, above);
  }
  if (!(bucket.share >= 0.0) || bucket.share > 1e18) {
    return fmt::format("a share of {} is out of range, expected 0 to 1e18", bucket.share);
  }
  if (bucket.mean && !(*bucket.mean >= static_cast<double>(above) + 1.0 &&
                       *bucket.mean <= static_cast<double>(bucket.up_to))) {
    return fmt::format("a mean of {} lies outside its bucket, expected {} to {}", *bucket.mean,
                       above + 1, bucket.up_to);
  }
  return {};
}

Mixture histogram_mixture(const std::vector<HistogramBucket>& buckets) {
  Mixture mixture;
  Tokens above = 0;
  for (const HistogramBucket& bucket : buckets) {
    Component component;
    component.low = above + 1;
    component.high = bucket.up_to;
    if (bucket.mean) {
      component = with_mean(above + 1, bucket.up_to, *bucket.mean);
    }
    component.weight = bucket.share;
    above = bucket.up_to;
    if (bucket.share > 0.0) {
      mixture.push_back(component);
    }
  }
  return mixture;
}

Result<std::vector<HistogramBucket>> read_histogram(const std::string& path) {
  const Result<std::string> content = read_file(path);
  if (!content) {
    return content.failures();
  }
  std::string_view rest = *content;
  if (rest.starts_with("\xEF\xBB\xBF")) {
    rest.remove_prefix(3);
  }
  HistogramReader reader(path);
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.ends_with('\r')) {
      line.remove_suffix(1);
    }
    if (!reader.take(line)) {
      return reader.failure_;
    }
  }
  return reader.finish();
}

}  // namespace stagecraft::data
