// A described data set as JSON.
#include "report/json.hpp"
#include "stagecraft/report/data_report.hpp"
#include "stagecraft/version.hpp"

namespace stagecraft {
namespace {

using report::Json;

double share(std::int64_t part, std::int64_t whole) {
  return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0.0;
}

Json buckets_json(const std::vector<data::LengthBucket>& buckets,
                  const data::LengthSummary& lengths) {
  Json list = Json::array();
  for (const data::LengthBucket& bucket : buckets) {
    list.push_back({{"above", bucket.above},
                    {"up_to", bucket.up_to},
                    {"sequences", bucket.sequences},
                    {"tokens", bucket.tokens},
                    {"share_of_sequences", share(bucket.sequences, lengths.sequences)},
                    {"share_of_tokens", share(bucket.tokens, lengths.tokens)}});
  }
  return list;
}

}  // namespace

std::string length_json(const LengthReport& report) {
  const data::LengthSummary& s = report.lengths;
  Json json = {{"stagecraft", kVersion}, {"data", report.name}, {"summary", report.summary}};
  if (report.context > 0) {
    json["context_tokens"] = report.context;
    json["truncated_sequences"] = s.truncated;
    json["truncated_tokens"] = s.tokens_cut;
  }
  json["sampled"] = report.sampled;
  json["skipped_lines"] = report.skipped_lines;
  json["sequences"] = s.sequences;
  json["tokens"] = s.tokens;
  json["shortest"] = s.shortest;
  json["longest"] = s.longest;
  json["mean"] = s.mean;
  json["deviation"] = s.deviation;
  json["quantiles"] = Json::array();
  for (const data::LengthQuantile& quantile : s.quantiles) {
    json["quantiles"].push_back({{"share", quantile.share},
                                 {"of_sequences", quantile.of_sequences},
                                 {"of_tokens", quantile.of_tokens}});
  }
  json["buckets"] = buckets_json(s.buckets, s);
  json["curve"] = buckets_json(s.curve, s);
  return report::json_text(json);
}

}  // namespace stagecraft
