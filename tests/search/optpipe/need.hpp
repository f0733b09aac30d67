// The value of an optional that a test cannot do without.
#pragma once

#include <optional>
#include <stdexcept>
#include <utility>

namespace stagecraft::search {

template <typename T>
[[nodiscard]] T need(std::optional<T> value) {
  if (!value.has_value()) {
    throw std::runtime_error("a value that the test needs is not there");
  }
  return *std::move(value);
}

}  // namespace stagecraft::search
