// stagecraft list strategies and list profiles: ways to run a global batch, and what units cost.
#include <algorithm>

#include <fmt/core.h>

#include "list_parts.hpp"
#include "output.hpp"
#include "stagecraft/core/text.hpp"
#include "stagecraft/cost/sequence_profile.hpp"
#include "stagecraft/scenario/data_scenario.hpp"
#include "stagecraft/search/elastic.hpp"

namespace stagecraft::cli {
namespace {

std::string strategy_overview() {
  std::string text;
  for (const elastic::StrategyInfo& info : elastic::strategies()) {
    text += fmt::format("{:<10}  {}\n", info.name, info.summary);
  }
  return text + "\nDetails of one: stagecraft list strategies NAME\n";
}

std::string strategy_details(const elastic::StrategyInfo& info) {
  std::string text = fmt::format("{}\n", info.name);
  append_field(text, "summary", info.summary);
  append_field(text, "source", info.source);
  append_field(text, "assumptions", info.assumptions);
  append_field(text, "pipeline", info.pipelined ? "" : "none: groups of GPUs side by side");
  append_options(text, info.options);
  return text;
}

}  // namespace

int list_strategies(const std::vector<std::string>& names) {
  if (names.empty()) {
    return print(strategy_overview());
  }
  std::string text;
  for (const std::string& name : names) {
    const elastic::StrategyInfo* info = elastic::find_strategy(name);
    if (info == nullptr) {
      return fail({unknown_strategy(name)});
    }
    text += strategy_details(*info);
  }
  return print(text);
}

namespace {

std::string profile_details(const SequenceProfile& profile) {
  std::string rates;
  for (const CollectiveRate& rate : profile.all_to_all) {
    rates += fmt::format("{}{} GPUs {:.1f} GB/s", rates.empty() ? "" : ", ", rate.gpus,
                         rate.bytes_per_second / 1e9);
  }
  std::string text = fmt::format("{}, model {}\n", profile.name, profile.model);
  append_field(text, "time",
               fmt::format("{:.6g} ns/token^2, {:.6g} ns/token, {:.6g} ms per unit; forward {:.3g} "
                           "of it",
                           profile.quadratic_ns, profile.linear_ns, profile.fixed_ns / 1e6,
                           profile.forward_share));
  append_field(text, "model",
               fmt::format("{} layers of width {}, keys and values {}, vocabulary {}, {:.4g} "
                           "billion parameters",
                           profile.layers, profile.hidden, profile.kv_width, profile.vocabulary,
                           profile.parameters / 1e9));
  append_field(text, "memory",
               fmt::format("{:.4g} MB of activation per token, {:.4g} MB on the last stage beside, "
                           "{} B per parameter, {:.4g} GB per GPU of which {:.4g} reserved",
                           profile.activation_bytes / 1e6, profile.logits_bytes / 1e6,
                           profile.state_bytes, static_cast<double>(profile.capacity) / 1e9,
                           static_cast<double>(profile.reserved) / 1e9));
  append_field(text, "links",
               fmt::format("nodes of {} GPUs, {:.4g} GB/s per GPU inside, {:.4g} GB/s per node "
                           "outside",
                           profile.gpus_per_node, profile.node_bytes_per_second / 1e9,
                           profile.network_bytes_per_second / 1e9));
  append_field(text, "all-to-all", rates);
  append_field(text, "overlap",
               fmt::format("{:.3g} of parameters, {:.3g} of exchange", profile.overlap.parameters,
                           profile.overlap.exchange));
  return text;
}

}  // namespace

int list_profiles(const std::vector<std::string>& names) {
  std::string text;
  if (names.empty()) {
    for (const SequenceProfile& profile : sequence_profiles()) {
      text += profile_details(profile);
    }
  }
  for (const std::string& name : names) {
    std::vector<std::string_view> known;
    bool found = false;
    for (const SequenceProfile& profile : sequence_profiles()) {
      if (profile.name == name || profile.model == name) {
        text += profile_details(profile);
        found = true;
      }
      for (const std::string& one : {std::cref(profile.name), std::cref(profile.model)}) {
        if (std::find(known.begin(), known.end(), one) == known.end()) {
          known.emplace_back(one);
        }
      }
    }
    if (!found) {
      const std::string_view near = nearest_name(name, known);
      return fail({bad_input(fmt::format("unknown profile or model '{}', expected some of: {}",
                                         name, join(known, " ")),
                             near.empty() ? "" : fmt::format("did you mean '{}'?", near))});
    }
  }
  return print(fmt::format("{}\nWhat they assume:\n{}", text, sequence_profile_notes()));
}

}  // namespace stagecraft::cli
