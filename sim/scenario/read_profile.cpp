// The cost profile of a scenario that brings its data: ready-made constants, single ones replaced.
#include <algorithm>

#include <fmt/core.h>

#include "sections.hpp"
#include "stagecraft/core/text.hpp"

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

/// What belongs to a model; all else in a profile is the machine's.
constexpr std::string_view kModelKeys[] = {"quadratic",  "linear",     "layers",
                                           "hidden",     "kv_width",   "vocabulary",
                                           "parameters", "activation", "logits"};

/// The keys of a model that `profile` does not give.
std::vector<std::string_view> missing_of_model(const Reader& reader) {
  std::vector<std::string_view> missing;
  for (const std::string_view key : kModelKeys) {
    if (!reader.has(fmt::format("profile.{}", key))) {
      missing.push_back(key);
    }
  }
  const Node* fixed = reader.find("profile.fixed_cost");
  if (fixed != nullptr && fixed->text == "fitted" && !reader.has("profile.fixed")) {
    missing.emplace_back("fixed");
  }
  return missing;
}

/// The machine of profile `name` with nothing of its models, for a model of the user's own; nothing
/// if there is no such profile.
std::optional<SequenceProfile> machine_of(std::string_view name, const std::string& model) {
  for (const SequenceProfile& one : sequence_profiles()) {
    if (one.name == name) {
      SequenceProfile machine = one;
      machine.model = model;
      machine.fixed_ns = 0.0;  // of another model; needed only where it is given too
      return machine;
    }
  }
  return std::nullopt;
}

/// A profile or model that is not known: a model of the user's own if 'profile' states all of it,
/// or else an error at the name that is wrong.
std::optional<SequenceProfile> own_model(Reader& reader, const std::string& name,
                                         const std::string& model, const Diagnostic& unknown) {
  const Node* section = reader.find("profile");
  const bool named = section != nullptr && section->kind == Node::Kind::kScalar;
  std::optional<SequenceProfile> machine = machine_of(name, model);
  if (!machine) {
    reader.fail(named ? "profile" : "profile.name", unknown.message, unknown.hint);
    return std::nullopt;
  }
  const std::vector<std::string_view> missing = missing_of_model(reader);
  if (missing.empty()) {
    return machine;
  }
  // A slip in a known name, with nothing of a model given, is no model of one's own.
  const bool some = missing.size() < std::size(kModelKeys);
  std::string hint = unknown.hint;
  if (some || hint.empty()) {
    hint +=
        fmt::format("{}a model of your own takes 'profile' with {}{}", hint.empty() ? "" : "\n  ",
                    some ? "these as well: " : "all of: ", join(missing, ", "));
  }
  reader.fail("model", unknown.message, hint);
  return std::nullopt;
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
  const Result<SequenceProfile> known = find_sequence_profile(name, *model);
  std::optional<SequenceProfile> profile =
      known ? std::optional(*known) : own_model(reader, name, *model, known.failures().front());
  if (!profile) {
    return std::nullopt;
  }
  const std::size_t before = reader.failures.size();
  if (!named) {
    replace_constants(reader, *profile);
    replace_all_to_all(reader, *profile);
  }
  return reader.failures.size() == before ? std::move(profile) : std::nullopt;
}

}  // namespace stagecraft
