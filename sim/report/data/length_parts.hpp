// What the text, the picture and the page about lengths share.
#pragma once

#include <string>
#include <string_view>

#include "stagecraft/report/data_report.hpp"

namespace stagecraft::report {

/// "48K" for whole multiples of 1024, else "1438".
[[nodiscard]] std::string tokens_label(data::Tokens tokens);
/// Of a part: "78.8 %", "1.12 %", "0.005 %".
[[nodiscard]] std::string share_label(double part, double whole);
/// "1K to 2K", "up to 1K".
[[nodiscard]] std::string bucket_label(const data::LengthBucket& bucket);
/// "1 %", "99.9 %".
[[nodiscard]] std::string quantile_label(const data::LengthQuantile& quantile);
/// One sentence each: how many, how long, what was cut, what was skipped.
[[nodiscard]] std::vector<std::string> length_sentences(const LengthReport& report);
/// For text of XML and HTML and for their attributes; bytes that are not UTF-8 become '?'.
[[nodiscard]] std::string markup_text(std::string_view text);

}  // namespace stagecraft::report
