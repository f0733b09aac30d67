#include "scenario/number.hpp"

#include <doctest/doctest.h>

#include "scenario/quantity.hpp"
#include "stagecraft/core/units.hpp"

using namespace stagecraft;

namespace {

std::int64_t ns(std::string_view text, std::int64_t unit = kMicrosecond) {
  return parse_quantity(text, KeyType::kDuration, unit).value.value_or(-1);
}

std::int64_t bytes(std::string_view text) {
  return parse_quantity(text, KeyType::kBytes, 1).value.value_or(-1);
}

}  // namespace

TEST_SUITE("scenario") {
  TEST_CASE("decimal times become exact nanoseconds") {
    CHECK(ns("0.1") == 100);
    CHECK(ns("0.29", kMillisecond) == 290'000);  // 0.29 * 1e6 is 289999.99... in binary
    CHECK(ns("1.005", kMillisecond) == 1'005'000);
    CHECK(ns("5us", kSecond) == 5'000);
    CHECK(ns("1.5 ms", 1) == 1'500'000);
    CHECK(ns("2e3", 1) == 2'000);
    CHECK(ns("25e-1", kMicrosecond) == 2'500);
    CHECK(ns(".5") == 500);
  }

  TEST_CASE("half a nanosecond rounds away from zero, less does not") {
    CHECK(ns("0.5", 1) == 1);
    CHECK(ns("1.49999999999999999999999", 1) == 1);
    CHECK(ns("1.4999", 1) == 1);
    CHECK(bytes("-0.5") == -1);
  }

  TEST_CASE("a duration that would round to nothing is refused") {
    for (const std::string_view text : {"0.49999999999999999999999", "0.05", "1e-400"}) {
      CHECK_FALSE(parse_quantity(text, KeyType::kDuration, 1).value.has_value());
    }
    CHECK(ns("0") == 0);
    CHECK(ns("0.000") == 0);
    CHECK(ns("0e5") == 0);
  }

  TEST_CASE("sizes and bandwidths have units") {
    CHECK(bytes("80GiB") == 80LL * 1024 * 1024 * 1024);
    CHECK(bytes("1.5MB") == 1'500'000);
    CHECK(bytes("0.1KiB") == 102);
    CHECK(parse_quantity("25GB/s", KeyType::kBandwidth, 1).value == 25'000'000'000);
    CHECK(parse_quantity("200Gb/s", KeyType::kBandwidth, 1).value == 25'000'000'000);
  }

  TEST_CASE("what is no number of the kind says why") {
    CHECK(parse_quantity("80GiB", KeyType::kDuration, 1).problem == "'GiB' is a unit of size");
    CHECK(parse_quantity("5us", KeyType::kInteger, 1).problem == "'us' is a unit of time");
    CHECK(parse_quantity("010", KeyType::kInteger, 1).problem == "a leading zero may mean octal");
    CHECK(parse_quantity("1.5", KeyType::kInteger, 1).problem == "it has a fraction");
    CHECK(parse_quantity("1e300", KeyType::kBytes, 1).problem == "it is too large");
    CHECK(parse_quantity("9007199254740993", KeyType::kBytes, 1).problem == "it is too large");
    CHECK(parse_quantity("9007199254740992", KeyType::kBytes, 1).value == kLargestQuantity);
    CHECK_FALSE(parse_quantity(".inf", KeyType::kDuration, 1).value);
    CHECK_FALSE(parse_quantity("nan", KeyType::kDuration, 1).value);
    CHECK_FALSE(parse_quantity("", KeyType::kDuration, 1).value);
    CHECK_FALSE(parse_quantity("1_000", KeyType::kInteger, 1).value);
    CHECK_FALSE(parse_quantity("0x10", KeyType::kInteger, 1).value);
  }

  TEST_CASE("products of 64-bit numbers do not overflow") {
    CHECK(multiply_divide(kLargestQuantity, 1'000'000'000, 1'000'000'000) == kLargestQuantity);
    CHECK_FALSE(multiply_divide(kLargestQuantity, 2, 1));
    CHECK(multiply_divide(1, 1, 2) == 1);
    CHECK(multiply_divide(7, 1, 3) == 2);
    CHECK(multiply_divide(8, 1, 3) == 3);
  }
}
