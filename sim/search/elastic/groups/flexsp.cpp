// Strategy `flexsp`: Wang et al., "FlexSP: Accelerating Large Language Model Training via Flexible
// Sequence Parallelism" (ASPLOS '25, 2412.01523): every round has sequence-parallel groups of sizes
// of its own, large ones for long sequences and small ones for short.
//
// Their sequence blaster sorts the sequences and cuts them into micro-batches (here: rounds) of
// about equally many tokens, for several numbers of rounds from the fewest that memory allows on;
// every round is then planned by itself (flexible_round.hpp).
#include <algorithm>
#include <limits>
#include <numeric>

#include <fmt/core.h>

#include "choices.hpp"
#include "deepspeed.hpp"
#include "flexible_round.hpp"
#include "groups.hpp"
#include "stagecraft/core/check.hpp"

namespace stagecraft::elastic {
namespace {

using rounds::Choice;
using rounds::FlexibleGroup;
using rounds::FlexibleRound;
using rounds::GroupModel;
using rounds::Setting;

constexpr std::string_view kName = "flexsp";
constexpr std::int32_t kLevels = 4;      // numbers of recomputed layers that `best` compares
constexpr std::int32_t kCapacities = 6;  // of plans with groups of one size
constexpr std::int32_t kMostTrials = 64;

constexpr OptionSpec kOptions[] = {
    {"layers", "layers", "best", "auto | best | 0 to the layers of the model",
     "Layers recomputed; auto: the fewest with which the context fits, best: the fastest of a "
     "few."},
    {"trials", "rounds", "5", "1 to 64",
     "Numbers of rounds that are tried, from the fewest that memory allows on."},
};

// Sequences, longest first.
struct Sorted {
  std::vector<std::int32_t> sequence;  // index into the batch
  std::vector<data::Tokens> tokens;
};

Sorted sorted_batch(const data::GlobalBatch& batch) {
  Sorted sorted;
  sorted.sequence.resize(batch.sequences.size());
  std::iota(sorted.sequence.begin(), sorted.sequence.end(), 0);
  const auto tokens = [&](std::int32_t i) {
    return batch.sequences[static_cast<std::size_t>(i)].tokens;
  };
  std::ranges::stable_sort(sorted.sequence, std::ranges::greater{}, tokens);
  std::ranges::transform(sorted.sequence, std::back_inserter(sorted.tokens), tokens);
  return sorted;
}

// Ends of at most `count` consecutive parts of which the largest has as few tokens as can be.
std::vector<std::size_t> cut_evenly(const std::vector<data::Tokens>& tokens, std::int64_t count) {
  const auto cut = [&](data::Tokens most) {
    std::vector<std::size_t> ends;
    data::Tokens sum = 0;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      if (sum + tokens[i] > most) {
        ends.push_back(i);
        sum = 0;
      }
      sum += tokens[i];
    }
    ends.push_back(tokens.size());
    return ends;
  };
  data::Tokens low = tokens.front();  // the longest
  data::Tokens high = std::accumulate(tokens.begin(), tokens.end(), data::Tokens{0});
  while (low < high) {
    const data::Tokens middle = low + (high - low) / 2;
    if (std::ssize(cut(middle)) <= count) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return cut(high);
}

std::string groups_text(const std::vector<GroupModel>& models, const FlexibleRound& round) {
  std::string text;
  for (std::size_t g = 0; g < round.groups.size();) {
    const std::size_t model = round.groups[g].model;
    std::size_t count = 0;
    for (; g < round.groups.size() && round.groups[g].model == model; ++g) {
      ++count;
    }
    text += fmt::format("{}{}", text.empty() ? "" : "+", models[model].gpus());
    text += count > 1 ? fmt::format("x{}", count) : "";
  }
  return text;
}

// "2 of 16x2 | 8x4 | ...": what follows in a row is counted, what is too long cut.
std::string rounds_text(const std::vector<std::string>& texts) {
  constexpr int kShown = 6;
  std::string text;
  int shown = 0;
  for (std::size_t r = 0; r < texts.size(); ++shown) {
    if (shown == kShown) {
      return text + " | ...";
    }
    std::size_t count = 0;
    const std::string& groups = texts[r];
    for (; r < texts.size() && texts[r] == groups; ++r) {
      ++count;
    }
    text += text.empty() ? "" : " | ";
    text += count > 1 ? fmt::format("{} of {}", count, groups) : groups;
  }
  return text;
}

void append_round(const StrategyInput& input, const std::vector<GroupModel>& models,
                  const FlexibleRound& solved, const std::vector<std::int32_t>& sequences,
                  IterationPlan& plan) {
  GroupRound round;
  for (const FlexibleGroup& group : solved.groups) {
    const GroupModel& model = models[group.model];
    round.gpus.push_back(model.gpus());
    if (group.sequences.empty()) {
      round.microbatch.push_back(-1);
      round.cost.emplace_back();
      continue;
    }
    data::Slice slice;
    for (const std::int32_t i : group.sequences) {
      const std::int32_t sequence = sequences[static_cast<std::size_t>(i)];
      const data::Tokens tokens = input.batch.sequences[static_cast<std::size_t>(sequence)].tokens;
      slice.pieces.push_back({sequence, 0, tokens, tokens});
    }
    round.microbatch.push_back(static_cast<std::int32_t>(plan.formation.microbatches.size()));
    round.cost.push_back(rounds::group_cost(input.profile, model.layout, slice));
    plan.formation.microbatches.push_back({{std::move(slice)}});
    plan.layout = model.gpus() > plan.layout.sequence ? model.layout : plan.layout;
  }
  plan.rounds.push_back(std::move(round));
}

// What is to be planned for one number of recomputed layers.
struct Level {
  std::int32_t layers = 0;
  std::vector<GroupModel> models;
  std::optional<IterationPlan> best;
};

// One number of rounds.
struct Counted {
  bool fits = false;
  std::optional<IterationPlan> plan;  // nothing too if it cannot take less than the limit
};

class CountPlanner {
 public:
  // Planning ends early where the bounds of what is left say that more than `limit` will be taken.
  // They count communication in full, so that they are none where some of it hides.
  CountPlanner(const StrategyInput& input, const Setting& setting, const Level& level,
               const Sorted& sorted, Time limit)
      : input_(input),
        setting_(setting),
        level_(level),
        sorted_(sorted),
        most_(hides(input.profile) ? std::numeric_limits<double>::infinity()
                                   : static_cast<double>(limit) * kRounding) {}

  [[nodiscard]] Counted plan(std::int64_t count) const {
    const std::vector<std::size_t> ends = cut_evenly(sorted_.tokens, count);
    std::vector<double> bounds;
    double total = 0.0;
    std::size_t begin = 0;
    for (const std::size_t end : ends) {
      bounds.push_back(rounds::flexible_bound(level_.models, lengths(begin, end), setting_.gpus));
      total += bounds.back();
      begin = end;
    }
    IterationPlan plan;
    plan.strategy = kName;
    plan.formation.method = kName;
    plan.layout = rounds::ulysses_layout(1, setting_.gpus);
    plan.round_terms.states = setting_.states;
    plan.layers_recomputed = level_.layers;
    std::vector<std::string> texts;
    begin = 0;
    for (std::size_t r = 0; r < ends.size(); ++r) {
      const auto part = lengths(begin, ends[r]);
      if (total > most_) {
        if (!rounds::flexible_fits(level_.models, part, setting_.gpus)) {
          return {};
        }
        begin = ends[r];
        continue;
      }
      const auto round = rounds::flexible_round(level_.models, part, setting_.gpus);
      if (!round) {
        return {};
      }
      const auto first = sorted_.sequence.begin() + static_cast<std::ptrdiff_t>(begin);
      append_round(input_, level_.models, *round,
                   std::vector<std::int32_t>(first, first + std::ssize(part)), plan);
      texts.push_back(groups_text(level_.models, *round));
      total += round->time - bounds[r];
      begin = ends[r];
    }
    if (total > most_) {
      return {true, std::nullopt};
    }
    plan.predicted = rounds::rounds_time(plan.rounds, plan.round_terms, level_.layers);
    plan.candidates = 1;
    plan.note = fmt::format("{} rounds of groups {}, {} layers recomputed", plan.rounds.size(),
                            rounds_text(texts), level_.layers);
    return {true, std::move(plan)};
  }

 private:
  // Between times of models and of units, which are rounded to ns.
  static constexpr double kRounding = 1.0 + 1e-5;

  [[nodiscard]] static bool hides(const SequenceProfile& profile) {
    return profile.overlap.parameters > 0.0 || profile.overlap.exchange > 0.0;
  }

  [[nodiscard]] std::span<const data::Tokens> lengths(std::size_t begin, std::size_t end) const {
    return std::span(sorted_.tokens).subspan(begin, end - begin);
  }

  const StrategyInput& input_;
  const Setting& setting_;
  const Level& level_;
  const Sorted& sorted_;
  double most_;
};

// Groups of one size are among the choices, so that the result is never worse than deepspeed's.
Result<Level> start_level(const StrategyInput& input, const Setting& setting, std::int32_t layers) {
  Level level;
  level.layers = layers;
  for (const std::int32_t degree : setting.degrees) {
    level.models.push_back(setting.model(input.profile, degree, layers));
  }
  const GroupModel& widest = level.models.back();
  if (widest.capacity < setting.context) {
    return rounds::misfit(input.profile, widest.layout, layers, setting.context, setting.states,
                          setting.layouts());
  }
  for (const GroupModel& model : level.models) {
    if (model.capacity >= setting.context) {
      Result<IterationPlan> plan =
          rounds::best_uniform(input, setting, kName, model.gpus(), layers, kCapacities);
      if (!plan) {
        return plan.failures();
      }
      rounds::keep_better(level.best, std::move(plan).value());
    }
  }
  return level;
}

// Rounds of groups of different sizes; `limit` is the least time known.
Diagnostics try_counts(const StrategyInput& input, const Setting& setting, std::int32_t trials,
                       const Sorted& sorted, Level& level, Time& limit) {
  data::Tokens most = 0;  // tokens of a round
  for (const GroupModel& model : level.models) {
    most = std::max(most, model.capacity * (setting.gpus / model.gpus()));
  }
  const std::int64_t last = std::ssize(sorted.tokens);
  std::int64_t count = std::clamp((input.batch.tokens() + most - 1) / most, std::int64_t{1}, last);
  for (std::int32_t found = 0; found < trials && count <= last;) {
    Counted counted = CountPlanner(input, setting, level, sorted, limit).plan(count);
    count += counted.fits ? 1 : std::max<std::int64_t>(1, count / 8);
    found += counted.fits ? 1 : 0;
    if (counted.plan) {
      if (Diagnostics problems = rounds::check_range(counted.plan->predicted); !problems.empty()) {
        return problems;
      }
      limit = std::min(limit, counted.plan->predicted);
      rounds::keep_better(level.best, *std::move(counted.plan));
    } else if (counted.fits && level.best) {
      ++level.best->candidates;  // compared by its bound
    }
  }
  return {};
}

// The best of all levels; of equals that of the fewest layers. Levels that look best come first, so
// that bounds rule out more of the others.
Result<IterationPlan> plan_levels(const StrategyInput& input, const Setting& setting,
                                  const std::vector<std::int32_t>& layers, std::int32_t trials) {
  std::vector<Level> levels;
  for (const std::int32_t some : layers) {
    Result<Level> level = start_level(input, setting, some);
    if (!level) {
      return level.failures();
    }
    levels.push_back(std::move(level).value());
  }
  const auto predicted = [](const Level* level) {
    return level->best ? level->best->predicted : kLargestQuantity;
  };
  std::vector<Level*> order;
  order.reserve(levels.size());
  for (Level& level : levels) {
    order.push_back(&level);
  }
  std::ranges::stable_sort(order, {}, predicted);
  Time limit = predicted(order.front());
  const Sorted sorted = sorted_batch(input.batch);
  for (Level* level : order) {
    if (Diagnostics problems = try_counts(input, setting, trials, sorted, *level, limit);
        !problems.empty()) {
      return problems;
    }
  }
  std::optional<IterationPlan> best;
  for (Level& level : levels) {
    if (level.best) {
      rounds::keep_better(best, *std::move(level.best));
    }
  }
  STAGECRAFT_CHECK(best.has_value(), "groups of one size are a plan");
  return *std::move(best);  // NOLINT(bugprone-unchecked-optional-access): checked above
}

Result<IterationPlan> plan_flexsp(const StrategyInput& input) {
  if (Diagnostics problems = rounds::check_input(input); !problems.empty()) {
    return problems;
  }
  const Setting setting = rounds::zero_setting(input);
  const Result<Choice> layers =
      rounds::read_choice(input.options, kName, kOptions[0], 0, input.profile.layers);
  const Result<Choice> trials =
      rounds::read_choice(input.options, kName, kOptions[1], 1, kMostTrials);
  if (!layers || !trials) {
    Diagnostics failures = layers ? Diagnostics{} : layers.failures();
    if (!trials) {
      failures.insert(failures.end(), trials.failures().begin(), trials.failures().end());
    }
    return failures;
  }
  const SequenceLayout widest = rounds::ulysses_layout(setting.degrees.back(), setting.gpus);
  const std::optional<std::int32_t> fewest =
      rounds::fewest_layers(input.profile, widest, setting.context, setting.room);
  if (!fewest) {
    return rounds::misfit(input.profile, widest,
                          layers->given() ? layers->value : input.profile.layers, setting.context,
                          setting.states, setting.layouts());
  }
  const std::vector<std::int32_t> levels =
      layers->best()    ? rounds::layer_levels(*fewest, input.profile.layers, kLevels)
      : layers->given() ? std::vector{layers->value}
                        : std::vector{*fewest};
  return plan_levels(input, setting, levels, trials->value);
}

}  // namespace

const StrategyInfo& flexsp_info() {
  static constexpr StrategyInfo kInfo{
      .name = kName,
      .summary =
          "ZeRO-3 and Ulysses with sequence-parallel groups of different sizes in every "
          "round",
      .source = "Wang et al., ASPLOS '25 (2412.01523); as a baseline in InfiniPipe (2509.21275)",
      .assumptions =
          "their MILP per round is replaced by all ways to cut the GPUs into groups, "
          "bisection and local search; rounds of groups of one size are among the "
          "choices; recomputed layers are the best of a sweep (InfiniPipe's authors: 36 for "
          "30B, otherwise none)",
      .options = kOptions,
      .pipelined = false,
      .plan = plan_flexsp,
  };
  return kInfo;
}

}  // namespace stagecraft::elastic
