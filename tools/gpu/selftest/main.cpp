// Self-test of a processor's arithmetic: every call of TensorOps, and stages made of them, against
// float64. Exit status: 0 all passed, 1 something did not, 2 bad input or no GPU.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <string>

#include "selftest/checks.hpp"
#include "stagecraft/version.hpp"

namespace stagecraft::selftest {
namespace {

struct Options {
  std::string ops = "cuda";
  int divide = 1;
  bool small = false;
  bool graphs = false;
  std::uint64_t seed = 0;
  bool verbose = false;
  std::string json;
};

Result<std::unique_ptr<Device>> open(const Options& options) {
  if (options.ops == "host") {
    return make_host_device();
  }
  if (options.ops == "emulated") {
    return make_emulated_device();
  }
  return make_cuda_device(options.divide);
}

void print(const Checker& checker, bool verbose) {
  for (const Check& check : checker.checks()) {
    if (!check.passed()) {
      fmt::print(
          "FAILED {}: {}error {:.2e} (at most {:.2e}), worst element {:.2e} (at most "
          "{:.2e})\n",
          check.name, check.problem.empty() ? "" : check.problem + "; ", check.norm_error,
          check.bounds.norm, check.worst_error, check.bounds.worst);
    } else if (verbose && check.bounds.norm > 0.0) {
      fmt::print(
          "passed {}: error {:.2e} (at most {:.2e}), worst element {:.2e} (at most "
          "{:.2e})\n",
          check.name, check.norm_error, check.bounds.norm, check.worst_error, check.bounds.worst);
    }
  }
}

bool write_json(const Options& options, const Device& device, const Checker& checker) {
  nlohmann::ordered_json checks = nlohmann::ordered_json::array();
  for (const Check& check : checker.checks()) {
    nlohmann::ordered_json entry = {{"name", check.name},
                                    {"passed", check.passed()},
                                    {"error", check.norm_error},
                                    {"error_bound", check.bounds.norm},
                                    {"worst_element_error", check.worst_error},
                                    {"worst_element_bound", check.bounds.worst}};
    if (!check.problem.empty()) {
      entry["problem"] = check.problem;
    }
    checks.push_back(std::move(entry));
  }
  const bool passed = std::all_of(checker.checks().begin(), checker.checks().end(),
                                  [](const Check& check) { return check.passed(); });
  const nlohmann::ordered_json record = {{"stagecraft", kVersion},     {"device", device.name()},
                                         {"ops", options.ops},         {"seed", options.seed},
                                         {"small", options.small},     {"passed", passed},
                                         {"checks", std::move(checks)}};
  const std::string text = record.dump(1) + "\n";
  if (options.json == "-") {
    return std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  }
  std::ofstream file(options.json, std::ios::binary);
  file << text;
  file.close();
  if (!file) {
    fmt::print(stderr, "{}: error: cannot be written\n", options.json);
  }
  return static_cast<bool>(file);
}

int run(const Options& options) {
  const auto device = open(options);
  if (!device) {
    fmt::print(stderr, "{}", to_string(device.failures()));
    return 2;
  }
  const Extent extent = options.small ? Extent::kSmall : Extent::kFull;
  const auto begin = std::chrono::steady_clock::now();
  Checker checker(**device, options.seed);
  check_elements(checker, extent);
  check_rows(checker, extent);
  check_gemm(checker, extent);
  check_stages(checker, extent, options.graphs);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  if (options.json != "-") {
    print(checker, options.verbose);
    const auto failed = std::count_if(checker.checks().begin(), checker.checks().end(),
                                      [](const Check& check) { return !check.passed(); });
    fmt::print("{}: {} checks, {} failed, {:.1f} s; seed {}\n", (*device)->name(),
               checker.checks().size(), failed, took.count(), options.seed);
  }
  if (!options.json.empty() && !write_json(options, **device, checker)) {
    return 2;
  }
  return std::all_of(checker.checks().begin(), checker.checks().end(),
                     [](const Check& check) { return check.passed(); })
             ? 0
             : 1;
}

int main_of(int count, char** arguments) {
  Options options;
  CLI::App app{"Holds the arithmetic of a GPU against float64."};
  app.set_version_flag("--version", std::string(kVersion));
  app.add_option("--ops", options.ops,
                 "whose arithmetic: cuda (the first GPU), host (float32, BLAS), emulated (the "
                 "GPU's kernels, run on the host)")
      ->check(CLI::IsMember({"cuda", "host", "emulated"}))
      ->capture_default_str();
  app.add_option("--divide", options.divide, "run on one of this many partitions of the GPU")
      ->check(CLI::Range(1, 128))
      ->capture_default_str();
  app.add_flag("--graphs", options.graphs,
               "check stages twice: op by op, and captured as graphs as `execute` issues them");
  app.add_flag("--small", options.small, "small sizes only");
  app.add_option("--seed", options.seed, "of the inputs; left out: a new one every time");
  app.add_flag("--verbose", options.verbose, "print what passed, too");
  app.add_option("--json", options.json, "write all errors to this file (- for standard output)");
  try {
    app.parse(count, arguments);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (app.count("--seed") == 0) {
    options.seed = std::random_device{}();
  }
  return run(options);
}

}  // namespace
}  // namespace stagecraft::selftest

int main(int count, char** arguments) {
  return stagecraft::selftest::main_of(count, arguments);
}
