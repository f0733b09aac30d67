// The GPU's kernels, run block by block on the host, against float64: arithmetic and indices are
// checked where there is no GPU.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <limits>

#include "selftest/checks.hpp"
#include "selftest/emulated_ops.hpp"

namespace stagecraft {
namespace {

using selftest::Check;
using selftest::Checker;
using selftest::Device;
using selftest::Extent;
using selftest::Tensor;
using selftest::ThreadOrder;

std::vector<Check> all_checks(Device& device, std::uint64_t seed) {
  Checker checker(device, seed);
  check_elements(checker, Extent::kSmall);
  check_rows(checker, Extent::kSmall);
  check_gemm(checker, Extent::kSmall);
  check_stages(checker, Extent::kSmall);
  return checker.checks();
}

void require_passed(const std::vector<Check>& checks) {
  CHECK(checks.size() > 400);
  for (const Check& check : checks) {
    CAPTURE(check.name);
    CAPTURE(check.problem);
    CAPTURE(check.norm_error);
    CAPTURE(check.worst_error);
    CHECK(check.passed());
  }
}

TEST_SUITE_BEGIN("execute");

TEST_CASE("every call and whole stages on emulated kernels agree with float64") {
  for (const std::uint64_t seed : {1U, 2U, 3U}) {
    require_passed(all_checks(*selftest::make_emulated_device(), seed));
  }
}

TEST_CASE("every call and whole stages on the host agree with float64") {
  require_passed(all_checks(*selftest::make_host_device(), 4));
}

TEST_CASE("results of kernels do not depend on the order of threads and blocks") {
  const std::vector<Check> up = all_checks(*selftest::make_emulated_device(), 5);
  for (const ThreadOrder order : {ThreadOrder::kDown, ThreadOrder::kEvenFirst}) {
    const std::vector<Check> other = all_checks(*selftest::make_emulated_device(order), 5);
    REQUIRE(other.size() == up.size());
    for (std::size_t i = 0; i < up.size(); ++i) {
      CAPTURE(up[i].name);
      CHECK(other[i].norm_error == up[i].norm_error);
      CHECK(other[i].worst_error == up[i].worst_error);
      CHECK(other[i].passed());
    }
  }
}

TEST_CASE("sums of gains do not depend on the GPU's size, and work in a small workspace") {
  constexpr std::int64_t kRows = 700;
  constexpr std::int64_t kWidth = 40;
  std::vector<std::vector<float>> results;
  for (const std::int32_t multiprocessors : {1, 4, 132}) {
    selftest::EmulatedOps ops(multiprocessors);
    std::vector<Bf16> dy(kRows * kWidth);
    std::vector<Bf16> x(kRows * kWidth);
    for (std::size_t i = 0; i < dy.size(); ++i) {
      dy[i] = to_bf16(std::sin(static_cast<float>(i)));
      x[i] = to_bf16(std::cos(0.7F * static_cast<float>(i)));
    }
    const std::vector<Bf16> gain(kWidth, to_bf16(1.0F));
    const std::vector<float> rstd(kRows, 0.5F);
    std::vector<Bf16> dx(kRows * kWidth);
    std::vector<float> gain_grad(kWidth, 0.0F);
    ops.rmsnorm_backward(0, kRows, kWidth, dy.data(), x.data(), gain.data(), rstd.data(), nullptr,
                         dx.data(), gain_grad.data());
    CHECK(ops.failures() == 0);
    results.push_back(gain_grad);

    // One chunk at a time fits: the sum is the same up to rounding.
    selftest::EmulatedOps narrow(multiprocessors, ThreadOrder::kUp, kWidth);
    std::vector<float> again(kWidth, 0.0F);
    narrow.rmsnorm_backward(0, kRows, kWidth, dy.data(), x.data(), gain.data(), rstd.data(),
                            nullptr, dx.data(), again.data());
    CHECK(narrow.failures() == 0);
    for (std::size_t i = 0; i < again.size(); ++i) {
      CHECK(again[i] == doctest::Approx(gain_grad[i]).epsilon(1e-4));
    }
    // None fits: said so, nothing written outside.
    selftest::EmulatedOps none(multiprocessors, ThreadOrder::kUp, kWidth - 1);
    none.rmsnorm_backward(0, kRows, kWidth, dy.data(), x.data(), gain.data(), rstd.data(), nullptr,
                          dx.data(), again.data());
    CHECK(none.failures() == 1);
  }
  CHECK(results[0] == results[1]);
  CHECK(results[0] == results[2]);
}

TEST_CASE("calls on nothing do nothing") {
  selftest::EmulatedOps ops;
  ops.rmsnorm(0, 0, 8, nullptr, nullptr, nullptr, nullptr);
  ops.rmsnorm_backward(0, 0, 8, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr);
  ops.softmax(0, 2, 0, 8, 0, nullptr);
  ops.softmax_backward(0, 0, 3, 8, 0, nullptr, nullptr);
  ops.gelu(0, 0, nullptr, nullptr);
  ops.copy_rows(0, 3, 0, nullptr, 8, nullptr, 8);
  ops.zero(0, 0, nullptr);
  ops.adam(0, 0, 0.1F, 1, nullptr, nullptr, nullptr, nullptr);
  CHECK(ops.failures() == 0);
}

/// What the checks say about an op that leaves `wrong` behind; the op has one input.
std::vector<Check> verdicts(void (*wrong)(Device& device, const Tensor& in, const Tensor& out)) {
  const auto device = selftest::make_host_device();
  Checker checker(*device, 6);
  const Tensor in = checker.random(100);
  const Tensor out = checker.poisoned(100);
  device->upload(out.data, in.data, 100 * sizeof(float));
  wrong(*device, in, out);
  checker.compare("copy", out, in.values);
  checker.end("copy");
  return checker.checks();
}

float* at(const Tensor& tensor, std::ptrdiff_t i) {
  return tensor.floats() + i;
}

TEST_CASE("the checks find what is wrong") {
  const auto right = verdicts([](Device&, const Tensor&, const Tensor&) {});
  CHECK((right[0].passed() && right[1].passed()));
  const auto nan = verdicts([](Device&, const Tensor&, const Tensor& out) {
    *at(out, 99) = std::numeric_limits<float>::quiet_NaN();
  });
  CHECK(nan[0].problem == "element 99 of 100 is NaN");
  // Small against the whole, but one element is all wrong.
  const auto one = verdicts([](Device&, const Tensor&, const Tensor& out) { *at(out, 7) += 0.1F; });
  CHECK(!one[0].passed());
  CHECK(one[0].worst_error > 0.04);
  const auto before = verdicts([](Device&, const Tensor&, const Tensor& out) { *at(out, -1) = 0; });
  CHECK((before[0].passed() && !before[1].passed()));
  CHECK(before[1].problem.find("of tensor 1 (400 bytes) was overwritten") != std::string::npos);
  const auto behind =
      verdicts([](Device&, const Tensor&, const Tensor& out) { *at(out, 100) = 0; });
  CHECK(behind[1].problem == "byte 400 of tensor 1 (400 bytes) was overwritten");
  const auto input = verdicts([](Device&, const Tensor& in, const Tensor&) { *at(in, 3) = 2.0F; });
  CHECK(input[1].problem.find("of tensor 0 (400 bytes) was overwritten") != std::string::npos);
}

TEST_SUITE_END();

}  // namespace
}  // namespace stagecraft
