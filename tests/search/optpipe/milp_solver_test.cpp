#include <sys/stat.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <string>

#include <doctest/doctest.h>

#include "search/optpipe/child_process.hpp"
#include "search/optpipe/milp.hpp"
#include "stagecraft/core/file.hpp"

namespace stagecraft::search {
namespace {

/// Minimize x + 2 b, x >= 3 - 4 b, x <= 10.
MilpModel small_model() {
  MilpModel model;
  const std::size_t x = model.add({"x", 0.0, 10.0, false});
  const std::size_t b = model.add({"b", 0.0, 1.0, true});
  const std::size_t y = model.add({"y", -kInfinite, kInfinite, false});
  model.objective = {{x, 1.0}, {b, 2.0}};
  model.add_at_least("first", {{x, 1.0}, {b, 4.0}}, 3.0);
  model.add_at_most("second", {{y, -1.5}, {x, 1.0}}, 7.0);
  return model;
}

/// A program in place of cbc: a shell script with this body. $6 or $4 names the solution file.
class FakeProgram {
 public:
  explicit FakeProgram(const std::string& body) {
    path_ = (folder_.path() / "fake").string();
    REQUIRE(write_file(path_, "#!/bin/sh\nfor last; do :; done\n" + body).ok());
    REQUIRE(chmod(path_.c_str(), 0700) == 0);
  }
  [[nodiscard]] MilpAnswer solve(double seconds = 5.0) const {
    return make_cbc_solver(path_)->solve(small_model(), {}, {seconds, {}});
  }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  TemporaryFolder folder_;
  std::string path_;
};

TEST_SUITE("search") {
  TEST_CASE("a MILP is written in LP format") {
    CHECK(to_lp(small_model()) ==
          "Minimize\n obj: + 1 x + 2 b\nSubject To\n first: + 1 x + 4 b >= 3\n"
          " second: - 1.5 y + 1 x <= 7\nBounds\n 0 <= x <= 10\n y free\nBinaries\n b\nEnd\n");
  }

  TEST_CASE("value and violation of a point") {
    const MilpModel model = small_model();
    CHECK(model.value({1.0, 1.0, 0.0}) == 3.0);
    CHECK(model.violation({0.0, 1.0, 0.0}) == 0.0);
    CHECK(model.violation({1.0, 0.0, 0.0}) == 2.0);
    CHECK(model.violation({3.0, 0.25, 0.0}) == 0.25);
  }

  TEST_CASE("cbc solves a MILP, cold and from a start") {
    const auto solver = make_milp_solver("cbc");
    if (!solver) {
      CHECK(solver.failures().front().hint.find("solver: stagecraft") != std::string::npos);
      return;
    }
    for (const std::vector<double>& start :
         {std::vector<double>{}, std::vector<double>{3.0, 0.0, 0.0}}) {
      const MilpAnswer answer = (*solver)->solve(small_model(), start, {10.0, {}});
      CHECK(answer.status == MilpStatus::kOptimal);
      CHECK(answer.value == doctest::Approx(2.0));
      CHECK(answer.bound == doctest::Approx(2.0));
      CHECK(answer.values.at(1) == doctest::Approx(1.0));
    }
    MilpModel impossible = small_model();
    impossible.add_at_least("more", {{0, 1.0}, {1, 1.0}}, 20.0);
    CHECK((*solver)->solve(impossible, {}, {10.0, {}}).status == MilpStatus::kInfeasible);
  }

  TEST_CASE("an unknown or missing solver is bad input") {
    CHECK_FALSE(make_milp_solver("gurobi").ok());
    CHECK_FALSE(program_exists("no-such-program-of-stagecraft"));
    CHECK_FALSE(program_exists("/no/such/program"));
    const MilpAnswer answer =
        make_cbc_solver("/no/such/program")->solve(small_model(), {}, {1.0, {}});
    CHECK(answer.status == MilpStatus::kFailed);
  }

  TEST_CASE("what a solver's program says in its solution file counts, not its exit status") {
    CHECK(FakeProgram("echo 'Stopped on time - objective value 3' > \"$last\"\n"
                      "echo '  0 x 3 0' >> \"$last\"\nexit 1\n")
              .solve()
              .status == MilpStatus::kFeasible);
    CHECK(FakeProgram("echo 'Stopped on time (no integer solution - continuous used) - objective "
                      "value 1' > \"$last\"\n")
              .solve()
              .status == MilpStatus::kStopped);
    CHECK(FakeProgram("echo 'Infeasible - objective value 2' > \"$last\"\n").solve().status ==
          MilpStatus::kInfeasible);
    // A lower bound stands in what it prints.
    const MilpAnswer bounded = FakeProgram(
                                   "echo 'Lower bound:   1.5'\n"
                                   "echo 'Stopped on time - objective value 3' > \"$last\"\n"
                                   "echo '** 0 x 3 0' >> \"$last\"\n")
                                   .solve();
    CHECK(bounded.status == MilpStatus::kFeasible);
    CHECK(bounded.bound == 1.5);
  }

  TEST_CASE("garbage from a solver's program is a failure, not a solution") {
    for (const char* body :
         {"exit 3\n", "echo > \"$last\"\n", "echo 'Segmentation fault' > \"$last\"\n",
          "printf 'Optimal - objective value 0\\n 0 x 0 0\\n' > \"$last\"\n",
          "printf 'Optimal - objective value 0\\n 0 x nan 0\\n' > \"$last\"\n",
          "printf 'Optimal - objective value 2\\n 0 x 1e300 0\\n' > \"$last\"\n"}) {
      CAPTURE(body);
      const MilpAnswer answer = FakeProgram(body).solve();
      CHECK(answer.status == MilpStatus::kFailed);
      CHECK(answer.values.empty());
      CHECK_FALSE(answer.message.empty());
    }
  }

  TEST_CASE("a solver's program is killed when asked to stop, and leaves nothing behind") {
    const FakeProgram fake("dirname \"$last\" > \"$0.folder\"\nexec sleep 60\n");
    std::atomic<int> asked{0};
    const auto begin = std::chrono::steady_clock::now();
    const MilpAnswer answer =
        make_cbc_solver(fake.path())->solve(small_model(), {}, {30.0, [&asked] {
                                                                  return ++asked > 20;
                                                                }});
    CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(20));
    CHECK(answer.status == MilpStatus::kStopped);
    const Result<std::string> folder = read_file(fake.path() + ".folder");
    REQUIRE(folder.ok());
    CHECK_FALSE(std::filesystem::exists(folder->substr(0, folder->find('\n'))));
  }
}

}  // namespace
}  // namespace stagecraft::search
