// What can be wrong with a profile's constants, a layout, and the two together.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include <fmt/core.h>

#include "cost/sequences/collectives.hpp"
#include "stagecraft/core/text.hpp"
#include "stagecraft/cost/sequence_profile.hpp"

namespace stagecraft {
namespace {

constexpr std::int32_t kMostStages = 65'535;  // of a Pipeline

void check_number(double value, bool zero_allowed, std::string_view name, Diagnostics& failures) {
  if (!std::isfinite(value) || value < 0.0 || (value == 0.0 && !zero_allowed)) {
    failures.push_back(bad_input(fmt::format("{} is {}, expected a finite number {} 0", name, value,
                                             zero_allowed ? ">=" : ">")));
  }
}

void check_count(std::int32_t value, std::string_view name, Diagnostics& failures) {
  if (value < 1) {
    failures.push_back(bad_input(fmt::format("{} is {}, expected at least 1", name, value)));
  }
}

void check_share(double value, std::string_view name, Diagnostics& failures) {
  if (!(value >= 0.0 && value <= 1.0)) {
    failures.push_back(
        bad_input(fmt::format("{} is {}, expected a number from 0 to 1", name, value)));
  }
}

void check_times(const SequenceProfile& profile, Diagnostics& failures) {
  check_number(profile.quadratic_ns, true, "the time per token^2", failures);
  check_number(profile.linear_ns, true, "the time per token", failures);
  check_number(profile.fixed_ns, true, "the fixed time", failures);
  if (profile.quadratic_ns == 0.0 && profile.linear_ns == 0.0) {
    failures.push_back(
        bad_input("the times per token and per token^2 are both 0", "state at least one of them"));
  }
  if (!(profile.forward_share > 0.0 && profile.forward_share < 1.0)) {
    failures.push_back(bad_input(fmt::format(
        "the forward's share is {}, expected a number between 0 and 1", profile.forward_share)));
  }
  check_share(profile.overlap.parameters, "the overlapped share of moving parameters", failures);
  check_share(profile.overlap.exchange, "the overlapped share of rings", failures);
}

void check_model(const SequenceProfile& profile, Diagnostics& failures) {
  check_count(profile.layers, "the number of layers", failures);
  check_count(profile.hidden, "the hidden size", failures);
  check_count(profile.kv_width, "the width of keys and values", failures);
  check_count(profile.vocabulary, "the vocabulary", failures);
  check_number(profile.parameters, false, "the number of parameters", failures);
  check_number(profile.element_bytes, false, "the size of an element", failures);
  check_number(profile.activation_bytes, false, "the activation of a token", failures);
  check_number(profile.logits_bytes, true, "the logits of a token", failures);
  check_number(profile.state_bytes, true, "the model state of a parameter", failures);
  // What a recomputed layer of a split micro-batch keeps.
  const double kept =
      profile.element_bytes * (profile.hidden + 2.0 * profile.kv_width) * profile.layers;
  if (failures.empty() && profile.activation_bytes < kept) {
    failures.push_back(bad_input(
        fmt::format("the activation of a token is {} bytes, less than the layers' inputs, keys and "
                    "values that are kept when all is recomputed, {} bytes",
                    profile.activation_bytes, kept),
        "state the activation without any recomputation"));
  }
}

void check_machine(const SequenceProfile& profile, Diagnostics& failures) {
  check_count(profile.gpus_per_node, "the number of GPUs per node", failures);
  if (profile.capacity < 1 || profile.capacity > kLargestQuantity) {
    failures.push_back(bad_input(fmt::format("the memory of a GPU is {} bytes, expected 1 to {}",
                                             profile.capacity, kLargestQuantity)));
  } else if (profile.reserved < 0 || profile.reserved >= profile.capacity) {
    failures.push_back(bad_input(
        fmt::format("the reserved memory is {} bytes, expected 0 to below the {} of a GPU",
                    profile.reserved, profile.capacity)));
  }
  check_number(profile.node_bytes_per_second, false, "the bandwidth within a node", failures);
  check_number(profile.network_bytes_per_second, false, "the bandwidth between nodes", failures);
  if (profile.message_latency < 0 || profile.message_latency > kLargestQuantity) {
    failures.push_back(bad_input(fmt::format("the latency of a message is {} ns, expected 0 to {}",
                                             profile.message_latency, kLargestQuantity)));
  }
  std::int32_t before = 1;
  for (const CollectiveRate& rate : profile.all_to_all) {
    if (rate.gpus <= before) {
      failures.push_back(bad_input(fmt::format(
          "an all-to-all rate for {} GPUs follows {}, expected ascending numbers from 2 on",
          rate.gpus, before)));
    }
    before = std::max(before, rate.gpus);
    check_number(rate.bytes_per_second, false,
                 fmt::format("the all-to-all rate of {} GPUs", rate.gpus), failures);
  }
}

// False if a degree is below 1 or their product cannot be counted: the rest makes no sense then.
bool check_degrees(const SequenceLayout& layout, Diagnostics& failures) {
  const std::size_t before = failures.size();
  std::int64_t gpus = 1;
  bool countable = true;
  const std::array<std::pair<std::int32_t, std::string_view>, 5> degrees = {
      {{layout.pipeline, "the pipeline degree"},
       {layout.sequence, "the ulysses degree"},
       {layout.tensor, "the tensor degree"},
       {layout.context, "the context degree"},
       {layout.data, "the data-parallel degree"}}};
  for (const auto& [degree, name] : degrees) {
    check_count(degree, name, failures);
    // Stays below 2^62: both factors are below 2^31.
    gpus *= std::max(degree, 1);
    countable = countable && gpus <= std::numeric_limits<std::int32_t>::max();
    gpus = countable ? gpus : 1;
  }
  if (!countable) {
    failures.push_back(bad_input("the degrees of parallelism multiply to more than 2^31 - 1 GPUs",
                                 "use smaller degrees"));
  }
  return failures.size() == before;
}

void check_stages(const SequenceProfile& profile, const SequenceLayout& layout,
                  Diagnostics& failures) {
  const std::int32_t most = std::min(profile.layers, kMostStages);
  if (profile.layers >= 1 && layout.pipeline > most) {
    failures.push_back(bad_input(
        fmt::format("{} stages for a model of {} layers", layout.pipeline, profile.layers),
        fmt::format("use at most {} stages", most)));
  }
  const std::int32_t stage_gpus = layout.group() * layout.data;
  const std::int32_t node = profile.gpus_per_node;
  if (node >= 1 && node % stage_gpus != 0 && stage_gpus % node != 0) {
    failures.push_back(bad_input(
        fmt::format("the {} GPUs of a stage neither divide a node of {} nor fill whole nodes",
                    stage_gpus, node),
        fmt::format("choose tensor, ulysses, context and data so that their product divides {} or "
                    "is a multiple of it",
                    node)));
  }
}

void check_exchange(const SequenceProfile& profile, const SequenceLayout& layout,
                    Diagnostics& failures) {
  const std::int32_t degree = sequence_costs::all_to_all_degree(profile, layout);
  if (degree == 1 || sequence_costs::find_rate(profile, degree) != nullptr) {
    return;
  }
  std::string known = "1";
  for (const CollectiveRate& rate : profile.all_to_all) {
    known += fmt::format(", {}", rate.gpus);
  }
  const std::string why = degree == layout.sequence
                              ? std::string{"the ulysses degree"}
                              : fmt::format("tensor {} times ulysses {}, which leaves a node",
                                            layout.tensor, layout.sequence);
  failures.push_back(
      bad_input(fmt::format("no all-to-all rate is known for {} GPUs ({})", degree, why),
                fmt::format("known degrees: {}", known)));
}

}  // namespace

Diagnostics check_sequence_profile(const SequenceProfile& profile, const SequenceLayout& layout) {
  Diagnostics failures;
  check_times(profile, failures);
  check_model(profile, failures);
  check_machine(profile, failures);
  if (check_degrees(layout, failures)) {
    check_stages(profile, layout, failures);
    if (profile.gpus_per_node >= 1) {
      check_exchange(profile, layout, failures);
    }
  }
  return failures;
}

}  // namespace stagecraft
