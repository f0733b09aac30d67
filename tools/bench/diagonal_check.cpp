// Is checkpointing along the diagonal free (2509.21275)? Counts on random pipelines:
//
//   stagecraft_diagonal_check [SEED [PIPELINES [TINY]]]
//
// "objective": sum over diagonals of the largest number of layers, one variable per diagonal
// against one per stage and unit. The rest is replayed time; "best" is the least of all plans that
// fit, by trying them all on TINY pipelines; "trimmed" leaves out what a stage recomputes without
// need. "worse" counts where the first of the two takes longer. Balanced units all take equally
// long, which is what the claim assumes.
#include <algorithm>
#include <charconv>
#include <string_view>

#include <fmt/core.h>

#include "generators/elastic/diagonal_study.hpp"

namespace {

using namespace stagecraft;

bool parse(std::string_view text, std::int64_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() && value >= 0;
}

void print(std::string_view units, std::string_view comparison, const test::Tally& tally) {
  fmt::print("{},{},{},{},{},{},{:.4f},{:.4f}\n", units, comparison, tally.instances, tally.equal,
             tally.worse, tally.better, tally.worst, tally.mean());
}

/// Layers that the engine's memory asks for against those of the paper's constraint, in which the
/// unit whose backward runs stays reduced.
void print_instant(std::uint64_t seed, std::int64_t pipelines) {
  Random random(seed);
  std::int64_t ours = 0, paper = 0;
  int overfull = 0;
  const elastic::CheckpointOptions options{.gap = 0.0, .nodes = 500};
  for (std::int64_t i = 0; i < pipelines; ++i) {
    const elastic::CheckpointProblem problem =
        test::random_problem(random, {.stages = 4, .units = 40, .most_slices = 8, .layers = 8});
    ours += checkpoint_diagonal(problem, options).value;
    const elastic::IntegerSolution reduced = test::paper_optimum(problem, options);
    paper += reduced.value;
    overfull += test::fits(problem, test::along_diagonals(problem, reduced.x)) ? 0 : 1;
  }
  fmt::print(
      "4 stages, 40 units, 8 layers: {} layers with the unit in work in full, {} without "
      "({:+.1f} %); {} of {} plans of the latter exceed memory\n",
      ours, paper, 100.0 * static_cast<double>(ours - paper) / static_cast<double>(paper), overfull,
      pipelines);
}

}  // namespace

int main(int argc, char** argv) {
  std::int64_t values[] = {1, 1000, 1000};
  for (int i = 1; i < argc; ++i) {
    if (i > 3 || !parse(argv[i], values[i - 1])) {
      fmt::print(stderr, "usage: {} [SEED [PIPELINES [TINY]]]\n", argv[0]);
      return 2;
    }
  }
  const auto seed = static_cast<std::uint64_t>(values[0]);
  fmt::print("units,comparison,instances,equal,worse,better,worst ratio,mean ratio\n");
  for (const bool balanced : {true, false}) {
    const test::DiagonalStudy study = test::study_diagonals(seed, static_cast<int>(values[1]),
                                                            static_cast<int>(values[2]), balanced);
    const std::string_view units = balanced ? "balanced" : "unbalanced";
    print(units, "objective: diagonal / full", study.objective);
    print(units, "replay: diagonal / full", study.full);
    print(units, "replay: trimmed / diagonal", study.trimmed);
    print(units, "replay: diagonal / best", study.best);
    print(units, "replay: trimmed / best", study.trimmed_best);
    fmt::print("{},not compared by objective (search stopped): {}\n", units, study.unproved);
  }
  print_instant(seed, std::min<std::int64_t>(values[1], 200));
  return 0;
}
