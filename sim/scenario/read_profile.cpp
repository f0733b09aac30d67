// The cost profile of a scenario that brings its data: ready-made constants, single ones replaced.
#include <algorithm>

#include <fmt/core.h>

#include "sections.hpp"

namespace stagecraft {
namespace {

template <typename Number>
void replace(Reader& reader, std::string_view path, Number& value, double unit = 1.0) {
  if (const std::optional<std::int64_t> given = reader.number(path)) {
    value = static_cast<Number>(static_cast<double>(*given) * unit);
  }
}

void replace_constants(Reader& reader, SequenceProfile& profile) {
  constexpr double kBillionth = 1e-9;
  constexpr FixedCost kFixed[] = {FixedCost::kParameterTraffic, FixedCost::kFitted,
                                  FixedCost::kNone};
  replace(reader, "profile.quadratic", profile.quadratic_ns, kBillionth);
  replace(reader, "profile.linear", profile.linear_ns, kBillionth);
  replace(reader, "profile.fixed", profile.fixed_ns);
  if (const std::optional<std::size_t> fixed = reader.choice("profile.fixed_cost")) {
    profile.fixed = kFixed[*fixed];
  }
  replace(reader, "profile.forward_share", profile.forward_share, kBillionth);
  replace(reader, "profile.overlap.parameters", profile.overlap.parameters, kBillionth);
  replace(reader, "profile.overlap.exchange", profile.overlap.exchange, kBillionth);
  replace(reader, "profile.layers", profile.layers);
  replace(reader, "profile.hidden", profile.hidden);
  replace(reader, "profile.kv_width", profile.kv_width);
  replace(reader, "profile.vocabulary", profile.vocabulary);
  replace(reader, "profile.parameters", profile.parameters);
  replace(reader, "profile.element", profile.element_bytes);
  replace(reader, "profile.activation", profile.activation_bytes);
  replace(reader, "profile.logits", profile.logits_bytes);
  replace(reader, "profile.state", profile.state_bytes);
  replace(reader, "profile.gpus_per_node", profile.gpus_per_node);
  replace(reader, "profile.capacity", profile.capacity);
  replace(reader, "profile.reserved", profile.reserved);
  replace(reader, "profile.node_bandwidth", profile.node_bytes_per_second);
  replace(reader, "profile.network_bandwidth", profile.network_bytes_per_second);
  replace(reader, "profile.latency", profile.message_latency);
}

/// Replaces the whole table of all-to-all bandwidths.
void replace_all_to_all(Reader& reader, SequenceProfile& profile) {
  const Node* table = reader.find("profile.all_to_all");
  if (table == nullptr) {
    return;
  }
  if (table->kind != Node::Kind::kMap || table->entries.empty()) {
    reader.fail(*table, fmt::format("'profile.all_to_all' is {}, expected a map from numbers of "
                                    "GPUs to bandwidths",
                                    table->entries.empty() && table->kind == Node::Kind::kMap
                                        ? "empty"
                                        : describe(*table)));
    return;
  }
  constexpr KeySpec kRate{.path = "profile.all_to_all",
                          .type = KeyType::kBandwidth,
                          .low = 1,
                          .high = kLargestQuantity};
  constexpr KeySpec kGpus{
      .path = "profile.all_to_all", .type = KeyType::kInteger, .low = 2, .high = 65'535};
  profile.all_to_all.clear();
  for (const Node::Entry& entry : table->entries) {
    Node key;
    key.kind = Node::Kind::kScalar;
    key.text = entry.key;
    key.source = entry.source;
    key.line = entry.line;
    key.column = entry.column;
    const std::optional<std::int64_t> gpus = reader.number_at(key, kGpus);
    const std::optional<std::int64_t> rate = reader.number_at(*entry.value, kRate);
    if (gpus && rate) {
      profile.all_to_all.push_back({static_cast<std::int32_t>(*gpus), static_cast<double>(*rate)});
    }
  }
  std::sort(profile.all_to_all.begin(), profile.all_to_all.end(),
            [](const CollectiveRate& a, const CollectiveRate& b) { return a.gpus < b.gpus; });
}

}  // namespace

std::optional<SequenceProfile> read_profile(Reader& reader) {
  const Node* section = reader.find("profile");
  const bool named = section != nullptr && section->kind == Node::Kind::kScalar;
  const std::string name =
      named ? section->text : reader.text("profile.name").value_or("a800-80gb-flexsp");
  if (!reader.has("model")) {
    reader.fail("model", "'model' is missing, expected the name of a model of the profile",
                "see `stagecraft list profiles`");
    return std::nullopt;
  }
  const std::optional<std::string> model = reader.text("model");
  if (!model) {
    return std::nullopt;
  }
  Result<SequenceProfile> profile = find_sequence_profile(name, *model);
  if (!profile) {
    // A name that nobody gave cannot be what is wrong.
    const bool known_profile =
        std::any_of(sequence_profiles().begin(), sequence_profiles().end(),
                    [&](const SequenceProfile& one) { return one.name == name; });
    for (const Diagnostic& failure : profile.failures()) {
      reader.fail(known_profile ? "model" : (named ? "profile" : "profile.name"), failure.message,
                  failure.hint);
    }
    return std::nullopt;
  }
  const std::size_t before = reader.failures.size();
  if (!named) {
    replace_constants(reader, *profile);
    replace_all_to_all(reader, *profile);
  }
  return reader.failures.size() == before ? std::optional(std::move(profile).value())
                                          : std::nullopt;
}

}  // namespace stagecraft
