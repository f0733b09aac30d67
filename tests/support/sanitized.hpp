// STAGECRAFT_SANITIZED: 1 under the address or thread sanitizer. They slow threads down, replace
// the allocator and turn a refused allocation into an abort. g++ and clang say so in ways of their
// own.
#pragma once

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STAGECRAFT_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define STAGECRAFT_SANITIZED 1
#endif
#endif
#ifndef STAGECRAFT_SANITIZED
#define STAGECRAFT_SANITIZED 0
#endif
