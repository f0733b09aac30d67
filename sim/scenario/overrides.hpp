// --set key.path=value: replaces or adds one value of a scenario's tree.
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "document.hpp"

namespace stagecraft {

/// Applies the overrides in order. The value is read as YAML and errors in it name the --set. Fails
/// with every malformed override; an unknown key is found later, with all others.
[[nodiscard]] Result<Node::Pointer> apply_overrides(Node::Pointer root,
                                                    std::span<const std::string> overrides);

/// Whether a value was given by an override, not in the file.
[[nodiscard]] bool is_override(const Node& node);

/// Where a relative path that `node` gives begins: in the folder of the scenario `file`, or, given
/// by an override, in the current one ("").
[[nodiscard]] std::filesystem::path directory_of(const Node& node, const std::string& file);

}  // namespace stagecraft
