// Errors as values with a place, until they reach main.
//
// A function that can fail for a reason the user can mend returns Result<T>: the value, or one or
// more diagnostics. All errors of a file are collected, not only the first.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "stagecraft/core/check.hpp"

namespace stagecraft {

/// Where in an input something stands. Lines and columns count from 1; 0 means unknown.
struct SourcePlace {
  std::string file;
  std::int32_t line = 0;
  std::int32_t column = 0;

  friend bool operator==(const SourcePlace&, const SourcePlace&) = default;
};

/// What a failure means for the caller; `main` turns it into the exit status.
enum class FailureKind : std::uint8_t {
  kBadInput,    ///< exit status 2: the input is wrong
  kInfeasible,  ///< exit status 3: the input is valid, the plan cannot run
};

/// One error: a place, what is wrong and what was expected, and (where known) how to mend it.
struct Diagnostic {
  FailureKind kind = FailureKind::kBadInput;
  SourcePlace place;
  std::string message;      ///< lower case, no full stop
  std::string hint;         ///< may be empty; printed on a line of its own
  std::string source_line;  ///< the offending line of the input, for the caret; may be empty
};

using Diagnostics = std::vector<Diagnostic>;

[[nodiscard]] Diagnostic bad_input(std::string message, std::string hint = {});
[[nodiscard]] Diagnostic infeasible(std::string message, std::string hint = {});

/// "FILE:LINE:COLUMN: error: message" plus the source line with a caret and the hint; the parts
/// that are unknown are left out. Ends with a newline.
[[nodiscard]] std::string to_string(const Diagnostic& diagnostic);
[[nodiscard]] std::string to_string(const Diagnostics& diagnostics);

/// A value, or why there is none.
template <typename T>
class [[nodiscard]] Result {
 public:
  // Implicit on purpose: `return value;` and `return bad_input(...);` are the two ways out.
  // NOLINTBEGIN(google-explicit-constructor)
  Result(T value) : state_(std::move(value)) {}
  Result(Diagnostic failure) : state_(Diagnostics{std::move(failure)}) {}
  Result(Diagnostics failures) : state_(std::move(failures)) {
    STAGECRAFT_CHECK(!std::get<Diagnostics>(state_).empty(), "a failure needs a diagnostic");
  }
  // NOLINTEND(google-explicit-constructor)

  [[nodiscard]] bool ok() const { return std::holds_alternative<T>(state_); }
  explicit operator bool() const { return ok(); }

  [[nodiscard]] const T& value() const& {
    STAGECRAFT_CHECK(ok(), "value() of a failed result");
    return std::get<T>(state_);
  }
  [[nodiscard]] T& value() & {
    STAGECRAFT_CHECK(ok(), "value() of a failed result");
    return std::get<T>(state_);
  }
  [[nodiscard]] T&& value() && {
    STAGECRAFT_CHECK(ok(), "value() of a failed result");
    return std::get<T>(std::move(state_));
  }
  [[nodiscard]] const T& operator*() const& { return value(); }
  [[nodiscard]] T& operator*() & { return value(); }
  [[nodiscard]] const T* operator->() const { return &value(); }
  [[nodiscard]] T* operator->() { return &value(); }

  [[nodiscard]] const Diagnostics& failures() const {
    STAGECRAFT_CHECK(!ok(), "failures() of a result that holds a value");
    return std::get<Diagnostics>(state_);
  }

 private:
  std::variant<T, Diagnostics> state_;
};

}  // namespace stagecraft
