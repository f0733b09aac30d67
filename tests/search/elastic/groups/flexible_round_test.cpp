// FlexSP's problem of one round against all solutions of small cases, and against a bound.
#include "search/elastic/groups/flexible_round.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

#include <doctest/doctest.h>

#include "group_batches.hpp"
#include "search/elastic/groups/partitions.hpp"

using namespace stagecraft;
using namespace stagecraft::elastic;
using namespace stagecraft::elastic::group_tests;
using rounds::FlexibleRound;
using rounds::GroupModel;

namespace {

constexpr double kNone = std::numeric_limits<double>::infinity();

// Any machine: larger groups are faster for one sequence but waste time, sometimes a lot.
std::vector<GroupModel> random_models(Random& random, std::int32_t gpus, data::Tokens per_gpu) {
  std::vector<GroupModel> models;
  for (std::int32_t degree = 1; degree <= gpus; degree *= 2) {
    GroupModel model;
    model.layout = rounds::ulysses_layout(degree, gpus);
    const double waste = 1.0 + static_cast<double>(random.uniform(0, 100)) / 100.0;
    model.fixed = static_cast<double>(random.uniform(0, 2000));
    model.per_token = 10.0 * waste / degree;
    model.per_square = 0.01 / degree;
    model.capacity = per_gpu * degree;
    models.push_back(model);
  }
  return models;
}

std::vector<data::Tokens> random_lengths(Random& random, std::int64_t count, data::Tokens most) {
  std::vector<data::Tokens> lengths;
  for (std::int64_t i = 0; i < count; ++i) {
    lengths.push_back(random.uniform(1, most));
  }
  std::ranges::sort(lengths, std::ranges::greater{});
  return lengths;
}

// Every partition, every assignment.
double exact(std::span<const GroupModel> models, std::span<const data::Tokens> lengths,
             std::int32_t gpus) {
  std::vector<std::int32_t> degrees;
  for (const GroupModel& model : models) {
    degrees.push_back(model.gpus());
  }
  double best = kNone;
  for (const rounds::Partition& partition : rounds::all_partitions(degrees, gpus)) {
    std::vector<std::size_t> group;
    for (std::size_t k = 0; k < partition.size(); ++k) {
      group.insert(group.end(), static_cast<std::size_t>(partition[k]), k);
    }
    std::vector<double> load(group.size(), 0.0);
    std::vector<data::Tokens> tokens(group.size(), 0);
    const auto place = [&](const auto& self, std::size_t i, double slowest) -> void {
      if (slowest >= best) {
        return;
      }
      if (i == lengths.size()) {
        best = slowest;
        return;
      }
      for (std::size_t g = 0; g < group.size(); ++g) {
        const GroupModel& model = models[group[g]];
        if (tokens[g] + lengths[i] > model.capacity) {
          continue;
        }
        const double before = load[g];
        load[g] += model.time(lengths[i]) + (tokens[g] == 0 ? model.fixed : 0.0);
        tokens[g] += lengths[i];
        self(self, i + 1, std::max(slowest, load[g]));
        tokens[g] -= lengths[i];
        load[g] = before;
      }
    };
    place(place, 0, 0.0);
  }
  return best;
}

// GPUs add up, each sequence once, memory and times as the models say.
void check_round(std::span<const GroupModel> models, std::span<const data::Tokens> lengths,
                 std::int32_t gpus, const FlexibleRound& round) {
  std::vector<int> seen(lengths.size(), 0);
  std::int32_t used = 0;
  double slowest = 0.0;
  for (const rounds::FlexibleGroup& group : round.groups) {
    const GroupModel& model = models[group.model];
    used += model.gpus();
    double load = group.sequences.empty() ? 0.0 : model.fixed;
    data::Tokens tokens = 0;
    for (const std::int32_t i : group.sequences) {
      ++seen[static_cast<std::size_t>(i)];
      load += model.time(lengths[static_cast<std::size_t>(i)]);
      tokens += lengths[static_cast<std::size_t>(i)];
    }
    CHECK(tokens <= model.capacity);
    slowest = std::max(slowest, load);
  }
  CHECK(used == gpus);
  CHECK(std::ranges::all_of(seen, [](int n) { return n == 1; }));
  CHECK(round.time == doctest::Approx(slowest).epsilon(1e-9));
  CHECK(round.bound <= round.time * (1 + 1e-9));
}

}  // namespace

TEST_SUITE_BEGIN("search");

TEST_CASE("groups: a flexible round comes near the best of all solutions of small cases") {
  Random random(11);
  int same = 0;
  int cases = 0;
  double worst = 1.0;
  for (int trial = 0; trial < 120; ++trial) {
    const std::int32_t gpus = 1 << random.uniform(0, 3);
    const auto models = random_models(random, gpus, 2000);
    const auto lengths = random_lengths(random, random.uniform(1, gpus == 8 ? 5 : 6), 700 * gpus);
    const double best = exact(models, lengths, gpus);
    const auto round = rounds::flexible_round(models, lengths, gpus);
    CHECK(rounds::flexible_fits(models, lengths, gpus) == round.has_value());
    if (best == kNone) {
      CHECK_FALSE(round);
      continue;
    }
    REQUIRE(round);  // memory is not tight here
    check_round(models, lengths, gpus, *round);
    CHECK(round->bound <= best * (1 + 1e-9));
    CHECK(round->time >= best * (1 - 1e-9));
    ++cases;
    same += round->time <= best * (1 + 1e-6) ? 1 : 0;
    worst = std::max(worst, round->time / best);
  }
  MESSAGE("the best in ", same, " of ", cases, " cases, at worst ", worst, " of it");
  CHECK(cases > 100);
  CHECK(same * 10 >= cases * 9);
  CHECK(worst < 1.15);
}

TEST_CASE("groups: where all groups cost the same, a flexible round is a bin packing by time") {
  // 4 GPUs, no gain from larger groups and none allowed by memory: {5, 4, 3, 3, 3} on 2 + 2 GPUs
  // alone would be 9 and 9; on four single ones 6.
  std::vector<GroupModel> models(1);
  models[0].layout = rounds::ulysses_layout(1, 4);
  models[0].per_token = 1.0;
  models[0].capacity = 100;
  const std::vector<data::Tokens> lengths = {5, 4, 3, 3, 3};
  const auto round = rounds::flexible_round(models, lengths, 4);
  REQUIRE(round);
  CHECK(round->time == 6.0);
  CHECK(round->bound == doctest::Approx(5.0).epsilon(1e-6));  // the longest; 18 / 4 is less
}

TEST_CASE("groups: memory decides the size of a group") {
  Random random(12);
  auto models = random_models(random, 8, 100);
  const std::vector<data::Tokens> lengths = {350, 90, 80, 70, 60};  // 4 GPUs, 4 single ones
  const auto round = rounds::flexible_round(models, lengths, 8);
  REQUIRE(round);
  check_round(models, lengths, 8, *round);
  const auto group = std::ranges::find_if(round->groups, [](const rounds::FlexibleGroup& g) {
    return std::ranges::find(g.sequences, 0) != g.sequences.end();
  });
  CHECK(models[group->model].gpus() >= 4);
  CHECK_FALSE(rounds::flexible_round(models, std::vector<data::Tokens>{801}, 8));
  CHECK_FALSE(rounds::flexible_round(models, std::vector<data::Tokens>{800, 1}, 8));
  CHECK(rounds::flexible_round(models, std::vector<data::Tokens>{800}, 8));
}

TEST_CASE("groups: how far flexible rounds are from the bound on real sizes") {
  for (const std::string_view name : {"llama-7b", "llama-30b"}) {
    const SequenceProfile profile = a800(name);
    for (const std::int32_t gpus : {32, 64, 256}) {
      const Bytes room = rounds::activation_room(
          profile, model_state_bytes(profile, rounds::ulysses_layout(1, gpus), 0));
      std::vector<GroupModel> models;
      for (const std::int32_t degree : rounds::group_degrees(profile, gpus)) {
        models.push_back(rounds::group_model(profile, rounds::ulysses_layout(degree, gpus),
                                             profile.layers, room, 1 << 24));
      }
      const auto batch = log_normal_batch(930, 1.52, 49'152, 4 * gpus, 3);
      std::vector<data::Tokens> lengths;
      for (const data::Sequence& sequence : batch.sequences) {
        lengths.push_back(sequence.tokens);
      }
      std::ranges::sort(lengths, std::ranges::greater{});
      const auto round = rounds::flexible_round(models, lengths, gpus);
      REQUIRE(round);
      check_round(models, lengths, gpus, *round);
      const auto again = rounds::flexible_round(models, lengths, gpus);
      CHECK(again->time == round->time);
      MESSAGE(name, " on ", gpus, " GPUs: ", round->time / round->bound, " of the bound, ",
              round->partitions, " partitions");
      CHECK(round->time < 1.25 * round->bound);
    }
  }
}

TEST_SUITE_END();
