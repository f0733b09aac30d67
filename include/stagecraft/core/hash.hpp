// A 64-bit hash over integers, independent of machine and build type; used for fingerprints.
#pragma once

#include <cstdint>
#include <string>

namespace stagecraft {

class Hash {
 public:
  void add(std::uint64_t value) {
    // The finalizer of MurmurHash3 (Appleby, public domain) over a running state.
    state_ ^= value + 0x9e3779b97f4a7c15ULL + (state_ << 6U) + (state_ >> 2U);
    state_ ^= state_ >> 33U;
    state_ *= 0xff51afd7ed558ccdULL;
    state_ ^= state_ >> 33U;
    state_ *= 0xc4ceb9fe1a85ec53ULL;
    state_ ^= state_ >> 33U;
  }
  void add(std::int64_t value) { add(static_cast<std::uint64_t>(value)); }

  [[nodiscard]] std::uint64_t value() const { return state_; }

  /// 16 lower-case hexadecimal digits.
  [[nodiscard]] std::string hex() const;

 private:
  std::uint64_t state_ = 0x5374616765437261ULL;
};

}  // namespace stagecraft
