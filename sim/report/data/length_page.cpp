// A described data set as one self-contained page.
#include <fmt/format.h>

#include "report/data/length_parts.hpp"
#include "report/page_source.hpp"
#include "stagecraft/core/text.hpp"

namespace stagecraft {
namespace {

constexpr std::string_view kStyle = R"(
main { padding: 0 24px 24px; }
.card { background: var(--surface); border: 1px solid var(--line); border-radius: 8px; box-shadow: var(--shadow); padding: 14px 16px; margin: 0 0 14px; }
.card svg { display: block; width: 100%; max-width: 1100px; height: auto; margin: 0 auto; }
.tables { display: flex; flex-wrap: wrap; gap: 14px; align-items: flex-start; }
.tables .card { flex: 1 1 300px; overflow-x: auto; }
.tables .wide { flex-grow: 2; flex-basis: 560px; }
h2 { margin: 0 0 6px; font-size: 14px; font-weight: 600; }
th { padding: 5px 10px; position: static; } tbody tr { cursor: default; }
ul { margin: 4px 0 0; padding: 0 0 0 18px; color: var(--muted); font-size: 14px; }
.share { display: inline-block; width: 110px; height: 9px; border-radius: 2px; background: var(--busy); text-align: left; vertical-align: 0; }
.share i { display: block; height: 100%; border-radius: 2px; }
.s i { background: #56b4e9; } .k i { background: #d55e00; }
)";

std::string bar(std::string_view css, double part, double whole) {
  return fmt::format("<span class=\"share {}\"><i style=\"width:{:.2f}%\"></i></span>", css,
                     whole > 0.0 ? 100.0 * part / whole : 0.0);
}

std::string bucket_rows(const data::LengthSummary& lengths) {
  std::string rows;
  const auto sequences = static_cast<double>(lengths.sequences);
  const auto tokens = static_cast<double>(lengths.tokens);
  for (const data::LengthBucket& bucket : lengths.buckets) {
    const auto s = static_cast<double>(bucket.sequences);
    const auto t = static_cast<double>(bucket.tokens);
    rows += fmt::format(
        "<tr><td class=\"text\">{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>"
        "<td>{}</td></tr>\n",
        report::bucket_label(bucket), with_thousands(bucket.sequences),
        report::share_label(s, sequences), bar("s", s, sequences), with_thousands(bucket.tokens),
        report::share_label(t, tokens), bar("k", t, tokens));
  }
  return rows;
}

std::string quantile_rows(const data::LengthSummary& lengths) {
  std::string rows;
  for (const data::LengthQuantile& quantile : lengths.quantiles) {
    rows += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td></tr>\n",
                        report::quantile_label(quantile), with_thousands(quantile.of_sequences),
                        with_thousands(quantile.of_tokens));
  }
  return rows;
}

}  // namespace

std::string length_page(const LengthReport& report) {
  const std::string name = report::markup_text(report.name);
  std::string sentences;
  for (const std::string& sentence : report::length_sentences(report)) {
    sentences += "<li>" + report::markup_text(sentence) + "</li>";
  }
  std::string page =
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n<link rel=\"icon\" href=\"data:,\">\n";
  page += fmt::format("<title>{}: lengths</title>\n<style>\n", name);
  page += report::kPageStyle;
  page += kStyle;
  page += fmt::format(
      "</style>\n</head>\n<body>\n<header><h1>{}</h1><p id=\"summary\">{}</p><ul>{}</ul></header>\n"
      "<main>\n",
      name, report.summary == report.name ? std::string() : report::markup_text(report.summary),
      sentences);
  if (report.lengths.sequences > 0) {
    page +=
        "<section class=\"card\" aria-label=\"Histogram\">\n" + length_svg(report) + "</section>\n";
    page +=
        "<div class=\"tables\">\n<section class=\"card wide\"><h2>Where sequences and tokens "
        "are</h2>"
        "<table><thead><tr><th class=\"text\">length</th><th>sequences</th><th>share</th><th></th>"
        "<th>tokens</th><th>share</th><th></th></tr></thead><tbody>\n" +
        bucket_rows(report.lengths) +
        "</tbody></table></section>\n<section class=\"card\"><h2>Quantiles</h2><table><thead><tr>"
        "<th>share</th><th>of sequences up to</th><th>of tokens up to</th></tr></thead><tbody>\n" +
        quantile_rows(report.lengths) + "</tbody></table></section>\n</div>\n";
  }
  return page + "</main>\n</body>\n</html>\n";
}

}  // namespace stagecraft
