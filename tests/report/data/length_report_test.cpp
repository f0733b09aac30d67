#include <doctest/doctest.h>

#include <string>

#include <nlohmann/json.hpp>

#include "stagecraft/report/data_report.hpp"

using namespace stagecraft;

namespace {

LengthReport sample(data::Tokens context = 0) {
  data::LengthCounter counter(context);
  for (int i = 0; i < 70; ++i) {
    counter.add(500);
  }
  for (int i = 0; i < 30; ++i) {
    counter.add(10'000);
  }
  LengthReport report;
  report.name = "a <b> & \"c\"";
  report.summary = "made for a test";
  report.context = context;
  report.lengths = counter.summary();
  return report;
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++found;
  }
  return found;
}

}  // namespace

TEST_SUITE("report") {
  TEST_CASE("lengths as text: figures, quantiles, buckets with shares and bars") {
    const std::string text = length_text(sample());
    CHECK(has(text, "a <b> & \"c\": made for a test\n"));
    CHECK(has(text, "100 sequences of 335 000 tokens together\n"));
    CHECK(has(text, "mean 3350.0, standard deviation 4353.4, shortest 500, longest 10 000\n"));
    CHECK_FALSE(has(text, "sample of"));
    CHECK_FALSE(has(text, "context"));
    CHECK(has(text, "  50 %                 500           10 000\n"));
    CHECK(has(text,
              "up to 1K          70  70.0 %  ############################   35 000  10.4 %  "
              "####\n"));
    CHECK(has(text, "1K to 2K           0     0 %"));
    CHECK(has(text, "8K to 16K         30  30.0 %  ############  "));
    LengthReport report = sample(8192);
    report.sampled = true;
    report.skipped_lines = 1;
    const std::string cut = length_text(report);
    CHECK(has(cut, "sample of 100 sequences of 280 760 tokens"));
    CHECK(has(cut, "context 8K: 30 sequences (30.0 %) are cut, which loses 16.2 % of the tokens"));
    CHECK(has(cut, "1 malformed line was skipped"));
    CHECK(has(length_text(sample(16'384)), "context 16K: nothing is cut"));
  }

  TEST_CASE("lengths as JSON: every figure, shares that add up to 1") {
    LengthReport report = sample(8192);
    report.sampled = true;
    report.skipped_lines = 7;
    const auto json = nlohmann::json::parse(length_json(report));
    CHECK(json["data"] == "a <b> & \"c\"");
    CHECK(json["context_tokens"] == 8192);
    CHECK(json["truncated_sequences"] == 30);
    CHECK(json["truncated_tokens"] == 30 * (10'000 - 8192));
    CHECK(json["sampled"] == true);
    CHECK(json["skipped_lines"] == 7);
    CHECK(json["sequences"] == 100);
    CHECK(json["longest"] == 8192);
    CHECK(json["quantiles"].size() == 10);
    for (const char* key : {"buckets", "curve"}) {
      double sequences = 0.0;
      double tokens = 0.0;
      for (const auto& bucket : json[key]) {
        sequences += bucket["share_of_sequences"].get<double>();
        tokens += bucket["share_of_tokens"].get<double>();
      }
      CHECK(sequences == doctest::Approx(1.0));
      CHECK(tokens == doctest::Approx(1.0));
    }
    CHECK_FALSE(nlohmann::json::parse(length_json(sample())).contains("context_tokens"));
  }

  TEST_CASE("lengths as a picture: both curves, axes, no markup from names") {
    const std::string svg = length_svg(sample());
    CHECK(has(svg, "a &lt;b&gt; &amp; &quot;c&quot;"));
    CHECK(count(svg, "<svg") == 1);
    CHECK(count(svg, " area\" d=") == 2);
    CHECK(count(svg, " line\" d=") == 2);
    CHECK(has(svg, ">half of the sequences: up to 500<"));
    CHECK(has(svg, ">half of the tokens: up to 10 000<"));
    CHECK(has(svg, ">8K</text>"));
    CHECK(has(svg, ">sequence length in tokens<"));
    CHECK_FALSE(has(svg, "nan"));
    CHECK_FALSE(has(svg, "inf"));
    LengthReport odd = sample();
    odd.name = "bytes \xff\xfe of a name";
    CHECK_FALSE(has(length_svg(odd), "\xff"));
  }

  TEST_CASE("lengths as a page: self-contained, with the picture and both tables") {
    const std::string page = length_page(sample());
    CHECK(has(page, "<!DOCTYPE html>"));
    CHECK(has(page, "<h1>a &lt;b&gt; &amp; &quot;c&quot;</h1>"));
    CHECK(count(page, "<svg") == 1);
    CHECK(count(page, "<table>") == 2);
    CHECK(has(page, "<td class=\"text\">8K to 16K</td><td>30</td><td>30.0 %</td>"));
    CHECK(has(page, "<tr><td>99.9 %</td><td>10 000</td><td>10 000</td></tr>"));
    CHECK_FALSE(has(page, "src="));
    CHECK(count(page, "http") == 1);  // the name space of SVG
  }

  TEST_CASE("lengths of extremes draw without numbers that are none") {
    for (const data::Tokens length : {data::Tokens{1}, data::Tokens{2}, data::kLongestSequence}) {
      LengthReport report;
      data::LengthCounter counter;
      counter.add(length);
      report.lengths = counter.summary();
      const std::string page = length_page(report);
      CHECK_FALSE(has(page, "nan"));
      CHECK_FALSE(has(page, "inf"));
    }
    CHECK(has(length_text(LengthReport{}), "0 sequences of 0 tokens"));
    CHECK_FALSE(has(length_svg(LengthReport{}), "nan"));
    CHECK(has(length_page(LengthReport{}), "</html>"));
  }
}
