#include "support/allocations.hpp"

#include <cstdlib>
#include <new>

#include "support/sanitized.hpp"

namespace stagecraft::test {
namespace {

thread_local std::size_t count = 0;

#if !STAGECRAFT_SANITIZED
void* counted(std::size_t bytes) {
  ++count;
  void* const memory = std::malloc(bytes == 0 ? 1 : bytes);
  if (memory == nullptr) {
    throw std::bad_alloc();
  }
  return memory;
}
#endif

}  // namespace

std::size_t allocations() {
  return count;
}

bool counts_allocations() {
#if STAGECRAFT_SANITIZED
  return false;
#else
  return true;
#endif
}

}  // namespace stagecraft::test

#if !STAGECRAFT_SANITIZED
// The array, nothrow and sized forms of the library call these.
void* operator new(std::size_t bytes) {
  return stagecraft::test::counted(bytes);
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
#endif
