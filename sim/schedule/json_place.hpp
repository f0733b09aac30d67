// Where a value stands in a JSON text: the JSON library forgets places once it has parsed.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <variant>

namespace stagecraft {

/// A key of an object or an index of an array.
using JsonStep = std::variant<std::string, std::size_t>;

/// Offset of the first character of the value at `path` in `text`, which must be valid JSON; of the
/// innermost value on the way that exists if `path` does not. Keys are compared as written.
[[nodiscard]] std::size_t json_offset(std::string_view text, std::span<const JsonStep> path);

}  // namespace stagecraft
