#include "support/allocations.hpp"

#include <cstdlib>
#include <new>
#include "support/sanitized.hpp"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#define STAGECRAFT_SANITIZED
#endif
#endif
#if STAGECRAFT_SANITIZED
#define STAGECRAFT_SANITIZED
#endif

namespace stagecraft::test {
namespace {

thread_local std::size_t count = 0;

#ifndef STAGECRAFT_SANITIZED
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
#ifdef STAGECRAFT_SANITIZED
  return false;
#else
  return true;
#endif
}

}  // namespace stagecraft::test

#ifndef STAGECRAFT_SANITIZED
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
