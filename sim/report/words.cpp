#include "report/words.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <tuple>

#include "report/format.hpp"

namespace stagecraft::report {
namespace {

constexpr std::size_t kCausesPerSentence = 3;
constexpr std::size_t kDifferencesPerSentence = 2;
constexpr double kSmallestShare = 10.0;  // of the loss: a tenth
constexpr Time kSmallestPart = 200;      // of an idle time: what prints as 0.0 % is left out
constexpr std::string_view kBaseline = "1f1b";

struct Difference {
  double time = 0.0;  ///< ns a device, loser minus winner
  std::string words;
};

/// What makes the loser's mean device slower, largest first.
std::vector<Difference> differences(const Evaluation& loser, const Evaluation& winner) {
  const MeanDevice a = mean_device(loser);
  const MeanDevice b = mean_device(winner);
  const std::vector<Wait> all = waits(loser);
  std::vector<Difference> result;
  result.push_back({a.busy - b.busy, "at work"});
  for (std::size_t c = 0; c < a.idle.size(); ++c) {
    const auto cause = static_cast<IdleCause>(c);
    std::string words(cause_phrase(cause));
    const auto longest = std::find_if(all.begin(), all.end(), [cause](const Wait& wait) {
      return wait.cause == cause && wait.for_device >= 0;
    });
    if (longest != all.end()) {
      words += fmt::format(" (mostly device {}, for {})", longest->device, awaited_text(*longest));
    }
    result.push_back({a.idle[c] - b.idle[c], std::move(words)});
  }
  std::stable_sort(result.begin(), result.end(), [](const Difference& x, const Difference& y) {
    return std::abs(x.time) > std::abs(y.time);
  });
  return result;
}

}  // namespace

std::vector<Wait> waits(const Evaluation& evaluation) {
  using Key = std::tuple<std::int32_t, IdleCause, std::int32_t, OpKind>;
  std::map<Key, Time> sums;
  const Timeline& timeline = evaluation.timeline;
  for (const IdleInterval& idle : evaluation.idle) {
    std::int32_t from = -1;
    OpKind kind = OpKind::kForward;
    // Before the first and after the last op the cause says it all.
    const bool names_producer = idle.cause != IdleCause::kFill && idle.cause != IdleCause::kDrain;
    if (names_producer && idle.waited_for != kNoOp) {
      from = timeline.device_of(idle.waited_for);
      kind = timeline.ops[idle.waited_for].kind;
    }
    sums[Key{idle.device, idle.cause, from, kind}] += idle.end - idle.start;
  }
  std::vector<Wait> result;
  result.reserve(sums.size());
  for (const auto& [key, time] : sums) {
    const auto& [device, cause, from, kind] = key;
    result.push_back({device, from, kind, cause, time});
  }
  std::stable_sort(result.begin(), result.end(),
                   [](const Wait& a, const Wait& b) { return a.time > b.time; });
  return result;
}

std::string_view cause_phrase(IdleCause cause) {
  switch (cause) {
    case IdleCause::kFill:
      return "before the first op";
    case IdleCause::kDrain:
      return "after the last op";
    case IdleCause::kProducer:
      return "waiting for another op to end";
    case IdleCause::kTransfer:
      return "waiting for transfers";
    case IdleCause::kMemory:
      return "waiting for memory";
    case IdleCause::kOptimizer:
      return "waiting for the optimizer step or gradient reduction of others";
  }
  return "";
}

std::string awaited_text(const Wait& wait) {
  const std::string whose = wait.for_device == wait.device
                                ? std::string("its own")
                                : fmt::format("device {}'s", wait.for_device);
  return fmt::format("{} {}", whose, op_word(wait.for_kind));
}

std::string wait_text(const Wait& wait) {
  if (wait.for_device < 0) {
    return std::string(cause_phrase(wait.cause));
  }
  switch (wait.cause) {
    case IdleCause::kTransfer:
      return fmt::format("waiting for the transfer from {}", awaited_text(wait));
    case IdleCause::kMemory:
      return fmt::format("waiting for memory that {} frees", awaited_text(wait));
    default:
      return fmt::format("waiting for {}", awaited_text(wait));
  }
}

MeanDevice mean_device(const Evaluation& evaluation) {
  MeanDevice mean;
  const double count = static_cast<double>(std::max<std::size_t>(evaluation.devices.size(), 1));
  for (const DeviceEvaluation& device : evaluation.devices) {
    mean.busy += static_cast<double>(device.busy) / count;
    for (std::size_t cause = 0; cause < mean.idle.size(); ++cause) {
      mean.idle[cause] += static_cast<double>(device.idle_by_cause[cause]) / count;
    }
  }
  return mean;
}

std::string device_idle_text(const Evaluation& evaluation, std::int32_t device,
                             const std::vector<Wait>& waits_of_all) {
  const DeviceEvaluation& figures = evaluation.devices[static_cast<std::size_t>(device)];
  if (figures.idle == 0) {
    return fmt::format("device {} never idles", device);
  }
  std::string text =
      fmt::format("device {} idles {} of the time ({})", device,
                  percent_text(static_cast<double>(figures.idle) /
                               static_cast<double>(std::max<Time>(evaluation.makespan, 1))),
                  time_text(figures.idle));
  std::size_t named = 0;
  for (const Wait& wait : waits_of_all) {
    if (wait.device != device || wait.time == 0 || named == kCausesPerSentence ||
        (named > 0 && wait.time < figures.idle / kSmallestPart)) {
      continue;
    }
    text += named == 0 ? ": " : ", ";
    text += fmt::format(
        "{} {}", percent_text(static_cast<double>(wait.time) / static_cast<double>(figures.idle)),
        named == 0 ? "of that " + wait_text(wait) : wait_text(wait));
    ++named;
  }
  return text;
}

std::string loss_text(const Run& loser, const Run& winner) {
  if (headline_time(loser) == headline_time(winner)) {
    return fmt::format("as fast as {}", winner.schedule);
  }
  const auto more = static_cast<double>(headline_time(loser) - headline_time(winner)) /
                    static_cast<double>(std::max<Time>(headline_time(winner), 1));
  std::string text = fmt::format("{:+.1f} %", 100.0 * more);
  const Time slower = loser.evaluation.makespan - winner.evaluation.makespan;
  if (slower <= 0) {
    return text + "; its makespan is no longer, but its iterations overlap less";
  }
  text += ": a mean device spends";
  std::size_t named = 0;
  for (const Difference& part : differences(loser.evaluation, winner.evaluation)) {
    if (part.time * kSmallestShare < static_cast<double>(slower)) {
      continue;  // it does less of this than the winner, or hardly more
    }
    text += fmt::format("{} {} more {}", named == 0 ? "" : " and",
                        rough_time_text(std::llround(part.time)), part.words);
    if (++named == kDifferencesPerSentence) {
      break;
    }
  }
  return text;
}

const Run* baseline_run(std::span<const Run> runs) {
  for (const Run& run : runs) {
    if (run.schedule == kBaseline && has_timeline(run) && headline_time(run) > 0) {
      return &run;
    }
  }
  return nullptr;
}

}  // namespace stagecraft::report
