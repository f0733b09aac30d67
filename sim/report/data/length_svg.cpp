// Where sequences and tokens are: two panels over length, which is drawn by its logarithm.
#include <algorithm>
#include <cmath>
#include <iterator>

#include <fmt/format.h>

#include "report/data/length_parts.hpp"
#include "report/palette.hpp"
#include "stagecraft/core/text.hpp"

namespace stagecraft {
namespace {

using data::LengthBucket;

constexpr double kWidth = 960.0;
constexpr double kLeft = 62.0;
constexpr double kRight = 18.0;
constexpr double kTop = 52.0;  // title and legend
constexpr double kPanel = 200.0;
constexpr double kBetween = 40.0;
constexpr double kHeight = kTop + 2 * kPanel + kBetween + 44.0;
constexpr int kMostTicks = 16;

constexpr std::string_view kSequenceColour = report::kOpColours[0].fill;  // sky blue
constexpr std::string_view kTokenColour = report::kOpColours[3].fill;     // vermilion

/// Bounds of a bucket on the axis: whole lengths stand in the middle between halves.
double log_from(const LengthBucket& bucket) {
  return std::log2(static_cast<double>(bucket.above) + 0.5);
}
double log_to(const LengthBucket& bucket) {
  return std::log2(static_cast<double>(bucket.up_to) + 0.5);
}

/// 1, 2 or 5 times a power of ten that divides `top` into at most five parts.
double step_of(double top) {
  double step = std::pow(10.0, std::floor(std::log10(top)) - 1.0);
  for (int i = 0; top / step > 5.0; ++i) {
    step *= i % 3 == 1 ? 2.5 : 2.0;
  }
  return step;
}

class LengthPicture {
 public:
  explicit LengthPicture(const LengthReport& report) : report_(report) {
    const auto& curve = report.lengths.curve;
    from_ = curve.empty() ? 0.0 : std::floor(log_from(curve.front()));
    to_ = curve.empty() ? 1.0 : log_to(curve.back());
    to_ = std::max(to_, from_ + 1.0);
  }

  std::string draw() {
    head();
    const double first = kTop;
    const double second = kTop + kPanel + kBetween;
    histogram(first);
    cumulative(second);
    lengths_axis(second + kPanel);
    return fmt::to_string(text_) + "</svg>\n";
  }

 private:
  template <typename... Args>
  void put(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(text_), format, std::forward<Args>(args)...);
  }

  [[nodiscard]] double x(double log_length) const {
    return kLeft + (kWidth - kLeft - kRight) * (log_length - from_) / (to_ - from_);
  }

  void label(double left, double baseline, std::string_view css, std::string_view content) {
    put("<text x=\"{:.1f}\" y=\"{:.1f}\" class=\"{}\">{}</text>\n", left, baseline, css,
        report::markup_text(content));
  }

  void head() {
    put("<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"lengths\" width=\"{0:.0f}\" "
        "height=\"{1:.0f}\" viewBox=\"0 0 {0:.0f} {1:.0f}\" "
        "font-family=\"system-ui,'Segoe UI',Helvetica,Arial,sans-serif\" font-size=\"11\">\n",
        kWidth, kHeight);
    put("<style>.lengths text{{fill:#57606a}}.lengths "
        ".t{{font-weight:600;font-size:13px;fill:#24292f}}.lengths .y{{text-anchor:end}}.lengths "
        ".x{{text-anchor:middle}}.lengths .g{{stroke:#8a94a3;stroke-opacity:.3}}.lengths "
        ".h{{stroke:#8a94a3;stroke-dasharray:4 4}}.lengths .s{{stroke:{0};fill:{0}}}.lengths "
        ".k{{stroke:{1};fill:{1}}}.lengths .area{{fill-opacity:.32;stroke-width:1.5}}.lengths "
        ".line{{fill:none;stroke-width:2}}@media(prefers-color-scheme:dark){{.lengths "
        "text{{fill:#9aa4b2}}.lengths .t{{fill:#e6edf3}}}}</style>\n",
        kSequenceColour, kTokenColour);
    constexpr std::size_t kLongestTitle = 110;
    std::string title = report_.name;
    if (title.size() > kLongestTitle) {
      title = title.substr(0, kLongestTitle) + " ...";
    }
    label(kLeft, 18.0, "t", title);
    double left = kLeft;
    for (const auto& [css, name] :
         {std::pair{"s", "share of sequences"}, {"k", "share of tokens"}}) {
      put("<rect x=\"{:.1f}\" y=\"28\" width=\"12\" height=\"12\" rx=\"2\" class=\"{} area\"/>\n",
          left, css);
      label(left + 18.0, 38.0, "", name);
      left += 150.0;
    }
  }

  /// What share of all lies in a bucket, per eighth of a power of two, so that areas compare.
  template <typename Part>
  [[nodiscard]] double density(const LengthBucket& bucket, Part part, double whole) const {
    return whole > 0.0
               ? static_cast<double>(part) / whole / (8.0 * (log_to(bucket) - log_from(bucket)))
               : 0.0;
  }
  [[nodiscard]] double sequence_density(const LengthBucket& b) const {
    return density(b, b.sequences, static_cast<double>(report_.lengths.sequences));
  }
  [[nodiscard]] double token_density(const LengthBucket& b) const {
    return density(b, b.tokens, static_cast<double>(report_.lengths.tokens));
  }

  void histogram(double top) {
    double most = 1e-3;
    for (const LengthBucket& bucket : report_.lengths.curve) {
      most = std::max({most, sequence_density(bucket), token_density(bucket)});
    }
    const double step = step_of(most);
    most = step * std::ceil(most / step);
    const double foot = top + kPanel;
    for (double value = 0.0; value <= most * 1.001; value += step) {
      horizontal(foot - kPanel * value / most, fmt::format("{:.3g} %", 100.0 * value));
    }
    verticals(top, foot);
    const auto area = [&](std::string_view css, auto&& height) {
      put("<path class=\"{} area\" d=\"M{:.1f} {:.1f}", css,
          report_.lengths.curve.empty() ? kLeft : x(log_from(report_.lengths.curve.front())), foot);
      for (const LengthBucket& bucket : report_.lengths.curve) {
        const double y = foot - kPanel * height(bucket) / most;
        put("L{:.1f} {:.1f}L{:.1f} {:.1f}", x(log_from(bucket)), y, x(log_to(bucket)), y);
      }
      put("V{:.1f}Z\"/>\n", foot);
    };
    area("s", [this](const LengthBucket& b) { return sequence_density(b); });
    area("k", [this](const LengthBucket& b) { return token_density(b); });
    label(kWidth - kRight, top - 14.0, "y", "share per eighth of a doubling of the length");
  }

  void cumulative(double top) {
    const double foot = top + kPanel;
    label(kWidth - kRight, top - 8.0, "y", "share in sequences that are not longer");
    for (int percent = 0; percent <= 100; percent += 25) {
      horizontal(foot - kPanel * percent / 100.0, fmt::format("{} %", percent));
    }
    verticals(top, foot);
    line("s", foot, [](const LengthBucket& b) { return b.sequences; }, report_.lengths.sequences);
    line("k", foot, [](const LengthBucket& b) { return b.tokens; }, report_.lengths.tokens);
    for (const data::LengthQuantile& quantile : report_.lengths.quantiles) {
      if (quantile.share == 0.5) {
        half("s", foot, quantile.of_sequences, "half of the sequences", true);
        half("k", foot, quantile.of_tokens, "half of the tokens", false);
      }
    }
  }

  template <typename Part>
  void line(std::string_view css, double foot, Part part, std::int64_t whole) {
    put("<path class=\"{} line\" d=\"M{:.1f} {:.1f}", css,
        report_.lengths.curve.empty() ? kLeft : x(log_from(report_.lengths.curve.front())), foot);
    std::int64_t sum = 0;
    for (const LengthBucket& bucket : report_.lengths.curve) {
      sum += part(bucket);
      put("L{:.1f} {:.1f}", x(log_to(bucket)),
          foot - kPanel * static_cast<double>(sum) /
                     static_cast<double>(std::max<std::int64_t>(whole, 1)));
    }
    put("\"/>\n");
  }

  /// Marks the length up to which half of all lies.
  void half(std::string_view css, double foot, data::Tokens length, std::string_view what,
            bool left) {
    const double at = x(std::log2(static_cast<double>(length)));
    const double y = foot - kPanel / 2.0;
    put("<circle class=\"{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\"/>\n", css, at, y);
    // Above the rising curve on its left or below it on its right; where there is no room on the
    // right, so far below that the curve is not crossed.
    constexpr double kRoom = 210.0;
    const bool on_left = left && at > kLeft + kRoom;
    const bool at_edge = !on_left && at > kWidth - kRight - kRoom;
    const double anchor = at_edge ? kWidth - kRight - 4.0 : at + (on_left ? -9.0 : 9.0);
    const double shift = at_edge ? 0.3 * kPanel : on_left ? -8.0 : 16.0;
    put("<text x=\"{:.1f}\" y=\"{:.1f}\"{}>{}</text>\n", anchor, y + shift,
        on_left || at_edge ? " text-anchor=\"end\"" : "",
        report::markup_text(fmt::format("{}: up to {}", what, with_thousands(length))));
  }

  void horizontal(double y, const std::string& value) {
    put("<line x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{:.1f}\" y2=\"{:.1f}\" class=\"g\"/>\n", kLeft,
        kWidth - kRight, y, y);
    label(kLeft - 7.0, y + 4.0, "y", value);
  }

  [[nodiscard]] int tick_step() const {
    return std::max(1, static_cast<int>(std::ceil((to_ - from_) / kMostTicks)));
  }

  void verticals(double top, double foot) {
    for (int power = static_cast<int>(std::max(from_, 0.0)); power <= to_; power += tick_step()) {
      put("<line x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1:.1f}\" y2=\"{2:.1f}\" class=\"g\"/>\n",
          x(power), top, foot);
    }
  }

  void lengths_axis(double foot) {
    for (int power = static_cast<int>(std::max(from_, 0.0)); power <= to_; power += tick_step()) {
      label(x(power), foot + 15.0, "x", report::tokens_label(data::Tokens{1} << power));
    }
    label((kLeft + kWidth - kRight) / 2.0, foot + 33.0, "x", "sequence length in tokens");
  }

  const LengthReport& report_;
  double from_ = 0.0, to_ = 1.0;  // of the axis: powers of two
  fmt::memory_buffer text_;
};

}  // namespace

std::string length_svg(const LengthReport& report) {
  return LengthPicture(report).draw();
}

}  // namespace stagecraft
