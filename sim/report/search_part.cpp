#include "stagecraft/report/search_part.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "report/search_json.hpp"

namespace stagecraft {
namespace {

using report::Json;
using search::Improvement;
using search::ScoredPlan;
using search::SearchResult;

constexpr int kVersion = 1;

Json plans_json(const std::vector<ScoredPlan>& plans) {
  Json list = Json::array();
  for (const ScoredPlan& plan : plans) {
    list.push_back(search::to_json(plan));
  }
  return list;
}

Json problems_json(const Diagnostics& problems) {
  Json list = Json::array();
  for (const Diagnostic& problem : problems) {
    list.push_back({{"infeasible", problem.kind == FailureKind::kInfeasible},
                    {"message", problem.message},
                    {"hint", problem.hint}});
  }
  return list;
}

/// Throws what the library throws; plans that are none too.
std::vector<ScoredPlan> read_plans(const Json& list) {
  std::vector<ScoredPlan> plans;
  for (const Json& text : list) {
    Result<ScoredPlan> plan = search::plan_from_json(text.get_ref<const std::string&>());
    if (!plan) {
      throw Json::other_error::create(500, plan.failures().front().message, nullptr);
    }
    plans.push_back(std::move(*plan));
  }
  return plans;
}

void read_result(const Json& json, SearchResult& r) {
  json.at("found").get_to(r.found);
  const std::vector<ScoredPlan> best = read_plans(json.at("best"));
  const std::vector<ScoredPlan> start = read_plans(json.at("start"));
  r.best = best.empty() ? ScoredPlan{} : best.front();
  r.start_found = !start.empty();
  r.start = start.empty() ? ScoredPlan{} : start.front();
  r.front = read_plans(json.at("front"));
  json.at("lower_bound").get_to(r.lower_bound);
  json.at("bound_reason").get_to(r.bound_reason);
  json.at("gap").get_to(r.gap);
  json.at("proved").get_to(r.proved);
  json.at("evaluated").get_to(r.evaluations);
  json.at("seconds").get_to(r.seconds);
  json.at("interrupted").get_to(r.interrupted);
  json.at("exhausted").get_to(r.exhausted);
  json.at("method").get_to(r.method);
  json.at("seed").get_to(r.seed);
  json.at("shard").get_to(r.shard);
  json.at("shards").get_to(r.shards);
  const auto objective = json.at("objective").get<std::uint8_t>();
  if (objective > static_cast<std::uint8_t>(search::Objective::kCost) || r.shards < 1 ||
      r.shard < 0 || r.shard >= r.shards || (r.found && best.empty())) {
    throw Json::other_error::create(500, "a value is out of its range", nullptr);
  }
  r.objective = static_cast<search::Objective>(objective);
  for (const Json& entry : json.at("progress")) {
    Improvement& step = r.progress.emplace_back();
    entry.at("seconds").get_to(step.seconds);
    entry.at("evaluated").get_to(step.evaluations);
    entry.at("value").get_to(step.value);
    entry.at("bound").get_to(step.bound);
    entry.at("origin").get_to(step.origin);
  }
  for (const Json& entry : json.at("problems")) {
    Diagnostic& problem = r.problems.emplace_back();
    problem.kind =
        entry.at("infeasible").get<bool>() ? FailureKind::kInfeasible : FailureKind::kBadInput;
    entry.at("message").get_to(problem.message);
    entry.at("hint").get_to(problem.hint);
  }
}

Json result_json(const SearchResult& r) {
  const std::vector<ScoredPlan> none;
  return {{"found", r.found},
          {"best", plans_json(r.found ? std::vector{r.best} : none)},
          {"start", plans_json(r.start_found ? std::vector{r.start} : none)},
          {"front", plans_json(r.front)},
          {"lower_bound", r.lower_bound},
          {"bound_reason", r.bound_reason},
          {"gap", r.gap},
          {"proved", r.proved},
          {"evaluated", r.evaluations},
          {"seconds", r.seconds},
          {"interrupted", r.interrupted},
          {"exhausted", r.exhausted},
          {"method", r.method},
          {"seed", r.seed},
          {"shard", r.shard},
          {"shards", r.shards},
          {"objective", static_cast<std::uint8_t>(r.objective)},
          {"progress", report::progress_json(r.progress)},
          {"problems", problems_json(r.problems)}};
}

Diagnostic wrong_file(const std::string& file, const std::string& why, const std::string& hint) {
  Diagnostic failure = bad_input(why, hint);
  failure.place.file = file;
  return failure;
}

/// Every shard once, all of one search; what is wrong otherwise.
Diagnostics check_parts(std::span<const SearchPart> parts) {
  Diagnostics failures;
  const SearchPart& first = parts.front();
  const auto shards = static_cast<std::size_t>(first.result.shards);
  std::vector<const SearchPart*> seen(shards, nullptr);
  for (const SearchPart& part : parts) {
    const auto shard = static_cast<std::size_t>(part.result.shard);
    if (part.identity != first.identity || part.result.shards != first.result.shards) {
      failures.push_back(wrong_file(
          part.file,
          part.identity != first.identity
              ? fmt::format("this part is of another search than {}: scenario, method, options, "
                            "objective or seed differ",
                            first.file)
              : fmt::format("this part is one of {} shards, {} is one of {}", part.result.shards,
                            first.file, first.result.shards),
          "give the parts of one search, with equal command lines but for --shard"));
    } else if (seen[shard] != nullptr) {
      failures.push_back(wrong_file(
          part.file,
          fmt::format("shard {}/{} is there twice: also in {}", shard, shards, seen[shard]->file),
          "give every part once"));
    } else {
      seen[shard] = &part;
    }
  }
  if (!failures.empty()) {
    return failures;
  }
  std::string missing;
  for (std::size_t i = 0; i < shards; ++i) {
    if (seen[i] == nullptr) {
      missing += fmt::format("{}{}/{}", missing.empty() ? "" : ", ", i, shards);
    }
  }
  if (!missing.empty()) {
    failures.push_back(
        bad_input(fmt::format("shard {} is missing among the {} parts", missing, parts.size()),
                  "run `stagecraft search` with that --shard and --part"));
  }
  return failures;
}

/// The curves of all shards as one: the best value of any, the least bound of all that have one.
std::vector<Improvement> merge_progress(const std::vector<const SearchPart*>& parts) {
  struct Event {
    std::size_t part;
    Improvement step;
  };
  std::vector<Event> events;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    for (const Improvement& step : parts[i]->result.progress) {
      events.push_back({i, step});
    }
  }
  std::stable_sort(events.begin(), events.end(),
                   [](const Event& a, const Event& b) { return a.step.seconds < b.step.seconds; });
  std::vector<Improvement> latest(parts.size());
  std::vector<Improvement> merged;
  for (const Event& event : events) {
    latest[event.part] = event.step;
    Improvement step = event.step;
    step.value = 0;
    step.bound = 0;
    step.evaluations = 0;
    bool all_bounded = true;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const Improvement& one = latest[i];
      step.evaluations += one.evaluations;
      step.value =
          one.value > 0 && (step.value == 0 || one.value < step.value) ? one.value : step.value;
      all_bounded = all_bounded && (one.bound > 0 || parts[i]->points == 0);
      step.bound =
          one.bound > 0 && (step.bound == 0 || one.bound < step.bound) ? one.bound : step.bound;
    }
    step.bound = all_bounded ? step.bound : 0;
    if (merged.empty() || merged.back().value != step.value || merged.back().bound != step.bound) {
      merged.push_back(std::move(step));
    }
  }
  return merged;
}

/// Number of a point among all, the last coordinate fastest.
std::int64_t number_of(const SearchPart& part, const search::Point& point) {
  std::int64_t number = 0;
  for (std::size_t k = 0; k < point.size() && k < part.coordinates.size(); ++k) {
    number = number * static_cast<std::int64_t>(part.coordinates[k].values.size()) + point[k];
  }
  return number;
}

/// True if the best plan of `a` is to be preferred.
bool wins(const SearchPart& a, const SearchPart& b) {
  const SearchResult& x = a.result;
  const SearchResult& y = b.result;
  if (x.found != y.found) {
    return x.found;
  }
  if (!x.found || search::better(x.best.figures, y.best.figures, x.objective)) {
    return x.found;
  }
  return !search::better(y.best.figures, x.best.figures, x.objective) &&
         number_of(a, x.best.plan.point) < number_of(b, y.best.plan.point);
}

/// No plan was found and none can be: nothing to bound.
bool proved_empty(const SearchPart& part) {
  return part.points == 0 || (!part.result.found && part.result.exhausted);
}

}  // namespace

std::string to_json(const SearchPart& part) {
  Json coordinates = Json::array();
  for (const search::Coordinate& coordinate : part.coordinates) {
    coordinates.push_back({{"name", coordinate.name}, {"values", coordinate.values}});
  }
  const Json json = {{"stagecraft_part", kVersion}, {"identity", part.identity},
                     {"scenario", part.scenario},   {"coordinates", std::move(coordinates)},
                     {"pareto", part.pareto},       {"points", part.points},
                     {"threads", part.threads},     {"result", result_json(part.result)},
                     {"best_plan", part.best_plan}, {"start_plan", part.start_plan}};
  return report::json_text(json);
}

Result<SearchPart> part_from_json(std::string_view text, const std::string& file) {
  const auto refuse = [&](const std::string& why) {
    return wrong_file(file, "not a part of a search: " + why,
                      "give files that `stagecraft search --part FILE` wrote");
  };
  try {
    const Json json = Json::parse(text);
    if (!json.is_object() || !json.contains("stagecraft_part")) {
      return refuse("it lacks the key 'stagecraft_part'");
    }
    if (json.at("stagecraft_part") != kVersion) {
      return refuse("written by another version");
    }
    SearchPart part;
    part.file = file;
    json.at("identity").get_to(part.identity);
    json.at("scenario").get_to(part.scenario);
    json.at("pareto").get_to(part.pareto);
    json.at("points").get_to(part.points);
    json.at("threads").get_to(part.threads);
    json.at("best_plan").get_to(part.best_plan);
    json.at("start_plan").get_to(part.start_plan);
    for (const Json& entry : json.at("coordinates")) {
      part.coordinates.push_back({entry.at("name").get<std::string>(),
                                  entry.at("values").get<std::vector<std::int64_t>>()});
    }
    read_result(json.at("result"), part.result);
    return part;
  } catch (const Json::exception& error) {
    return refuse(error.what());
  }
}

Result<SearchPart> merge_parts(std::span<const SearchPart> parts) {
  if (parts.empty()) {
    return bad_input("no parts to merge, expected files that `stagecraft search --part` wrote");
  }
  if (Diagnostics failures = check_parts(parts); !failures.empty()) {
    return failures;
  }
  std::vector<const SearchPart*> order(parts.size());
  for (const SearchPart& part : parts) {
    order[static_cast<std::size_t>(part.result.shard)] = &part;
  }
  const SearchPart* winner = order.front();
  for (const SearchPart* part : order) {
    winner = wins(*part, *winner) ? part : winner;
  }
  SearchPart merged = *winner;
  SearchResult& r = merged.result;
  merged.points = 0;
  r.shard = 0;
  r.shards = 1;
  r.evaluations = 0;
  r.seconds = 0.0;
  r.exhausted = true;
  r.problems.clear();
  search::Front front(r.objective);
  const SearchPart* lowest = nullptr;
  const SearchPart* start = nullptr;
  for (const SearchPart* part : order) {
    const SearchResult& one = part->result;
    merged.points += part->points;
    r.evaluations += one.evaluations;
    r.seconds = std::max(r.seconds, one.seconds);
    r.exhausted = r.exhausted && (one.exhausted || part->points == 0);
    r.interrupted = r.interrupted || one.interrupted;
    for (const ScoredPlan& plan : one.front) {
      front.add(plan);
    }
    if (!proved_empty(*part) &&
        (lowest == nullptr || one.lower_bound < lowest->result.lower_bound)) {
      lowest = part;
    }
    // A search starts at its first point that can be started.
    const bool earlier = start == nullptr || number_of(*part, one.start.plan.point) <
                                                 number_of(*start, start->result.start.plan.point);
    start = one.start_found && earlier ? part : start;
    if (part->points > 0) {
      r.problems.insert(r.problems.end(), one.problems.begin(), one.problems.end());
    }
  }
  r.front = front.plans();
  r.progress = merge_progress(order);
  r.lower_bound = lowest == nullptr ? 0 : lowest->result.lower_bound;
  r.bound_reason = lowest == nullptr ? std::string{} : lowest->result.bound_reason;
  r.start_found = start != nullptr;
  if (start != nullptr) {
    r.start = start->result.start;
    merged.start_plan = start->start_plan;
  }
  if (r.found) {
    r.problems.clear();
    const std::int64_t value = r.best.figures.value(r.objective);
    r.proved = r.lower_bound == value;
    r.gap = r.lower_bound > 0
                ? static_cast<double>(value) / static_cast<double>(r.lower_bound) - 1.0
                : 0.0;
  }
  merged.file.clear();
  return merged;
}

}  // namespace stagecraft
