// Method `stagecraft`: rounds of jobs over a pool of plans. The first round is quick: registered
// schedules and list schedules of levelled cuts. From then on some jobs explore plans from new
// starts, some go on from the best ones, and some search the order of the best; every round spends
// more than the one before.
#include <algorithm>
#include <array>
#include <utility>

#include <nlohmann/json.hpp>

#include "search/all.hpp"
#include "search/stagecraft/jobs.hpp"
#include "stagecraft/core/hash.hpp"

namespace stagecraft::search {
namespace {

constexpr std::string_view kVersion = "stagecraft 1";

constexpr std::int64_t kFewUnits = 256;  // micro-batches x devices

constexpr OptionSpec kOptions[] = {
    {"jobs", "jobs", "4", "1 to 1024",
     "Jobs of a round that search; the same for every run that "
     "is to be compared."},
    {"placements", "ops", "2000000", "1000 to 1000000000",
     "Ops that the list schedulers of a job place in the first searching round; later rounds place "
     "up to 8 times as many."},
    {"tuner", "", "true", "true | false",
     "Run the tuner of AdaPtis once, so that the search never ends above it."},
    {"levels", "", "12", "2 to 256", "Memory limits that a search for the Pareto front visits."},
};

std::uint64_t mix(std::uint64_t seed, std::uint64_t round, std::uint64_t job) {
  Random random(seed * 0x9E3779B97F4A7C15U + round * 1'000'003 + job);
  return random.next();
}

class StagecraftMethod final : public Method {
 public:
  StagecraftMethod(const Problem& problem, const MethodOptions& options, std::int64_t width,
                   std::int64_t levels, std::int64_t placements, bool tuner)
      : problem_(problem),
        options_(options),
        space_(problem),
        setting_{problem, space_, options.objective},
        starts_(space_.starts()),
        width_(static_cast<std::size_t>(width)),
        placements_(static_cast<std::uint64_t>(placements)),
        tuner_(tuner),
        levels_(options.pareto ? static_cast<std::size_t>(levels) : 0),
        pool_(options.objective, levels_) {
    for (const std::string& name : problem.schedules) {
      const GeneratorInfo* info = find_generator(name);
      // The V-shaped family searches its building blocks: seconds on large instances.
      const bool slow = info != nullptr && info->placement == PlacementKind::kVee;
      (slow ? slow_ : quick_).push_back(name);
    }
    // Where they are quick after all, the first searching round makes all of them.
    const std::int64_t units = std::int64_t{problem.devices} * problem.microbatches;
    slow_share_ = units <= kFewUnits ? std::max<std::size_t>(slow_.size(), 1) : 1;
    least_memory_ = least_memory();
  }

  [[nodiscard]] std::string_view name() const override { return "stagecraft"; }

  [[nodiscard]] std::size_t jobs() const override {
    if (round_ == 0) {
      return 2;
    }
    if (solved_ || (!problem_.schedule_open && !problem_.partition_open && !slow_left())) {
      return 0;
    }
    return width_ + (slow_left() ? 1 : 0) + (tuner_turn() ? 1 : 0);
  }

  [[nodiscard]] JobResult run(std::size_t job, JobContext& context) const override {
    JobResult result;
    if (round_ == 0) {
      result.state =
          to_json(job == 0 ? quick_lists(context) : registered(setting_, quick_, context));
      return result;
    }
    if (tuner_turn() && job + 1 == jobs()) {
      result.state = to_json(tuned(setting_, context));
      return result;
    }
    if (job == width_) {
      const std::size_t first = static_cast<std::size_t>(round_ - 1) * slow_share_;
      const std::size_t count = std::min(slow_share_, slow_.size() - first);
      result.state = to_json(registered(setting_, std::span(slow_).subspan(first, count), context));
      return result;
    }
    if (exact_turn(job)) {
      return exactly(setting_, *pool_.within(0, 0), exact_conflicts(), context);
    }
    result.state = to_json(search(job, context));
    return result;
  }

  void end_round(std::span<const JobResult> results) override {
    std::vector<StagePlan> polished;
    for (std::size_t job = 0; round_ > 0 && job < std::min(width_, results.size()); ++job) {
      if (const Elite* start = order_start(job)) {
        polished.push_back(start->stages());
      }
    }
    for (const StagePlan& stages : polished) {
      pool_.polished(stages);
    }
    for (const JobResult& result : results) {
      if (!result.state.empty()) {
        Result<std::vector<Elite>> elites = elites_from_json(result.state);
        STAGECRAFT_CHECK(elites.ok(), "a job's state does not read back");
        for (Elite& elite : *elites) {
          pool_.add(std::move(elite));
        }
      }
      if (result.bound_holds_for_space && !pool_.empty() && result.bound > 0 &&
          pool_.elites()[0].scored.figures.value(options_.objective) <= result.bound &&
          !options_.pareto) {
        solved_ = true;
      }
    }
    ++round_;
  }

  [[nodiscard]] std::string save() const override {
    const nlohmann::ordered_json json = {{"version", kVersion},
                                         {"problem", identity()},
                                         {"round", round_},
                                         {"solved", solved_},
                                         {"pool", to_json(pool_.elites())}};
    return json.dump();
  }

  [[nodiscard]] Diagnostics restore(std::string_view state) override {
    try {
      const nlohmann::json json = nlohmann::json::parse(state);
      if (json.at("version").get<std::string>() != kVersion ||
          json.at("problem").get<std::string>() != identity()) {
        return {bad_input("the state belongs to another problem, method or version",
                          "resume with the scenario and options that wrote it")};
      }
      Result<std::vector<Elite>> elites =
          elites_from_json(json.at("pool").get_ref<const std::string&>());
      if (!elites) {
        return elites.failures();
      }
      Pool pool(options_.objective, levels_);
      for (Elite& elite : *elites) {
        pool.add(std::move(elite));
      }
      pool_ = std::move(pool);
      json.at("round").get_to(round_);
      json.at("solved").get_to(solved_);
    } catch (const nlohmann::json::exception& error) {
      return {
          bad_input(std::string("the state of method stagecraft does not read: ") + error.what())};
    }
    return {};
  }

 private:
  enum class Role : std::uint8_t { kExplore, kGoOn, kOrder, kCopies, kRecut };

  [[nodiscard]] bool slow_left() const {
    return round_ >= 1 && static_cast<std::size_t>(round_ - 1) * slow_share_ < slow_.size();
  }

  // Once, after the first plans: the published tuner, which takes up to some seconds.
  [[nodiscard]] bool tuner_turn() const {
    return tuner_ && round_ == 1 && problem_.schedule_open && problem_.partition_open &&
           problem_.placement_open && problem_.uniform;
  }

  [[nodiscard]] std::vector<Elite> quick_lists(JobContext& context) const {
    if (!problem_.schedule_open) {
      return {};
    }
    JobBudget budget;
    budget.seed = mix(options_.seed, 0, 0);
    budget.placements = 1'500'000;
    return first_lists(setting_, starts_, budget, context);
  }

  [[nodiscard]] JobBudget budget(std::size_t job) const {
    JobBudget budget;
    budget.seed = mix(options_.seed, static_cast<std::uint64_t>(round_), job);
    const auto growth = static_cast<std::uint64_t>(std::min(round_, 8));
    budget.placements = placements_ * growth;
    budget.evaluations = placements_ * 3 / 200 * growth;
    budget.cap = cap(job);
    return budget;
  }

  [[nodiscard]] Role role(std::size_t job) const {
    if (!problem_.schedule_open) {
      return Role::kRecut;
    }
    const auto turn = static_cast<std::size_t>(round_) * width_ + job;
    const bool copies = problem_.offload_open && (job + 2) % 4 == 0;
    if (copies) {
      return Role::kCopies;
    }
    if (space_.fixed()) {
      return job % 4 == 0 && round_ % 2 == 1 ? Role::kGoOn : Role::kOrder;
    }
    if (job % 4 == 3 || (levels_ > 0 && turn % 2 == 1)) {
      return Role::kOrder;
    }
    // Mostly races at first, later mostly on from what they have found.
    const bool explore = job % 4 == 0 ? round_ < 4 || round_ % 2 == 0 : job % 4 == 2 && round_ < 3;
    return explore ? Role::kExplore : Role::kGoOn;
  }

  // The elite at which an order job begins; nullptr for the other jobs.
  [[nodiscard]] const Elite* order_start(std::size_t job) const {
    if (role(job) != Role::kOrder || pool_.empty()) {
      return nullptr;
    }
    const Bytes limit = cap(job);
    if (limit != 0) {
      return pool_.within(limit, 0);
    }
    // The best, unless it has been searched more often than its followers deserve.
    const std::span<const Elite> elites = pool_.elites();
    std::size_t best = 0;
    auto cost = [&](std::size_t k) { return static_cast<std::size_t>(elites[k].polished) + 2 * k; };
    for (std::size_t k = 1; k < elites.size(); ++k) {
      if (cost(k) < cost(best)) {
        best = k;
      }
    }
    const std::size_t shift = space_.fixed() ? job : job / 4;
    return &elites[(best + shift) % elites.size()];
  }

  [[nodiscard]] std::vector<Elite> search(std::size_t job, JobContext& context) const {
    const JobBudget given = budget(job);
    switch (role(job)) {
      case Role::kRecut: {
        const auto turn = static_cast<std::size_t>(round_ - 1) * width_ + job;
        if (problem_.schedules.empty()) {
          return {};
        }
        return recut(setting_, problem_.schedules[turn % problem_.schedules.size()], given,
                     context);
      }
      case Role::kOrder: {
        const Elite* start = order_start(job);
        return start == nullptr ? std::vector<Elite>{} : orders(setting_, *start, given, context);
      }
      case Role::kCopies: {
        const Elite* start = pool_.within(given.cap, job / 4);
        return copies(setting_, start, start == nullptr ? starts_[0] : start->stages(), given,
                      context);
      }
      case Role::kExplore:
      case Role::kGoOn:
        break;
    }
    if (role(job) == Role::kExplore && !space_.fixed()) {
      return race(setting_, given, context);
    }
    // The best or one of the others, with more or less heat.
    constexpr std::array<std::int64_t, 3> kHeats = {3'000, 10'000, 20'000};
    const bool best = job % 4 != 2;
    const Elite* elite =
        pool_.within(given.cap, best ? 0 : static_cast<std::size_t>(round_) / 2 % 8);
    return plans_and_rules(setting_, elite == nullptr ? starts_[0] : elite->stages(),
                           elite != nullptr && elite->ruled ? elite->rule : ListRule{},
                           kHeats[static_cast<std::size_t>(round_) % kHeats.size()], given,
                           context);
  }

  // Memory limits between the smallest possible and the best plan's, in turn.
  [[nodiscard]] Bytes cap(std::size_t job) const {
    if (levels_ == 0 || pool_.empty() || least_memory_ <= 0) {
      return 0;
    }
    const auto turn = (static_cast<std::size_t>(round_) * width_ + job) / 2 % (levels_ + 1);
    const Bytes most = pool_.elites()[0].scored.figures.peak_memory;
    if (turn == levels_ || most <= least_memory_) {
      return 0;
    }
    return least_memory_ +
           (most - least_memory_) / static_cast<Bytes>(levels_) * static_cast<Bytes>(turn);
  }

  // The least that a device must hold, over the starting plans: one micro-batch.
  [[nodiscard]] Bytes least_memory() const {
    Bytes least = 0;
    for (const StagePlan& start : starts_) {
      Judge judge(problem_, Objective::kMemory, 0);
      if (judge.choose(start) && judge.least_memory() > 0) {
        least = least == 0 ? judge.least_memory() : std::min(least, judge.least_memory());
      }
    }
    return least;
  }

  [[nodiscard]] bool exact_turn(std::size_t job) const {
    const bool times = options_.objective != Objective::kMemory;
    return times && !pool_.empty() && problem_.schedule_open && job == 0 && round_ % 4 == 2 &&
           (space_.fixed() || round_ > 8) &&
           pool_.elites()[0].scored.plan.schedule.ops.size() <= 3'000;
  }
  [[nodiscard]] std::uint64_t exact_conflicts() const {
    return 20'000 * static_cast<std::uint64_t>(std::min(round_, 64));
  }

  [[nodiscard]] std::string identity() const {
    Hash hash;
    for (const auto* values : {&problem_.layers.forward, &problem_.layers.backward_input,
                               &problem_.layers.backward_weight, &problem_.layers.activation}) {
      for (const std::int64_t value : *values) {
        hash.add(value);
      }
    }
    for (const std::int64_t value :
         {std::int64_t{problem_.devices}, std::int64_t{problem_.microbatches},
          std::int64_t{problem_.most_chunks}, static_cast<std::int64_t>(options_.objective),
          static_cast<std::int64_t>(options_.seed), static_cast<std::int64_t>(width_),
          static_cast<std::int64_t>(levels_), static_cast<std::int64_t>(starts_.size()),
          static_cast<std::int64_t>(placements_), static_cast<std::int64_t>(tuner_)}) {
      hash.add(value);
    }
    return hash.hex();
  }

  const Problem& problem_;
  MethodOptions options_;
  PlanSpace space_;
  JobSetting setting_;
  std::vector<StagePlan> starts_;
  std::size_t width_;
  std::uint64_t placements_;
  bool tuner_;
  std::size_t levels_;
  std::vector<std::string> quick_, slow_;
  std::size_t slow_share_ = 1;  // of slow_, in a round
  Bytes least_memory_ = 0;

  // The state between rounds.
  std::int32_t round_ = 0;
  bool solved_ = false;
  Pool pool_;
};

Result<std::int64_t> number(const MethodOptions& options, std::string_view name,
                            std::int64_t fallback, std::int64_t low, std::int64_t high) {
  const Pipeline pipeline;
  const CostTable costs;
  return integer_option({pipeline, costs, options.options}, name, fallback, low, high);
}

Result<bool> flag(const MethodOptions& options, std::string_view name, bool fallback) {
  const Pipeline pipeline;
  const CostTable costs;
  return flag_option({pipeline, costs, options.options}, name, fallback);
}

Result<std::unique_ptr<Method>> make(const Problem& problem, const MethodOptions& options) {
  const Result<std::int64_t> width = number(options, "jobs", 4, 1, 1024);
  if (!width) {
    return width.failures();
  }
  const Result<std::int64_t> levels = number(options, "levels", 12, 2, 256);
  if (!levels) {
    return levels.failures();
  }
  const Result<std::int64_t> placements =
      number(options, "placements", 2'000'000, 1'000, 1'000'000'000);
  if (!placements) {
    return placements.failures();
  }
  const Result<bool> tuner = flag(options, "tuner", true);
  if (!tuner) {
    return tuner.failures();
  }
  return std::unique_ptr<Method>(
      std::make_unique<StagecraftMethod>(problem, options, *width, *levels, *placements, *tuner));
}

}  // namespace

MethodInfo stagecraft_method() {
  return {"stagecraft", "joint search over partition, placement, order, recomputation and offload",
          "Stagecraft: list schedulers, plan moves, order search and SAT in turn", kOptions, make};
}

}  // namespace stagecraft::search
