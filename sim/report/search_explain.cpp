// Why the best plan of a search wins, and what would make it better.
#include <algorithm>
#include <array>
#include <numeric>

#include <fmt/format.h>

#include "report/format.hpp"
#include "report/words.hpp"
#include "stagecraft/report/search_report.hpp"

namespace stagecraft {
namespace {

using report::percent_text;
using report::rough_time_text;

double share(Time part, Time whole) {
  return static_cast<double>(part) / static_cast<double>(std::max<Time>(whole, 1));
}

/// value / 1.1, rounded half up.
Time tenth_faster(Time value) {
  return (value * 10 + 5) / 11;
}

/// The same costs on links that are 10 % faster.
CostTable with_faster_links(const CostTable& costs) {
  CostTable faster = costs;
  std::transform(faster.transfer_latency.begin(), faster.transfer_latency.end(),
                 faster.transfer_latency.begin(), tenth_faster);
  std::vector<std::int64_t>& by_unit = faster.unit_transfer_latency.values;
  std::transform(by_unit.begin(), by_unit.end(), by_unit.begin(), tenth_faster);
  for (Link& link : faster.network.links) {
    link.latency = tenth_faster(link.latency);
    link.bytes_per_second = std::min(link.bytes_per_second, kLargestQuantity) +
                            std::min(link.bytes_per_second, kLargestQuantity) / 10;
  }
  for (Grid* copies : {&faster.offload, &faster.reload}) {
    std::transform(copies->values.begin(), copies->values.end(), copies->values.begin(),
                   tenth_faster);
  }
  return faster;
}

bool sends_anything(const Schedule& schedule, const CostTable& costs) {
  const auto positive = [](std::int64_t value) { return value > 0; };
  const bool copies = std::any_of(schedule.ops.begin(), schedule.ops.end(),
                                  [](const Op& op) { return is_copy(op.kind); });
  const auto sent = [&](const std::vector<std::int64_t>& by_boundary, const Grid& by_unit) {
    const std::vector<std::int64_t>& all = costs.transfers_by_unit ? by_unit.values : by_boundary;
    return std::any_of(all.begin(), all.end(), positive);
  };
  return copies || sent(costs.transfer_latency, costs.unit_transfer_latency) ||
         (!costs.network.links.empty() && sent(costs.transfer_bytes, costs.unit_transfer_bytes));
}

/// Memory is full where less than a twentieth of the capacity is left.
std::vector<std::int32_t> full_devices(const Run& run) {
  std::vector<std::int32_t> full;
  for (std::size_t d = 0; d < run.evaluation.devices.size() && d < run.capacity.size(); ++d) {
    const Bytes capacity = run.capacity[d];
    if (capacity != kUnlimited &&
        run.evaluation.devices[d].peak_memory >= capacity - capacity / 20) {
      full.push_back(static_cast<std::int32_t>(d));
    }
  }
  return full;
}

struct Losses {
  double load = 0.0, memory = 0.0, links = 0.0, chain = 0.0;
};

/// What keeps the objective from being smaller, largest first; nothing below 1 %.
std::string binding_limit(const Losses& losses) {
  const std::array<std::pair<double, std::string_view>, 4> all = {{{losses.memory, "memory"},
                                                                   {losses.links, "links"},
                                                                   {losses.load, "load balance"},
                                                                   {losses.chain, "chain"}}};
  const auto most = std::max_element(
      all.begin(), all.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  return most->first < 0.01 ? "compute" : std::string(most->second);
}

SearchLimits limits_of(const Run& run, std::int64_t value, search::Objective objective,
                       const std::optional<MoreMemory>& more_memory) {
  const Evaluation& e = run.evaluation;
  SearchLimits limits;
  const report::MeanDevice mean = report::mean_device(e);
  const auto busiest =
      std::max_element(e.devices.begin(), e.devices.end(),
                       [](const auto& a, const auto& b) { return a.busy < b.busy; });
  limits.busiest_device = static_cast<std::int32_t>(busiest - e.devices.begin());
  limits.busiest_over_mean = mean.busy > 0.0 ? static_cast<double>(busiest->busy) / mean.busy : 1.0;
  const Time whole = headline_time(run);
  limits.busy_share = share(busiest->busy, whole);
  limits.full_devices = full_devices(run);
  limits.transfer_share = share(e.critical_path.transfer, e.makespan);
  limits.wait_share = share(e.critical_path.wait, e.makespan);
  const double makespan = static_cast<double>(std::max<Time>(e.makespan, 1));
  limits.fill_share = (mean.idle[static_cast<std::size_t>(IdleCause::kFill)] +
                       mean.idle[static_cast<std::size_t>(IdleCause::kDrain)]) /
                      makespan;
  Losses losses;
  losses.load = (static_cast<double>(busiest->busy) - mean.busy) /
                static_cast<double>(std::max<Time>(whole, 1));
  losses.links = limits.transfer_share;
  losses.memory = limits.wait_share;
  if (more_memory && objective != search::Objective::kMemory) {
    losses.memory = std::max(losses.memory, share(value - more_memory->value, value));
  }
  // What the busiest device idles, of no cause that has a name of its own.
  losses.chain = std::max(1.0 - limits.busy_share - losses.links - losses.memory, 0.0);
  limits.binding = binding_limit(losses);
  return limits;
}

std::string list_of(const std::vector<std::int32_t>& numbers) {
  return fmt::format("{}", fmt::join(numbers, ", "));
}

/// Mean idle time by cause, before and after.
std::string against_start(const Run& best, const Run& start) {
  const report::MeanDevice now = report::mean_device(best.evaluation);
  const report::MeanDevice then = report::mean_device(start.evaluation);
  const auto change = [&](std::size_t cause) { return now.idle[cause] - then.idle[cause]; };
  std::array<std::size_t, kIdleCauseCount> order{};
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return change(a) < change(b); });
  std::string text = fmt::format("against {} a mean device", start.schedule);
  bool any = false;
  for (const std::size_t cause : order) {
    if (change(cause) < -0.5) {
      text += fmt::format("{} {} less {}", any ? "," : " spends",
                          rough_time_text(static_cast<Time>(-change(cause))),
                          report::cause_phrase(static_cast<IdleCause>(cause)));
      any = true;
    }
  }
  for (const std::size_t cause : order) {
    if (change(cause) > 0.5) {
      text += fmt::format("{} {} more {}", any ? "," : " spends",
                          rough_time_text(static_cast<Time>(change(cause))),
                          report::cause_phrase(static_cast<IdleCause>(cause)));
      any = true;
    }
  }
  const auto busy = static_cast<Time>(now.busy - then.busy);
  if (busy != 0) {
    text += fmt::format("{} computes {} {}", any ? "," : "", rough_time_text(std::abs(busy)),
                        busy > 0 ? "more" : "less");
    any = true;
  }
  return any ? text : text + " idles as long, of the same causes";
}

std::string limit_sentence(const SearchLimits& limits) {
  std::string text;
  if (limits.binding == "compute") {
    text = "nothing but compute limits it: ";
  } else if (limits.binding == "chain") {
    text =
        "what limits it most is the chain of ops of the first and last micro-batches: a mean "
        "device idles " +
        percent_text(limits.fill_share) +
        " of the makespan before its first and after its "
        "last op; ";
  } else {
    text = fmt::format("what limits it most is {}: ",
                       limits.binding == "links" ? "the time of transfers" : limits.binding);
  }
  text +=
      fmt::format("the busiest device ({}) computes {} of the time, {:.1f} % more than the mean",
                  limits.busiest_device, percent_text(limits.busy_share),
                  100.0 * (limits.busiest_over_mean - 1.0));
  text +=
      fmt::format("; transfers are {} of the critical path", percent_text(limits.transfer_share));
  if (limits.wait_share > 0.0) {
    text += fmt::format(", waits for memory, links and copies {}", percent_text(limits.wait_share));
  }
  text += limits.full_devices.empty() ? std::string("; no device is within 5 % of its memory")
                                      : fmt::format("; device{} {} {} within 5 % of the memory",
                                                    limits.full_devices.size() == 1 ? "" : "s",
                                                    list_of(limits.full_devices),
                                                    limits.full_devices.size() == 1 ? "is" : "are");
  return text;
}

std::string gain_text(std::int64_t value, std::int64_t other, search::Objective objective) {
  return fmt::format("{} ({})", objective_text(value - other, objective),
                     percent_text(share(value - other, value)));
}

std::string memory_sentence(const MoreMemory& more, std::int64_t value,
                            search::Objective objective) {
  constexpr Bytes kGigabyte = 1'000'000'000;
  std::string text =
      fmt::format("with {} more on every device ",
                  more.extra % kGigabyte == 0 ? fmt::format("{} GB", more.extra / kGigabyte)
                                              : report::memory_text(more.extra));
  if (more.evaluations == 0) {
    return text + "nothing would be gained: the lower bound stays";
  }
  text += more.value < value ? fmt::format("a short search saves at least {}",
                                           gain_text(value, more.value, objective))
                             : std::string("a short search found nothing better");
  if (more.bound <= 0) {
    return text;
  }
  return text + fmt::format("; by the lower bound at most {} can be saved",
                            gain_text(value, std::min(more.bound, value), objective));
}

}  // namespace

std::string objective_text(std::int64_t value, search::Objective objective) {
  switch (objective) {
    case search::Objective::kMemory:
      return report::memory_text(value);
    case search::Objective::kCost:
      return fmt::format("{} of device time", report::time_text(value));
    default:
      return report::time_text(value);
  }
}

SearchExplanation explain_search(const Run& best, const Run* start, const Schedule& schedule,
                                 const CostTable& costs, search::Objective objective,
                                 const std::optional<MoreMemory>& more_memory) {
  SearchExplanation explanation;
  explanation.more_memory = more_memory;
  const search::Figures now = search::measure(schedule, costs);
  const std::int64_t value = now.value(objective);
  explanation.limits = limits_of(best, value, objective, more_memory);
  std::vector<std::string>& words = explanation.sentences;
  if (start != nullptr && has_timeline(*start)) {
    words.push_back(against_start(best, *start));
  }
  words.push_back(limit_sentence(explanation.limits));
  if (objective != search::Objective::kMemory) {
    if (sends_anything(schedule, costs)) {
      const search::Figures faster = search::measure(schedule, with_faster_links(costs));
      explanation.faster_links = faster.value(objective);
      words.push_back(
          explanation.faster_links == value
              ? std::string("links that are 10 % faster would not make this order faster")
              : fmt::format("links that are 10 % faster save {} of this order",
                            gain_text(value, explanation.faster_links, objective)));
    } else {
      words.emplace_back("faster links save nothing: transfers take no time");
    }
    if (more_memory) {
      words.push_back(memory_sentence(*more_memory, value, objective));
    }
  }
  return explanation;
}

}  // namespace stagecraft
