// --set key.path=value: replaces or adds one value of a scenario's tree.
#pragma once

#include <span>
#include <string>

#include "document.hpp"

namespace stagecraft {

/// Applies the overrides in order. The value is read as YAML and errors in it name the --set. Fails
/// with every malformed override; an unknown key is found later, with all others.
[[nodiscard]] Result<Node::Pointer> apply_overrides(Node::Pointer root,
                                                    std::span<const std::string> overrides);

}  // namespace stagecraft
