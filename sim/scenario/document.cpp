#include "document.hpp"

#include <map>
#include <optional>
#include <sstream>

#include <fmt/core.h>
#include <yaml-cpp/depthguard.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

namespace stagecraft {
namespace {

/// Builds our tree from the parser's events.
class TreeBuilder final : public YAML::EventHandler {
 public:
  explicit TreeBuilder(std::shared_ptr<const Source> source) : source_(std::move(source)) {}

  void OnDocumentStart(const YAML::Mark& /*mark*/) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    finish(make(Node::Kind::kNull, mark), anchor);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    auto node = make(Node::Kind::kScalar, mark);
    node->text = value;
    node->quoted = tag != "?";
    finish(std::move(node), anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto known = anchors_.find(anchor);
    if (known == anchors_.end()) {
      fail(mark, "this alias stands inside the value it refers to");
      finish(make(Node::Kind::kNull, mark), 0);
      return;
    }
    add(known->second, mark);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& /*tag*/, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value /*style*/) override {
    open_.push_back({make(Node::Kind::kList, mark), anchor, std::nullopt});
  }
  void OnSequenceEnd() override { close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& /*tag*/, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value /*style*/) override {
    open_.push_back({make(Node::Kind::kMap, mark), anchor, std::nullopt});
  }
  void OnMapEnd() override { close(); }

  void fail(const YAML::Mark& mark, std::string message, std::string hint = {}) {
    failures.push_back(
        error_at(*source_, line_of(mark), column_of(mark), std::move(message), std::move(hint)));
  }

  Node::Pointer root;
  Diagnostics failures;
  Diagnostics duplicates;

 private:
  struct Open {
    std::shared_ptr<Node> node;
    YAML::anchor_t anchor = 0;
    std::optional<Node::Entry> key;  // of a map: the key whose value comes next
  };

  static std::int32_t line_of(const YAML::Mark& mark) { return mark.line + 1; }
  static std::int32_t column_of(const YAML::Mark& mark) { return mark.column + 1; }

  std::shared_ptr<Node> make(Node::Kind kind, const YAML::Mark& mark) const {
    auto node = std::make_shared<Node>();
    node->kind = kind;
    node->source = source_;
    node->line = line_of(mark);
    node->column = column_of(mark);
    return node;
  }

  void finish(std::shared_ptr<Node> node, YAML::anchor_t anchor) {
    const YAML::Mark mark = mark_of(*node);
    if (anchor != 0) {
      anchors_[anchor] = node;
    }
    add(std::move(node), mark);
  }

  void close() {
    const Open done = std::move(open_.back());
    open_.pop_back();
    finish(done.node, done.anchor);
  }

  static YAML::Mark mark_of(const Node& node) {
    YAML::Mark mark;
    mark.line = node.line - 1;
    mark.column = node.column - 1;
    return mark;
  }

  void add(Node::Pointer node, const YAML::Mark& mark) {
    if (open_.empty()) {
      root = std::move(node);
      return;
    }
    Open& parent = open_.back();
    if (parent.node->kind == Node::Kind::kList) {
      parent.node->items.push_back(std::move(node));
    } else if (!parent.key) {
      parent.key = take_key(*parent.node, *node, mark);
    } else {
      parent.key->value = std::move(node);
      if (!parent.key->key.empty()) {
        parent.node->entries.push_back(std::move(*parent.key));
      }
      parent.key.reset();
    }
  }

  /// A key with an empty name, or given before, is dropped together with its value.
  Node::Entry take_key(const Node& map, const Node& node, const YAML::Mark& mark) {
    Node::Entry entry;
    entry.source = source_;
    entry.line = line_of(mark);
    entry.column = column_of(mark);
    if (node.kind != Node::Kind::kScalar || node.text.empty()) {
      fail(mark, fmt::format("a key must be a name, not {}", describe(node)));
    } else if (node.text == "<<") {
      fail(mark, "merge keys (<<) are not supported", "write the keys out");
    } else if (const Node::Entry* first = map.find(node.text)) {
      duplicates.push_back(error_at(
          *source_, entry.line, entry.column,
          fmt::format("duplicate key '{}', first given in line {}", node.text, first->line)));
    } else {
      entry.key = node.text;
    }
    return entry;
  }

  std::shared_ptr<const Source> source_;
  std::vector<Open> open_;
  std::map<YAML::anchor_t, Node::Pointer> anchors_;
};

}  // namespace

Source::Source(std::string source_name, std::string_view text) : name(std::move(source_name)) {
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    if (!line.empty() && line.back() == '\r') {
      line.remove_suffix(1);
    }
    lines.emplace_back(line);
  }
}

const Node::Entry* Node::find(std::string_view key) const {
  for (const Entry& entry : entries) {
    if (entry.key == key) {
      return &entry;
    }
  }
  return nullptr;
}

std::string describe(const Node& node) {
  switch (node.kind) {
    case Node::Kind::kNull:
      return "nothing";
    case Node::Kind::kScalar:
      return node.text.size() <= 40 ? fmt::format("'{}'", node.text)
                                    : fmt::format("'{}...'", node.text.substr(0, 40));
    case Node::Kind::kList:
      return fmt::format("a list of {}", node.items.size());
    case Node::Kind::kMap:
      return "a map";
  }
  return "nothing";
}

Diagnostic error_at(const Source& source, std::int32_t line, std::int32_t column,
                    std::string message, std::string hint) {
  Diagnostic failure = bad_input(std::move(message), std::move(hint));
  failure.place = {source.name, line, column};
  if (line >= 1 && static_cast<std::size_t>(line) <= source.lines.size()) {
    failure.source_line = source.lines[static_cast<std::size_t>(line - 1)];
  }
  return failure;
}

Diagnostic error_at(const Node& node, std::string message, std::string hint) {
  return error_at(*node.source, node.line, node.column, std::move(message), std::move(hint));
}

Diagnostic error_at(const Node::Entry& key, std::string message, std::string hint) {
  return error_at(*key.source, key.line, key.column, std::move(message), std::move(hint));
}

Result<Document> parse_document(const std::shared_ptr<const Source>& source,
                                std::string_view text) {
  std::istringstream stream{std::string(text)};
  TreeBuilder builder(source);
  try {
    YAML::Parser parser(stream);
    if (!parser.HandleNextDocument(builder)) {
      auto empty = std::make_shared<Node>();
      empty->kind = Node::Kind::kMap;
      empty->source = source;
      return Document{std::move(empty), {}};
    }
    TreeBuilder rest(source);
    if (parser.HandleNextDocument(rest)) {
      return error_at(rest.root ? *rest.root : *builder.root,
                      "a second document begins here, expected one");
    }
  } catch (const YAML::DeepRecursion& deep) {
    builder.fail(deep.mark, "brackets or maps are nested too deeply, expected at most 500 levels");
  } catch (const YAML::ParserException& wrong) {
    builder.fail(wrong.mark, fmt::format("not YAML: {}", wrong.msg));
  } catch (const YAML::Exception& wrong) {
    builder.fail(wrong.mark, fmt::format("not YAML: {}", wrong.msg));
  }
  if (!builder.failures.empty()) {
    Diagnostics all = std::move(builder.failures);
    all.insert(all.end(), builder.duplicates.begin(), builder.duplicates.end());
    return all;
  }
  return Document{std::move(builder.root), std::move(builder.duplicates)};
}

}  // namespace stagecraft
