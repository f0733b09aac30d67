// Reads the values of a scenario file by the declared keys and collects every error on the way.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "document.hpp"
#include "stagecraft/cost/cost_table.hpp"
#include "stagecraft/scenario/keys.hpp"

namespace stagecraft {

/// A value as given: one number, or lists nested up to three deep.
struct Cells {
  const Node* node = nullptr;
  std::int64_t value = 0;
  bool list = false;
  std::vector<Cells> items;  ///< of a list
};

class Reader {
 public:
  explicit Reader(Node::Pointer root);

  /// Everything that was wrong so far.
  Diagnostics failures;

  /// Reports every key that is not declared, with the nearest known one. The root must be a map or
  /// null.
  void check_keys();

  /// Reads the value of every key of `section` (and below) for its errors alone: for what depends
  /// on a shape that is not known. Sizes of lists are not checked.
  void check_values(std::string_view section);

  /// The value at a dotted path, or nullptr if it is absent or null.
  [[nodiscard]] const Node* find(std::string_view path) const;
  [[nodiscard]] bool has(std::string_view path) const { return find(path) != nullptr; }
  [[nodiscard]] const Node& root() const { return *root_; }

  /// A single value; nothing if the key is absent or wrong (then it is reported).
  [[nodiscard]] std::optional<std::int64_t> number(std::string_view path);
  [[nodiscard]] std::optional<std::string> text(std::string_view path);
  [[nodiscard]] std::optional<bool> flag(std::string_view path);
  /// Index of the given name among the key's choices.
  [[nodiscard]] std::optional<std::size_t> choice(std::string_view path);

  /// A number or nested lists as deep as the key allows.
  [[nodiscard]] std::optional<Cells> cells(std::string_view path);
  /// A list of `count` numbers; a single one stands for all, where the key allows it.
  [[nodiscard]] std::optional<std::vector<std::int64_t>> list(std::string_view path,
                                                              std::size_t count);

  /// A number of the type and range of `spec`, reported at `node` if it is wrong.
  [[nodiscard]] std::optional<std::int64_t> number_at(const Node& node, const KeySpec& spec);
  [[nodiscard]] std::optional<std::size_t> choice_at(const Node& node, const KeySpec& spec);

  void fail(const Node& node, std::string message, std::string hint = {});
  /// At the value of `path`, or at the nearest section above it that is there.
  void fail(std::string_view path, std::string message, std::string hint = {});

  /// Reports that `list` does not have `count` entries.
  void fail_count(const Cells& list, std::string_view path, std::size_t count,
                  std::string_view what);

  std::int64_t time_unit = 1'000;  ///< ns of a bare duration

 private:
  void check_map(const Node& map, const std::string& path);
  void fail_type(const Node& node, const KeySpec& spec);
  [[nodiscard]] std::optional<Cells> cells_at(const Node& node, const KeySpec& spec, int depth);

  Node::Pointer root_;
  std::size_t cells_read_ = 0;
};

/// Splits "a | b | c".
[[nodiscard]] std::vector<std::string_view> split_choices(std::string_view choices);

}  // namespace stagecraft
