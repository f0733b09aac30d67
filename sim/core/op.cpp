#include "stagecraft/core/op.hpp"

#include <array>

namespace stagecraft {
namespace {

const char* direction_mark(Direction direction) {
  switch (direction) {
    case Direction::kOnly:
      return "";
    case Direction::kDown:
      return ">";
    case Direction::kUp:
      return "<";
  }
  return "";
}

void append(std::string& text, const char* kind, const Unit& unit, Direction direction) {
  text += kind;
  text += std::to_string(unit.microbatch);
  text += '@';
  text += direction_mark(direction);
  text += std::to_string(unit.stage);
  if (unit.slice != 0) {
    text += '.';
    text += std::to_string(unit.slice);
  }
}

}  // namespace

const char* to_string(OpKind kind) {
  static constexpr std::array<const char*, kOpKindCount> kNames = {"F", "B", "W",    "BW", "R",
                                                                   "O", "L", "F+BW", "G",  "U"};
  return kNames[static_cast<std::size_t>(kind)];
}

std::string to_string(const Op& op) {
  std::string text;
  switch (op.kind) {
    case OpKind::kOverlapped:
      append(text, "F", op.unit, op.direction);
      text += '+';
      append(text, "BW", op.partner, op.partner_direction);
      return text;
    case OpKind::kGradientReduce:
    case OpKind::kOptimizer:
      text = to_string(op.kind);
      text += '@';
      text += std::to_string(op.unit.stage);
      return text;
    default:
      append(text, to_string(op.kind), op.unit, op.direction);
      return text;
  }
}

}  // namespace stagecraft
