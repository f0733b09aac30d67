#include "overrides.hpp"

#include <algorithm>
#include <vector>

#include <fmt/core.h>

#include "stagecraft/core/text.hpp"
#include "stagecraft/generators/generator.hpp"
#include "stagecraft/scenario/keys.hpp"
#include "stagecraft/search/elastic.hpp"
#include "stagecraft/search/schedules.hpp"

namespace stagecraft {
namespace {

constexpr std::string_view kOverride = "--set ";

/// What stands under `schedule.kind`, with the options that it takes beside it.
struct KindOptions {
  std::string_view name;
  std::span<const OptionSpec> options;

  [[nodiscard]] bool has(std::string_view option) const {
    return std::any_of(options.begin(), options.end(),
                       [&](const OptionSpec& one) { return one.name == option; });
  }
};

std::vector<KindOptions> strategy_kinds() {
  std::vector<KindOptions> kinds;
  for (const elastic::StrategyInfo& info : elastic::strategies()) {
    kinds.push_back({info.name, info.options});
  }
  return kinds;
}

std::vector<KindOptions> schedule_kinds() {
  std::vector<KindOptions> kinds;
  for (const GeneratorInfo& info : search::schedules()) {
    kinds.push_back({info.name, info.options});
  }
  return kinds;
}

/// Options of all schedules and strategies, as keys.
std::vector<std::string> option_keys() {
  std::vector<std::string> keys;
  for (const std::vector<KindOptions>& kinds : {schedule_kinds(), strategy_kinds()}) {
    for (const KindOptions& kind : kinds) {
      for (const OptionSpec& option : kind.options) {
        keys.push_back(fmt::format("schedule.{}", option.name));
      }
    }
  }
  return keys;
}

/// A declared key, a section, or an option of some schedule or strategy.
bool is_known(std::string_view path) {
  for (const KeySpec& spec : scenario_keys()) {
    if (spec.path == path ||
        (spec.path.starts_with(path) && spec.path.substr(path.size()).starts_with("."))) {
      return true;
    }
  }
  const std::vector<std::string> options = option_keys();
  return std::find(options.begin(), options.end(), path) != options.end();
}

Diagnostic unknown_key(const Source& source, std::string_view path) {
  std::vector<std::string_view> known;
  for (const KeySpec& spec : scenario_keys()) {
    known.push_back(spec.path);
  }
  const std::vector<std::string> options = option_keys();
  known.insert(known.end(), options.begin(), options.end());
  std::string_view near = nearest_name(path, known);
  if (near.empty()) {
    // A right last name under a wrong or missing section is the commonest slip.
    const std::string_view last = path.substr(path.rfind('.') + 1);
    for (const std::string_view candidate : known) {
      if (candidate.substr(candidate.rfind('.') + 1) == last) {
        near = candidate;
        break;
      }
    }
  }
  return error_at(source, 1, 1,
                  fmt::format("unknown key '{}', expected one of `stagecraft list keys`", path),
                  near.empty() ? "" : fmt::format("did you mean '{}'?", near));
}

/// A copy of `node`, the value of key `own`, in which `path` has `value`.
Node::Pointer with_value(const Node::Pointer& node, std::string_view own, std::string_view path,
                         Node::Pointer value) {
  if (path.empty()) {
    return value;
  }
  auto copy = std::make_shared<Node>();
  copy->source = value->source;
  copy->line = value->line;
  copy->column = value->column;
  if (node && node->kind == Node::Kind::kMap) {
    *copy = *node;
  } else if (node && node->kind == Node::Kind::kScalar) {
    // `schedule: NAME` is short for `schedule: {kind: NAME}`, `profile: NAME` for {name: NAME}.
    Node::Entry named{own == "profile" ? "name" : "kind", node->source, node->line, node->column,
                      node};
    copy->entries.push_back(std::move(named));
  }
  copy->kind = Node::Kind::kMap;
  const std::size_t dot = path.find('.');
  const std::string_view key = path.substr(0, dot);
  const std::string_view rest = dot == std::string_view::npos ? "" : path.substr(dot + 1);
  const auto same = std::find_if(copy->entries.begin(), copy->entries.end(),
                                 [&](const Node::Entry& entry) { return entry.key == key; });
  if (same != copy->entries.end()) {
    same->value = with_value(same->value, key, rest, value);
    if (rest.empty()) {  // the key stands where its value does
      same->source = value->source;
      same->line = 1;
      same->column = 1;
    }
  } else {
    Node::Entry entry{std::string(key), value->source, 1, 1, with_value(nullptr, key, rest, value)};
    copy->entries.push_back(std::move(entry));
  }
  return copy;
}

/// The file's options for the schedule or strategy it names do not bind another one that --set
/// names; options that none has, or that come from --set too, stay and are judged.
Node::Pointer without_options_of_others(const Node::Pointer& root) {
  const Node::Entry* schedule = root->find("schedule");
  const Node::Entry* kind = schedule == nullptr ? nullptr : schedule->value->find("kind");
  if (kind == nullptr) {
    return root;
  }
  // With data, schedules of the same names are strategies with other options.
  const bool brings_data = root->find("data") != nullptr;
  const std::vector<KindOptions> all = brings_data ? strategy_kinds() : schedule_kinds();
  const auto chosen = std::find_if(all.begin(), all.end(), [&](const KindOptions& one) {
    return one.name == kind->value->text;
  });
  if (chosen == all.end()) {
    return root;
  }
  auto options = std::make_shared<Node>(*schedule->value);
  std::erase_if(options->entries, [&](const Node::Entry& entry) {
    const bool known = std::any_of(all.begin(), all.end(),
                                   [&](const KindOptions& one) { return one.has(entry.key); });
    return known && !is_override(*entry.value) && !chosen->has(entry.key);
  });
  return with_value(root, "", "schedule", options);
}

}  // namespace

bool is_override(const Node& node) {
  return node.source->name.starts_with(kOverride);
}

std::filesystem::path directory_of(const Node& node, const std::string& file) {
  return file == "-" || is_override(node) ? std::filesystem::path()
                                          : std::filesystem::path(file).parent_path();
}

Result<Node::Pointer> apply_overrides(Node::Pointer root, std::span<const std::string> overrides) {
  Diagnostics failures;
  bool kind_given = false;
  for (const std::string& given : overrides) {
    const auto source = std::make_shared<const Source>(std::string(kOverride) + given, given);
    const std::size_t equals = given.find('=');
    if (equals == std::string::npos || equals == 0) {
      failures.push_back(error_at(*source, 1, 1, "expected key.path=value"));
      continue;
    }
    const std::string path = given.substr(0, equals);
    if (!is_known(path)) {
      failures.push_back(unknown_key(*source, path));
      continue;
    }
    if (given.find_first_not_of(' ', equals + 1) == std::string::npos) {
      failures.push_back(
          error_at(*source, 1, static_cast<std::int32_t>(equals + 1),
                   fmt::format("'{}' gets no value, expected {}=VALUE", path, path)));
      continue;
    }
    // Standard input; to YAML it is a list of nothing.
    const std::string text = given.substr(equals + 1) == "-" ? "'-'" : given.substr(equals + 1);
    // Blanks in front keep the columns of the value those of the whole argument.
    Result<Document> value = parse_document(source, std::string(equals + 1, ' ') + text);
    if (!value) {
      const Diagnostics& wrong = value.failures();
      failures.insert(failures.end(), wrong.begin(), wrong.end());
      continue;
    }
    failures.insert(failures.end(), value->duplicates.begin(), value->duplicates.end());
    root = with_value(root, "", path, value->root);
    kind_given = kind_given || path == "schedule.kind";
  }
  if (!failures.empty()) {
    return failures;
  }
  // After all of them: whether there is 'data' may be said by any.
  return kind_given ? without_options_of_others(root) : root;
}

}  // namespace stagecraft
