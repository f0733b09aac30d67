#include "stagecraft/search/driver.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <numeric>
#include <thread>

#include "stagecraft/core/file.hpp"
#include "stagecraft/core/random.hpp"

namespace stagecraft::search {
namespace {

// Random cuts of the layers, greedily ordered: each job tries one, the state is the round.
class RandomCuts final : public Method {
 public:
  RandomCuts(const Problem& problem, const MethodOptions& options)
      : problem_(problem), seed_(options.seed) {}
  [[nodiscard]] std::string_view name() const override { return "random-cuts"; }
  [[nodiscard]] std::size_t jobs() const override { return round_ < 6 ? 5 : 0; }

  [[nodiscard]] JobResult run(std::size_t job, JobContext& context) const override {
    JobResult result;
    Random random(seed_ * 1000 + round_ * 10 + job + bias_);
    std::vector<std::int32_t> cut(static_cast<std::size_t>(problem_.devices), 1);
    for (std::int32_t left = problem_.layers.count() - problem_.devices; left > 0; --left) {
      ++cut[static_cast<std::size_t>(random.uniform(0, problem_.devices - 1))];
    }
    std::vector<std::int32_t> placement(cut.size());
    std::iota(placement.begin(), placement.end(), 0);
    const Instance instance = problem_.instance(cut, placement).value();
    Result<Schedule> schedule = generate("zb-h1", {instance.pipeline, instance.costs, {}});
    context.count(1);
    result.state = std::to_string(job);
    if (schedule && !context.stopped()) {
      result.plans.push_back({{}, cut, std::move(schedule).value(), "random cut"});
    }
    return result;
  }

  void end_round(std::span<const JobResult> results) override {
    REQUIRE(results.size() == 5);
    for (std::size_t k = 0; k < results.size(); ++k) {
      CHECK(results[k].state == std::to_string(k));
      bias_ += results[k].plans.size();
    }
    ++round_;
  }
  [[nodiscard]] std::string save() const override {
    return std::to_string(round_) + " " + std::to_string(bias_);
  }
  [[nodiscard]] Diagnostics restore(std::string_view state) override {
    std::size_t used = 0;
    round_ = std::stoull(std::string(state), &used);
    bias_ = std::stoull(std::string(state.substr(used)));
    return {};
  }

 private:
  const Problem& problem_;
  std::uint64_t seed_;
  std::uint64_t round_ = 0;
  std::uint64_t bias_ = 0;
};

const MethodInfo kRandomCuts = {
    "random-cuts", "", "", {}, [](const Problem& problem, const MethodOptions& options) {
      return Result<std::unique_ptr<Method>>(std::make_unique<RandomCuts>(problem, options));
    }};

Layers some_layers() {
  Layers layers;
  layers.forward = {1, 5, 2, 7, 3, 3, 2, 9, 4, 1, 1, 6};
  layers.backward_input = {2, 6, 3, 7, 4, 3, 1, 9, 5, 2, 2, 7};
  layers.backward_weight = {1, 2, 1, 1, 2, 2, 1, 3, 1, 1, 1, 2};
  layers.activation = {3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3};
  return layers;
}

// Micro-batch counts as an outer coordinate.
class TwoPoints final : public Space {
 public:
  explicit TwoPoints(std::vector<Bytes> capacity = {}) : capacity_(std::move(capacity)) {}
  [[nodiscard]] std::span<const Coordinate> coordinates() const override { return axes_; }
  [[nodiscard]] Result<Problem> problem(const Point& point) const override {
    const auto microbatches =
        static_cast<std::int32_t>(axes_[0].values[static_cast<std::size_t>(point.at(0))]);
    return make_layer_problem(some_layers(),
                              {.devices = 3, .microbatches = microbatches, .capacity = capacity_});
  }

 private:
  std::vector<Coordinate> axes_ = {{"microbatches", {6, 4}}};
  std::vector<Bytes> capacity_;
};

SearchOptions options_of(std::uint64_t seed, std::uint64_t evaluations = 0) {
  SearchOptions options;
  options.plug_in = &kRandomCuts;
  options.seconds = 0;
  options.evaluations = evaluations;
  options.method_options.seed = seed;
  options.method_options.objective = Objective::kMakespan;
  return options;
}

SearchResult run(const SearchOptions& options, const Space& space = TwoPoints{}) {
  Transport alone;
  return run_search(space, options, alone).value();
}

void check_same(const SearchResult& a, const SearchResult& b) {
  CHECK(a.best.plan.schedule.ops == b.best.plan.schedule.ops);
  CHECK(a.best.plan.partition == b.best.plan.partition);
  CHECK(a.best.plan.point == b.best.plan.point);
  CHECK(a.lower_bound == b.lower_bound);
  CHECK(a.evaluations == b.evaluations);
  REQUIRE(a.front.size() == b.front.size());
  for (std::size_t k = 0; k < a.front.size(); ++k) {
    CHECK(a.front[k].figures.makespan == b.front[k].figures.makespan);
    CHECK(a.front[k].figures.peak_memory == b.front[k].figures.peak_memory);
    CHECK(a.front[k].plan.schedule.ops == b.front[k].plan.schedule.ops);
  }
}

std::string temporary(const char* name) {
  return (std::filesystem::temp_directory_path() / name).string();
}

// Threads that stand for processes.
class Room {
 public:
  explicit Room(std::int32_t size) : texts_(static_cast<std::size_t>(size)) {}
  std::vector<std::string> gather(std::int32_t rank, std::string text) {
    std::unique_lock lock(mutex_);
    const std::uint64_t turn = turn_;
    texts_[static_cast<std::size_t>(rank)] = std::move(text);
    if (++arrived_ == texts_.size()) {
      arrived_ = 0;
      ++turn_;
      given_ = texts_;
      all_here_.notify_all();
    } else {
      all_here_.wait(lock, [&] { return turn_ != turn; });
    }
    return given_;
  }
  [[nodiscard]] std::int32_t size() const { return static_cast<std::int32_t>(texts_.size()); }

 private:
  std::mutex mutex_;
  std::condition_variable all_here_;
  std::vector<std::string> texts_, given_;
  std::size_t arrived_ = 0;
  std::uint64_t turn_ = 0;
};

class RoomTransport final : public Transport {
 public:
  RoomTransport(Room& room, std::int32_t rank) : room_(room), rank_(rank) {}
  [[nodiscard]] std::int32_t rank() const override { return rank_; }
  [[nodiscard]] std::int32_t size() const override { return room_.size(); }
  [[nodiscard]] std::vector<std::string> all_gather(std::string text) override {
    return room_.gather(rank_, std::move(text));
  }

 private:
  Room& room_;
  std::int32_t rank_;
};

TEST_SUITE("search") {
  TEST_CASE("a search takes the same road on any number of threads and processes") {
    const SearchResult alone = run(options_of(7));
    CHECK(alone.found);
    CHECK(alone.exhausted);
    CHECK(alone.lower_bound > 0);
    CHECK(alone.lower_bound <= alone.best.figures.makespan);
    CHECK(alone.start.plan.origin == TwoPoints{}.problem({0}).value().schedules.front());
    SearchOptions threads = options_of(7);
    threads.threads = 3;
    check_same(alone, run(threads));
    for (const std::int32_t size : {2, 3}) {
      Room room(size);
      std::vector<SearchResult> results(static_cast<std::size_t>(size));
      {
        std::vector<std::jthread> ranks;
        for (std::int32_t rank = 0; rank < size; ++rank) {
          ranks.emplace_back([&, rank] {
            RoomTransport transport(room, rank);
            results[static_cast<std::size_t>(rank)] =
                run_search(TwoPoints{}, options_of(7), transport).value();
          });
        }
      }
      for (const SearchResult& result : results) {
        check_same(alone, result);
      }
    }
  }

  TEST_CASE("more budget is never worse, and progress only goes down") {
    std::int64_t last = 0;
    for (const std::uint64_t budget : {10U, 20U, 40U, 60U}) {
      const SearchResult result = run(options_of(3, budget));
      CHECK((result.exhausted || result.evaluations >= budget));
      if (last > 0) {
        CHECK(result.best.figures.makespan <= last);
      }
      last = result.best.figures.makespan;
      for (std::size_t k = 1; k < result.progress.size(); ++k) {
        CHECK(result.progress[k].value <= result.progress[k - 1].value);
        CHECK(result.progress[k].bound >= result.progress[k - 1].bound);
      }
    }
  }

  TEST_CASE("a search that was ended resumes to the same end") {
    const std::string file = temporary("stagecraft_driver_test.json");
    const SearchResult whole = run(options_of(9));
    for (const std::uint64_t budget : {10U, 30U}) {
      SearchOptions first = options_of(9, budget);
      first.checkpoint = file;
      static_cast<void>(run(first));
      SearchOptions second = options_of(9);
      second.resume = file;
      check_same(whole, run(second));
    }
    SearchOptions other = options_of(10);
    other.resume = file;
    Transport alone;
    const Result<SearchResult> refused = run_search(TwoPoints{}, other, alone);
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.failures().front().message.find("another search") != std::string::npos);
    for (const std::string& text : {std::string("{"), std::string("{}"), std::string("[1]")}) {
      REQUIRE(write_file(file, text).ok());
      CHECK_FALSE(run_search(TwoPoints{}, other, alone).ok());
    }
    std::filesystem::remove(file);
  }

  TEST_CASE("a checkpoint that is written in the middle of a round resumes to the same end") {
    const std::string file = temporary("stagecraft_driver_test_middle.json");
    const SearchResult whole = run(options_of(12));
    SearchOptions first = options_of(12);
    first.checkpoint = file;
    first.checkpoint_seconds = 0;
    std::atomic<int> asked{0};
    first.interrupted = [&] { return ++asked > 17; };
    const SearchResult cut = run(first);
    CHECK(cut.interrupted);
    CHECK(cut.evaluations < whole.evaluations);
    SearchOptions second = options_of(12);
    second.resume = file;
    check_same(whole, run(second));
    std::filesystem::remove(file);
  }

  TEST_CASE("shards search their points, and together all of them") {
    const SearchResult whole = run(options_of(4));
    std::int64_t best = kNever;
    for (const std::int32_t shard : {0, 1}) {
      SearchOptions options = options_of(4);
      options.shard = shard;
      options.shards = 2;
      const SearchResult part = run(options);
      CHECK(part.best.plan.point == Point{shard});
      best = std::min(best, part.best.figures.makespan);
    }
    CHECK(best == whole.best.figures.makespan);
    SearchOptions wrong = options_of(4);
    wrong.shard = 2;
    wrong.shards = 2;
    Transport alone;
    CHECK_FALSE(run_search(TwoPoints{}, wrong, alone).ok());
  }

  TEST_CASE("without a feasible plan the binding limit is named") {
    const SearchResult result = run(options_of(2), TwoPoints{{5, 5, 5}});
    CHECK_FALSE(result.found);
    REQUIRE_FALSE(result.problems.empty());
    CHECK(result.problems.front().kind == FailureKind::kInfeasible);
    CHECK(result.problems.front().message.find("memory binds") != std::string::npos);
    CHECK(result.front.empty());
  }

  TEST_CASE("an unknown method is refused with the names of all") {
    SearchOptions options = options_of(1);
    options.plug_in = nullptr;
    options.method = "magic";
    Transport alone;
    const Result<SearchResult> refused = run_search(TwoPoints{}, options, alone);
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.failures().front().message.find("adaptis") != std::string::npos);
  }
}

}  // namespace
}  // namespace stagecraft::search
