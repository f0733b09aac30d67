#include "report/data/length_parts.hpp"

#include <fmt/format.h>

#include "report/json.hpp"
#include "stagecraft/core/text.hpp"

namespace stagecraft::report {

std::string tokens_label(data::Tokens tokens) {
  constexpr data::Tokens kKi = 1024;
  if (tokens == 0 || tokens % kKi != 0) {
    return fmt::format("{}", tokens);
  }
  return tokens % (kKi * kKi) == 0 ? fmt::format("{}M", tokens / (kKi * kKi))
                                   : fmt::format("{}K", tokens / kKi);
}

std::string share_label(double part, double whole) {
  const double percent = whole > 0.0 ? 100.0 * part / whole : 0.0;
  return percent == 0.0     ? "0 %"
         : percent >= 9.995 ? fmt::format("{:.1f} %", percent)
         : percent >= 0.1   ? fmt::format("{:.2f} %", percent)
                            : fmt::format("{:.2g} %", percent);
}

std::string bucket_label(const data::LengthBucket& bucket) {
  return bucket.above == 0
             ? fmt::format("up to {}", tokens_label(bucket.up_to))
             : fmt::format("{} to {}", tokens_label(bucket.above), tokens_label(bucket.up_to));
}

std::string quantile_label(const data::LengthQuantile& quantile) {
  return fmt::format("{:.4g} %", 100.0 * quantile.share);
}

std::vector<std::string> length_sentences(const LengthReport& report) {
  const data::LengthSummary& s = report.lengths;
  std::vector<std::string> sentences;
  sentences.push_back(fmt::format("{}{} {} of {} tokens together",
                                  report.sampled ? "sample of " : "", with_thousands(s.sequences),
                                  s.sequences == 1 ? "sequence" : "sequences",
                                  with_thousands(s.tokens)));
  if (s.sequences > 0) {
    sentences.push_back(
        fmt::format("mean {:.1f}, standard deviation {:.1f}, shortest {}, longest {}", s.mean,
                    s.deviation, with_thousands(s.shortest), with_thousands(s.longest)));
  }
  if (report.context > 0) {
    const auto uncut = static_cast<double>(s.tokens + s.tokens_cut);
    sentences.push_back(
        s.truncated == 0
            ? fmt::format("context {}: nothing is cut", tokens_label(report.context))
            : fmt::format(
                  "context {}: {} {} ({}) {} cut, which loses {} of the tokens",
                  tokens_label(report.context), with_thousands(s.truncated),
                  s.truncated == 1 ? "sequence" : "sequences",
                  share_label(static_cast<double>(s.truncated), static_cast<double>(s.sequences)),
                  s.truncated == 1 ? "is" : "are",
                  share_label(static_cast<double>(s.tokens_cut), uncut)));
  }
  if (report.skipped_lines > 0) {
    sentences.push_back(fmt::format("{} malformed {} skipped", with_thousands(report.skipped_lines),
                                    report.skipped_lines == 1 ? "line was" : "lines were"));
  }
  return sentences;
}

std::string markup_text(std::string_view text) {
  // JSON's writer checks UTF-8; its quotes and escapes are taken off again.
  const std::string clean =
      Json::parse(Json(std::string(text)).dump(-1, ' ', false, Json::error_handler_t::replace))
          .get<std::string>();
  std::string result;
  for (const char c : clean) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      default:
        result += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  }
  return result;
}

}  // namespace stagecraft::report
