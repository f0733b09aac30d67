// A described data set as text.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "report/data/length_parts.hpp"
#include "report/format.hpp"
#include "stagecraft/core/text.hpp"

namespace stagecraft {
namespace {

std::string quantile_table(const data::LengthSummary& lengths) {
  report::TextTable table({false, false, false});
  table.add_row({"share", "of sequences up to", "of tokens up to"});
  for (const data::LengthQuantile& quantile : lengths.quantiles) {
    table.add_row({report::quantile_label(quantile), with_thousands(quantile.of_sequences),
                   with_thousands(quantile.of_tokens)});
  }
  return table.str();
}

/// A bar of at most 40 characters; what is there at all has one.
std::string bar(double part, double whole) {
  constexpr double kWidth = 40.0;
  const double width = whole > 0.0 ? kWidth * part / whole : 0.0;
  return std::string(
      part > 0.0 ? std::max<std::size_t>(1, static_cast<std::size_t>(std::lround(width))) : 0, '#');
}

std::string bucket_table(const data::LengthSummary& lengths) {
  report::TextTable table({true, false, false, true, false, false, true});
  table.add_row({"length", "sequences", "share", "", "tokens", "share", ""});
  const auto sequences = static_cast<double>(lengths.sequences);
  const auto tokens = static_cast<double>(lengths.tokens);
  for (const data::LengthBucket& bucket : lengths.buckets) {
    const auto s = static_cast<double>(bucket.sequences);
    const auto t = static_cast<double>(bucket.tokens);
    table.add_row({report::bucket_label(bucket), with_thousands(bucket.sequences),
                   report::share_label(s, sequences), bar(s, sequences),
                   with_thousands(bucket.tokens), report::share_label(t, tokens), bar(t, tokens)});
  }
  return table.str();
}

}  // namespace

std::string length_text(const LengthReport& report) {
  std::string text = report.name == report.summary || report.summary.empty()
                         ? report.name + "\n"
                         : fmt::format("{}: {}\n", report.name, report.summary);
  for (const std::string& sentence : report::length_sentences(report)) {
    text += sentence + "\n";
  }
  if (report.lengths.sequences > 0) {
    text += "\n" + quantile_table(report.lengths) + "\n" + bucket_table(report.lengths);
  }
  return text;
}

}  // namespace stagecraft
