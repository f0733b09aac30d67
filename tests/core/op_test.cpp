#include <doctest/doctest.h>

#include "stagecraft/core/op.hpp"

using namespace stagecraft;

TEST_SUITE("core") {
  TEST_CASE("op text form") {
    CHECK(to_string(make_op(OpKind::kForward, 3, 5)) == "F3@5");
    CHECK(to_string(make_op(OpKind::kBackward, 3, 5, 2)) == "BW3@5.2");
    CHECK(to_string(make_op(OpKind::kForward, 0, 1, 0, Direction::kUp)) == "F0@<1");
    const Op pair =
        make_overlapped(make_op(OpKind::kForward, 7, 0), make_op(OpKind::kBackward, 0, 3));
    CHECK(to_string(pair) == "F7@0+BW0@3");
    CHECK(forward_half(pair) == make_op(OpKind::kForward, 7, 0));
    CHECK(backward_half(pair) == make_op(OpKind::kBackward, 0, 3));
  }
}
