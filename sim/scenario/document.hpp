// A YAML text as a tree in which every value knows where it stands.
//
// The only place that knows the YAML library. Its traps are closed here: duplicate keys, merge
// keys, several documents, aliases to themselves and too deep nesting are errors with a place;
// values stay text, so nothing is read as octal or as a floating-point number.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "stagecraft/core/diagnostics.hpp"

namespace stagecraft {

/// One text that was read: a file, or the value of a --set.
struct Source {
  std::string name;
  std::vector<std::string> lines;

  Source(std::string source_name, std::string_view text);
};

struct Node {
  enum class Kind : std::uint8_t { kNull, kScalar, kList, kMap };
  using Pointer = std::shared_ptr<const Node>;

  struct Entry {
    std::string key;
    std::shared_ptr<const Source> source;
    std::int32_t line = 0;  ///< of the key
    std::int32_t column = 0;
    Pointer value;
  };

  Kind kind = Kind::kNull;
  bool quoted = false;
  std::string text;            ///< of a scalar
  std::vector<Pointer> items;  ///< of a list
  std::vector<Entry> entries;  ///< of a map
  std::shared_ptr<const Source> source;
  std::int32_t line = 1;
  std::int32_t column = 1;

  [[nodiscard]] const Entry* find(std::string_view key) const;
};

/// "a number", "text", "a list of 3", "a map", "nothing".
[[nodiscard]] std::string describe(const Node& node);

/// An error at a place of a source, with its line for the caret.
[[nodiscard]] Diagnostic error_at(const Source& source, std::int32_t line, std::int32_t column,
                                  std::string message, std::string hint = {});
[[nodiscard]] Diagnostic error_at(const Node& node, std::string message, std::string hint = {});
[[nodiscard]] Diagnostic error_at(const Node::Entry& key, std::string message,
                                  std::string hint = {});

struct Document {
  Node::Pointer root;
  Diagnostics duplicates;  ///< keys given twice; the first value stands
};

/// Parses one document. An empty text is an empty map.
[[nodiscard]] Result<Document> parse_document(const std::shared_ptr<const Source>& source,
                                              std::string_view text);

}  // namespace stagecraft
