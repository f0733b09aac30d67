#include "stagecraft/report/svg_timeline.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <vector>

#include "report/format.hpp"
#include "report/palette.hpp"
#include "report/ticks.hpp"

namespace stagecraft {
namespace {

constexpr double kGutter = 44.0;  // device labels
constexpr double kRight = 12.0;
constexpr double kTop = 34.0;  // legend
constexpr double kTitle = 24.0;
constexpr double kAxis = 30.0;
constexpr double kRunGap = 10.0;
constexpr double kSmallest = 0.5;  // ops that end within this many pixels are merged
constexpr double kLabelSize = 10.0;
constexpr double kSmallestLabel = 7.0;
constexpr double kDigitWidth = 6.2;  // of a sans-serif font of kLabelSize pixels
constexpr double kLabelRow = 12.0;   // less high rows have fewer device labels
constexpr int kTicks = 12;

std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
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

double default_row_height(std::int32_t devices) {
  return devices <= 8     ? 20.0
         : devices <= 16  ? 14.0
         : devices <= 32  ? 8.0
         : devices <= 128 ? 4.0
                          : 2.0;
}

class Picture {
 public:
  Picture(const SvgOptions& options, Time end) : options_(options), end_(std::max<Time>(end, 1)) {}

  void add_run(const Run& run) {
    const Timeline& timeline = run.evaluation.timeline;
    const double row = options_.row_height > 0 ? options_.row_height
                                               : default_row_height(timeline.pipeline.devices);
    text(kGutter, y_ + 15.0, "t", title(run));
    y_ += kTitle;
    sliced_ = timeline.pipeline.sliced();
    const std::vector<int> chunks = report::chunk_of_stage(timeline.pipeline);
    for (std::int32_t device = 0; device < timeline.pipeline.devices; ++device) {
      rect(kGutter, y_, x(end_) - kGutter, row - 1.0, "class=\"r\"");
      if (row >= kLabelRow || device % 8 == 0) {
        text(kGutter - 6.0, y_ + row / 2.0 + 3.5, "d", fmt::format("{}", device));
      }
      if (options_.idle_causes) {
        add_idle(run.evaluation, device, row);
      }
      add_ops(timeline, device, row, chunks);
      y_ += row;
    }
    y_ += kRunGap;
  }

  [[nodiscard]] std::string finish() {
    const std::string below = grid() + legend();
    axis();
    constexpr std::string_view kHead =
        R"(<svg xmlns="http://www.w3.org/2000/svg" width="{0}" height="{1:.0f}" viewBox="0 0 {0} {1:.0f}" font-family="system-ui,'Segoe UI',Helvetica,Arial,sans-serif" font-size="11">
<style>text{{fill:#57606a}}.t{{font-weight:600;font-size:12px;fill:#24292f}}.d{{text-anchor:end}}.a{{text-anchor:middle}}.l{{text-anchor:middle}}.r{{fill:#8a94a3;fill-opacity:.14}}.g{{stroke:#8a94a3;stroke-opacity:.35}}@media(prefers-color-scheme:dark){{text{{fill:#9aa4b2}}.t{{fill:#e6edf3}}}}</style>
)";
    return fmt::format(fmt::runtime(kHead), options_.width, y_) + below + fmt::to_string(body_) +
           "</svg>\n";
  }

 private:
  [[nodiscard]] double x(Time time) const {
    return kGutter + (options_.width - kGutter - kRight) * static_cast<double>(time) /
                         static_cast<double>(end_);
  }

  template <typename... Args>
  void put(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(body_), format, std::forward<Args>(args)...);
  }
  void rect(double left, double top, double width, double height, std::string_view attributes) {
    put("<rect x=\"{:.2f}\" y=\"{:.2f}\" width=\"{:.2f}\" height=\"{:.2f}\" {}/>\n", left, top,
        width, height, attributes);
  }
  void text(double left, double baseline, std::string_view css, std::string_view content) {
    put("<text x=\"{:.2f}\" y=\"{:.2f}\" class=\"{}\">{}</text>\n", left, baseline, css,
        escaped(content));
  }

  static std::string title(const Run& run) {
    const Evaluation& e = run.evaluation;
    std::string text = fmt::format("{}: ", run.schedule);
    text += e.iteration > 0 ? fmt::format("iteration {}", report::time_text(e.iteration))
                            : fmt::format("makespan {}", report::time_text(e.makespan));
    text += fmt::format(", bubble {}", report::percent_text(e.bubble_fraction));
    if (run.memory_given) {
      text += fmt::format(", peak {}", report::memory_text(e.peak_memory));
    }
    return e.feasible ? text : text + ", not feasible";
  }

  void add_idle(const Evaluation& evaluation, std::int32_t device, double row) {
    double drawn = 0.0;
    for (const IdleInterval& idle : evaluation.idle) {
      if (idle.device != device || x(idle.end) - drawn < kSmallest) {
        continue;
      }
      const double left = std::max(x(idle.start), drawn);
      rect(left, y_, x(idle.end) - left, row - 1.0,
           fmt::format("fill=\"{}\" fill-opacity=\".35\"",
                       report::kIdleColours[static_cast<std::size_t>(idle.cause)]));
      causes_[static_cast<std::size_t>(idle.cause)] = true;
      drawn = x(idle.end);
    }
  }

  void add_ops(const Timeline& timeline, std::int32_t device, double row,
               const std::vector<int>& chunks) {
    const auto d = static_cast<std::size_t>(device);
    double compute_drawn = 0.0;
    double copy_drawn = 0.0;
    for (std::size_t i = timeline.offsets[d]; i < timeline.offsets[d + 1]; ++i) {
      const Op& op = timeline.ops[i];
      const bool copy = is_copy(op.kind);
      double& drawn = copy ? copy_drawn : compute_drawn;
      const double right = x(timeline.end[i]);
      if (right - drawn < kSmallest || timeline.end[i] == timeline.start[i]) {
        continue;
      }
      kinds_[static_cast<std::size_t>(op.kind)] = true;
      const double left = std::max(x(timeline.start[i]), drawn);
      // Copies run beside the compute ops: a strip at the foot of the row.
      const double height = copy ? std::max(1.0, row / 5.0) : row - 1.0;
      add_op(op, left, right, copy ? y_ + row - 1.0 - height : y_, height, chunks);
      drawn = right;
    }
  }

  void add_op(const Op& op, double left, double right, double top, double height,
              const std::vector<int>& chunks) {
    // A hairline between neighbours, as long as there is room for it.
    const double width = right - left > 3.0 ? right - left - 0.5 : right - left;
    const auto draw = [&](const Op& half, double y, double h) {
      const auto stage = static_cast<std::size_t>(half.unit.stage);
      const bool later =
          half.direction == Direction::kUp || (stage < chunks.size() && chunks[stage] % 2 == 1);
      rect(
          left, y, width, h,
          fmt::format("fill=\"{}\"{}", report::kOpColours[static_cast<std::size_t>(half.kind)].fill,
                      later ? " fill-opacity=\".68\"" : ""));
    };
    if (op.kind == OpKind::kOverlapped) {
      draw(forward_half(op), top, height / 2.0);
      draw(backward_half(op), top + height / 2.0, height / 2.0);
    } else {
      draw(op, top, height);
    }
    if (op.kind == OpKind::kOverlapped) {
      label(forward_half(op), left, width, top, height / 2.0);
      label(backward_half(op), left, width, top + height / 2.0, height / 2.0);
    } else {
      label(op, left, width, top, height);
    }
  }

  /// The unit (micro-batch, or micro-batch.slice) in the middle of a box, as large as the box
  /// allows.
  void label(const Op& op, double left, double width, double top, double height) {
    const std::string number = sliced_ ? fmt::format("{}.{}", op.unit.microbatch, op.unit.slice)
                                       : fmt::format("{}", op.unit.microbatch);
    const double size = std::min(kLabelSize, height - 1.0);
    const double needed =
        kDigitWidth / kLabelSize * size * static_cast<double>(number.size()) + 3.0;
    if (!options_.labels || size < kSmallestLabel || width < needed) {
      return;
    }
    put("<text x=\"{:.2f}\" y=\"{:.2f}\" class=\"l\" "
        "style=\"fill:{};font-size:{:.0f}px\">{}</text>\n",
        left + width / 2.0, top + height / 2.0 + 0.35 * size,
        report::kOpColours[static_cast<std::size_t>(op.kind)].ink, size, number);
  }

  void axis() {
    const std::vector<Time> ticks = report::axis_ticks(end_, kTicks);
    const report::Scale scale = report::time_scale(ticks);
    for (const Time tick : ticks) {
      const bool last = tick == ticks.back();
      text(x(tick), y_ + 10.0, "a",
           last ? fmt::format("{} {}", report::scaled(tick, scale), scale.unit)
                : report::scaled(tick, scale));
    }
    y_ += kAxis;
  }

  [[nodiscard]] std::string grid() const {
    std::string text;
    for (const Time tick : report::axis_ticks(end_, kTicks)) {
      text += fmt::format(
          "<line x1=\"{0:.2f}\" x2=\"{0:.2f}\" y1=\"{1:.0f}\" y2=\"{2:.2f}\" class=\"g\"/>\n",
          x(tick), kTop, y_ - kRunGap + 4.0);
    }
    return text;
  }

  [[nodiscard]] std::string legend() const {
    std::string text;
    double left = kGutter;
    const auto entry = [&](std::string_view fill, std::string_view opacity, std::string_view name) {
      text += fmt::format(
          "<rect x=\"{:.2f}\" y=\"10\" width=\"12\" height=\"12\" rx=\"2\" fill=\"{}\"{}/>"
          "<text x=\"{:.2f}\" y=\"20\">{}</text>\n",
          left, fill, opacity, left + 17.0, name);
      left += 17.0 + kDigitWidth * static_cast<double>(name.size()) + 14.0;
    };
    for (std::size_t kind = 0; kind < kinds_.size(); ++kind) {
      if (kinds_[kind]) {
        const double swatch = left;
        entry(report::kOpColours[kind].fill, "", report::op_word(static_cast<OpKind>(kind)));
        if (static_cast<OpKind>(kind) == OpKind::kOverlapped) {
          text += overlapped_swatch(swatch);
        }
      }
    }
    for (std::size_t cause = 0; cause < causes_.size(); ++cause) {
      if (causes_[cause]) {
        entry(report::kIdleColours[cause], " fill-opacity=\".35\"",
              fmt::format("idle: {}", to_string(static_cast<IdleCause>(cause))));
      }
    }
    return text;
  }

  static std::string overlapped_swatch(double left) {
    const auto half = [left](OpKind kind, int top) {
      return fmt::format("<rect x=\"{:.2f}\" y=\"{}\" width=\"12\" height=\"6\" fill=\"{}\"/>\n",
                         left, top, report::kOpColours[static_cast<std::size_t>(kind)].fill);
    };
    return half(OpKind::kForward, 10) + half(OpKind::kBackward, 16);
  }

  const SvgOptions& options_;
  Time end_;
  double y_ = kTop;
  bool sliced_ = false;  // the run being drawn
  std::array<bool, kOpKindCount> kinds_{};
  std::array<bool, kIdleCauseCount> causes_{};
  fmt::memory_buffer body_;
};

}  // namespace

std::string svg_timeline(std::span<const Run> runs, const SvgOptions& options) {
  Time end = 0;
  for (const Run& run : runs) {
    if (has_timeline(run)) {
      const std::vector<Time>& ends = run.evaluation.timeline.end;
      end = std::max(end, *std::max_element(ends.begin(), ends.end()));
    }
  }
  Picture picture(options, end);
  for (const std::size_t index : drawing_order(runs)) {
    if (has_timeline(runs[index])) {
      picture.add_run(runs[index]);
    }
  }
  return picture.finish();
}

}  // namespace stagecraft
