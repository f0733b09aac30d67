#include "quantity.hpp"

#include <fmt/core.h>

#include "number.hpp"

namespace stagecraft {
namespace {

struct UnitName {
  std::string_view name;
  KeyType type;
  std::int64_t scale;
};

constexpr std::int64_t kKibi = 1'024;

constexpr UnitName kUnits[] = {
    {"ns", KeyType::kDuration, 1},
    {"us", KeyType::kDuration, 1'000},
    {"ms", KeyType::kDuration, 1'000'000},
    {"s", KeyType::kDuration, 1'000'000'000},
    {"B", KeyType::kBytes, 1},
    {"kB", KeyType::kBytes, 1'000},
    {"KB", KeyType::kBytes, 1'000},
    {"MB", KeyType::kBytes, 1'000'000},
    {"GB", KeyType::kBytes, 1'000'000'000},
    {"TB", KeyType::kBytes, 1'000'000'000'000},
    {"KiB", KeyType::kBytes, kKibi},
    {"MiB", KeyType::kBytes, kKibi* kKibi},
    {"GiB", KeyType::kBytes, kKibi* kKibi* kKibi},
    {"TiB", KeyType::kBytes, kKibi* kKibi* kKibi* kKibi},
    {"B/s", KeyType::kBandwidth, 1},
    {"kB/s", KeyType::kBandwidth, 1'000},
    {"MB/s", KeyType::kBandwidth, 1'000'000},
    {"GB/s", KeyType::kBandwidth, 1'000'000'000},
    {"TB/s", KeyType::kBandwidth, 1'000'000'000'000},
    {"MiB/s", KeyType::kBandwidth, kKibi* kKibi},
    {"GiB/s", KeyType::kBandwidth, kKibi* kKibi* kKibi},
    {"K", KeyType::kTokens, kKibi},
    {"Ki", KeyType::kTokens, kKibi},
    {"M", KeyType::kTokens, kKibi* kKibi},
    {"Mi", KeyType::kTokens, kKibi* kKibi},
    {"kb/s", KeyType::kBandwidth, 125},
    {"Mb/s", KeyType::kBandwidth, 125'000},
    {"Gb/s", KeyType::kBandwidth, 125'000'000},
    {"Tb/s", KeyType::kBandwidth, 125'000'000'000},
};

constexpr std::int64_t kBillion = 1'000'000'000;

std::string_view unit_kind(KeyType type) {
  switch (type) {
    case KeyType::kDuration:
      return "time";
    case KeyType::kBytes:
      return "size";
    case KeyType::kTokens:
      return "token counts";
    default:
      return "bandwidth";
  }
}

std::int64_t bare_scale(KeyType type, std::int64_t time_unit) {
  switch (type) {
    case KeyType::kDuration:
      return time_unit;
    case KeyType::kRatio:
      return kBillion;
    default:
      return 1;
  }
}

Quantity wrong_unit(std::string_view suffix, KeyType type) {
  const bool takes_units = type == KeyType::kDuration || type == KeyType::kBytes ||
                           type == KeyType::kBandwidth || type == KeyType::kTokens;
  for (const UnitName& unit : kUnits) {
    if (unit.name == suffix) {
      return {std::nullopt, fmt::format("'{}' is a unit of {}", suffix, unit_kind(unit.type))};
    }
  }
  if (!takes_units) {
    return {};
  }
  std::string known;
  for (const UnitName& unit : kUnits) {
    if (unit.type == type) {
      known += fmt::format("{}{}", known.empty() ? "" : " ", unit.name);
    }
  }
  return {std::nullopt,
          fmt::format("'{}' is no unit of {}, known are {}", suffix, unit_kind(type), known)};
}

}  // namespace

Quantity parse_quantity(std::string_view text, KeyType type, std::int64_t time_unit) {
  const std::string_view whole = text;
  const std::optional<Decimal> number = take_decimal(text);
  if (!number) {
    return {};
  }
  while (!text.empty() && text.front() == ' ') {
    text.remove_prefix(1);
  }
  if (looks_octal(whole)) {
    return {std::nullopt, "a leading zero may mean octal"};
  }
  std::int64_t scale = bare_scale(type, time_unit);
  if (!text.empty()) {
    const UnitName* found = nullptr;
    for (const UnitName& unit : kUnits) {
      if (unit.name == text && unit.type == type) {
        found = &unit;
      }
    }
    if (found == nullptr) {
      return wrong_unit(text, type);
    }
    scale = found->scale;
  }
  const bool counts = type == KeyType::kInteger || type == KeyType::kTokens;
  if (counts && !is_whole(*number, scale)) {
    return {std::nullopt, "it has a fraction"};
  }
  const std::optional<std::int64_t> value = scaled(*number, scale);
  if (!value) {
    return {std::nullopt, "it is too large"};
  }
  if (type == KeyType::kDuration && *value == 0 && number->mantissa != 0) {
    return {std::nullopt, "it rounds to 0 ns, the engine counts whole ns"};
  }
  return {value, {}};
}

}  // namespace stagecraft
