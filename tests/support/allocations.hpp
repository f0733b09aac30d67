// Counts allocations, for promises that something allocates nothing.
#pragma once

#include <cstddef>

namespace stagecraft::test {

/// Calls of operator new by this thread so far. Only meaningful if counts_allocations().
[[nodiscard]] std::size_t allocations();

/// False under the sanitizers, which bring an operator new of their own.
[[nodiscard]] bool counts_allocations();

}  // namespace stagecraft::test
