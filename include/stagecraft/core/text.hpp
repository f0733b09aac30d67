// Names nearest to a misspelt one, and small text helpers shared by error messages.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace stagecraft {

/// The candidate with the smallest edit distance to `name`, if that distance is small enough to be
/// a likely slip (at most a third of the name's length, at least 1); otherwise empty.
[[nodiscard]] std::string_view nearest_name(std::string_view name,
                                            std::span<const std::string_view> candidates);

/// "a, b, c".
[[nodiscard]] std::string join(std::span<const std::string_view> parts, std::string_view separator);

/// 1234567 -> "1 234 567".
[[nodiscard]] std::string with_thousands(std::int64_t value);

}  // namespace stagecraft
