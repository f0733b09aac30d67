#include "reader.hpp"

#include <algorithm>

#include <fmt/core.h>

#include "quantity.hpp"
#include "stagecraft/core/text.hpp"

namespace stagecraft {
namespace {

constexpr std::size_t kMostCells = 50'000'000;

/// Names of the keys directly under `section` ("" is the top level).
std::vector<std::string_view> keys_under(std::string_view section) {
  std::vector<std::string_view> names;
  for (const KeySpec& spec : scenario_keys()) {
    std::string_view rest = spec.path;
    if (!section.empty()) {
      if (rest.size() <= section.size() || !rest.starts_with(section) ||
          rest[section.size()] != '.') {
        continue;
      }
      rest.remove_prefix(section.size() + 1);
    }
    rest = rest.substr(0, rest.find('.'));
    if (names.empty() || names.back() != rest) {
      names.push_back(rest);
    }
  }
  return names;
}

}  // namespace

std::vector<std::string_view> split_choices(std::string_view choices) {
  std::vector<std::string_view> names;
  constexpr std::string_view kBar = " | ";
  while (!choices.empty()) {
    const std::size_t end = choices.find(kBar);
    names.push_back(choices.substr(0, end));
    choices =
        end == std::string_view::npos ? std::string_view{} : choices.substr(end + kBar.size());
  }
  return names;
}

Reader::Reader(Node::Pointer root) : root_(std::move(root)) {}

void Reader::check_keys() {
  check_map(*root_, "");
}

void Reader::check_map(const Node& map, const std::string& path) {
  const std::vector<std::string_view> known = keys_under(path);
  for (const Node::Entry& entry : map.entries) {
    if (std::find(known.begin(), known.end(), entry.key) == known.end()) {
      const std::string_view near = nearest_name(entry.key, known);
      const std::string where = path.empty() ? "" : fmt::format(" in '{}'", path);
      failures.push_back(error_at(entry,
                                  fmt::format("unknown key '{}'{}, expected one of: {}", entry.key,
                                              where, join(known, " ")),
                                  near.empty() ? "" : fmt::format("did you mean '{}'?", near)));
      continue;
    }
    const std::string full = path.empty() ? entry.key : path + "." + entry.key;
    // A schedule, a named profile and a list of links have readers of their own.
    const bool own_reader = full == "schedule" || full == "search.options" ||
                            full == "profile.all_to_all" ||
                            (full == "profile" && entry.value->kind == Node::Kind::kScalar) ||
                            (full == "links" && !entry.value->items.empty());
    if (own_reader || find_key(full) != nullptr || entry.value->kind == Node::Kind::kNull) {
      continue;
    }
    if (entry.value->kind != Node::Kind::kMap) {
      fail(*entry.value, fmt::format("'{}' is a section, expected a map with some of: {}, not {}",
                                     full, join(keys_under(full), " "), describe(*entry.value)));
      continue;
    }
    check_map(*entry.value, full);
  }
}

const Node* Reader::find(std::string_view path) const {
  const Node* node = root_.get();
  while (node != nullptr && !path.empty()) {
    const std::size_t dot = path.find('.');
    const Node::Entry* entry =
        node->kind == Node::Kind::kMap ? node->find(path.substr(0, dot)) : nullptr;
    node = entry == nullptr ? nullptr : entry->value.get();
    path = dot == std::string_view::npos ? std::string_view{} : path.substr(dot + 1);
  }
  return node == nullptr || node->kind == Node::Kind::kNull ? nullptr : node;
}

void Reader::fail(const Node& node, std::string message, std::string hint) {
  failures.push_back(error_at(node, std::move(message), std::move(hint)));
}

void Reader::fail(std::string_view path, std::string message, std::string hint) {
  const Node* node = find(path);
  while (node == nullptr) {
    const std::size_t dot = path.rfind('.');
    if (dot == std::string_view::npos) {
      node = root_.get();
      break;
    }
    path = path.substr(0, dot);
    node = find(path);
  }
  fail(*node, std::move(message), std::move(hint));
}

void Reader::fail_type(const Node& node, const KeySpec& spec) {
  fail(node, fmt::format("'{}' is {}, expected {}", spec.path, describe(node), expectation(spec)));
}

void Reader::fail_count(const Cells& list, std::string_view path, std::size_t count,
                        std::string_view what) {
  fail(*list.node, fmt::format("'{}' lists {} values, expected {}: one per {}", path,
                               list.items.size(), count, what));
}

std::optional<std::int64_t> Reader::number_at(const Node& node, const KeySpec& spec) {
  if (node.kind != Node::Kind::kScalar) {
    fail_type(node, spec);
    return std::nullopt;
  }
  const Quantity quantity = parse_quantity(node.text, spec.type, time_unit);
  const bool bare_in_quotes =
      node.quoted && !node.text.empty() &&
      (node.text.back() == '.' || (node.text.back() >= '0' && node.text.back() <= '9'));
  if (!quantity.value || bare_in_quotes) {
    const std::string problem = bare_in_quotes && quantity.value
                                    ? " in quotes is text"
                                    : (quantity.problem.empty() ? "" : ": " + quantity.problem);
    fail(node,
         fmt::format("'{}' is {}{}{} expected {}", spec.path, describe(node), problem,
                     problem.empty() ? "," : (bare_in_quotes ? "," : ";"), expectation(spec)));
    return std::nullopt;
  }
  if (*quantity.value < spec.low || *quantity.value > spec.high) {
    fail(node, fmt::format("'{}' is {}, expected {}", spec.path, node.text, expectation(spec)));
    return std::nullopt;
  }
  return quantity.value;
}

std::optional<std::size_t> Reader::choice_at(const Node& node, const KeySpec& spec) {
  const std::vector<std::string_view> names = split_choices(spec.choices);
  const auto found = std::find(names.begin(), names.end(), node.text);
  if (node.kind == Node::Kind::kScalar && found != names.end()) {
    return static_cast<std::size_t>(found - names.begin());
  }
  const std::string_view near = nearest_name(node.text, names);
  fail(node, fmt::format("'{}' is {}, expected {}", spec.path, describe(node), expectation(spec)),
       near.empty() ? "" : fmt::format("did you mean '{}'?", near));
  return std::nullopt;
}

std::optional<std::int64_t> Reader::number(std::string_view path) {
  const Node* node = find(path);
  return node == nullptr ? std::nullopt : number_at(*node, *find_key(path));
}

std::optional<std::string> Reader::text(std::string_view path) {
  const Node* node = find(path);
  if (node == nullptr) {
    return std::nullopt;
  }
  if (node->kind != Node::Kind::kScalar) {
    fail_type(*node, *find_key(path));
    return std::nullopt;
  }
  return node->text;
}

std::optional<bool> Reader::flag(std::string_view path) {
  const Node* node = find(path);
  if (node == nullptr) {
    return std::nullopt;
  }
  if (node->kind == Node::Kind::kScalar && (node->text == "true" || node->text == "false")) {
    return node->text == "true";
  }
  fail_type(*node, *find_key(path));
  return std::nullopt;
}

std::optional<std::size_t> Reader::choice(std::string_view path) {
  const Node* node = find(path);
  return node == nullptr ? std::nullopt : choice_at(*node, *find_key(path));
}

std::optional<Cells> Reader::cells_at(const Node& node, const KeySpec& spec, int depth) {
  Cells cells;
  cells.node = &node;
  if (node.kind != Node::Kind::kList || depth == 0) {
    if (node.kind == Node::Kind::kList || (spec.list_only && depth == spec.depth)) {
      fail_type(node, spec);
      return std::nullopt;
    }
    const std::optional<std::int64_t> value = number_at(node, spec);
    if (!value) {
      return std::nullopt;
    }
    cells.value = *value;
    return cells;
  }
  cells.list = true;
  // Aliases let a small file stand for an enormous list.
  cells_read_ += node.items.size();
  if (cells_read_ > kMostCells) {
    fail(node, fmt::format("'{}' brings the values of the file to {}, expected at most {}",
                           spec.path, cells_read_, kMostCells));
    return std::nullopt;
  }
  if (node.items.empty()) {
    fail(node, fmt::format("'{}' is an empty list, expected {}", spec.path, expectation(spec)));
    return std::nullopt;
  }
  bool whole = true;
  for (const Node::Pointer& item : node.items) {
    std::optional<Cells> one = cells_at(*item, spec, depth - 1);
    whole = whole && one.has_value();
    if (whole) {
      cells.items.push_back(std::move(*one));
    }
  }
  return whole ? std::optional(std::move(cells)) : std::nullopt;
}

void Reader::check_values(std::string_view section) {
  for (const KeySpec& spec : scenario_keys()) {
    const bool inside = spec.path == section || (spec.path.starts_with(section) &&
                                                 spec.path.substr(section.size()).starts_with('.'));
    if (!inside) {
      continue;
    }
    switch (spec.type) {
      case KeyType::kText:
        (void)text(spec.path);
        break;
      case KeyType::kFlag:
        (void)flag(spec.path);
        break;
      case KeyType::kChoice:
        (void)choice(spec.path);
        break;
      default:
        (void)cells(spec.path);
    }
  }
}

std::optional<Cells> Reader::cells(std::string_view path) {
  const Node* node = find(path);
  if (node == nullptr) {
    return std::nullopt;
  }
  const KeySpec& spec = *find_key(path);
  return cells_at(*node, spec, spec.depth);
}

std::optional<std::vector<std::int64_t>> Reader::list(std::string_view path, std::size_t count) {
  const std::optional<Cells> given = cells(path);
  if (!given) {
    return std::nullopt;
  }
  if (!given->list) {
    return std::vector<std::int64_t>(count, given->value);
  }
  if (given->items.size() != count) {
    static constexpr std::string_view kNames[] = {
        "entry", "stage", "boundary between stages", "device", "layer", "micro-batch", "value"};
    fail_count(*given, path, count, kNames[static_cast<std::size_t>(find_key(path)->axis)]);
    return std::nullopt;
  }
  std::vector<std::int64_t> values;
  for (const Cells& item : given->items) {
    values.push_back(item.value);
  }
  return values;
}

}  // namespace stagecraft
