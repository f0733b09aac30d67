#include "stagecraft/core/diagnostics.hpp"

#include <doctest/doctest.h>

using namespace stagecraft;

namespace {

Result<int> half(int value) {
  if (value % 2 != 0) {
    return bad_input("odd", "give an even number");
  }
  return value / 2;
}

}  // namespace

TEST_SUITE("core") {
  TEST_CASE("a result holds a value or the reasons") {
    CHECK(half(4).value() == 2);
    const Result<int> failed = half(3);
    CHECK_FALSE(failed.ok());
    CHECK(failed.failures()[0].message == "odd");
    CHECK(failed.failures()[0].kind == FailureKind::kBadInput);
  }

  TEST_CASE("a diagnostic prints its place, the line with a caret, and the hint") {
    Diagnostic diagnostic = bad_input("unknown key 'shedule'", "did you mean 'schedule'?");
    diagnostic.place = {"a.yaml", 3, 3};
    diagnostic.source_line = "  shedule: 1f1b";
    CHECK(to_string(diagnostic) ==
          "a.yaml:3:3: error: unknown key 'shedule'\n"
          "    shedule: 1f1b\n"
          "    ^\n"
          "  did you mean 'schedule'?\n");
  }

  TEST_CASE("a diagnostic without a place prints the message alone") {
    CHECK(to_string(infeasible("does not fit")) == "error: does not fit\n");
  }

  TEST_CASE("a long line is clipped around its column") {
    Diagnostic diagnostic = bad_input("wrong");
    diagnostic.place = {"a.yaml", 1, 301};
    diagnostic.source_line = std::string(300, 'x') + "Y" + std::string(300, 'z');
    const std::string text = to_string(diagnostic);
    const std::size_t line = text.find('\n') + 1;
    const std::size_t caret_line = text.find('\n', line) + 1;
    CHECK(text[line + (text.find('^') - caret_line)] == 'Y');
  }
}
