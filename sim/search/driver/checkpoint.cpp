#include "search/driver/checkpoint.hpp"

#include <utility>

#include <nlohmann/json.hpp>

#include "stagecraft/core/hash.hpp"

namespace stagecraft::search {
namespace {

constexpr int kVersion = 1;

using Json = nlohmann::ordered_json;

Json plans_json(const std::vector<ScoredPlan>& plans) {
  Json list = Json::array();
  for (const ScoredPlan& plan : plans) {
    list.push_back(to_json(plan));
  }
  return list;
}

Diagnostics read_plans(const Json& list, std::vector<ScoredPlan>& plans) {
  for (const Json& text : list) {
    Result<ScoredPlan> plan = plan_from_json(text.get_ref<const std::string&>());
    if (!plan) {
      return plan.failures();
    }
    plans.push_back(std::move(plan).value());
  }
  return {};
}

void add_text(Hash& hash, std::string_view text) {
  hash.add(static_cast<std::uint64_t>(text.size()));
  for (const char c : text) {
    hash.add(static_cast<std::uint64_t>(static_cast<unsigned char>(c)));
  }
}

template <typename Number>
void add_all(Hash& hash, const std::vector<Number>& numbers) {
  hash.add(static_cast<std::uint64_t>(numbers.size()));
  for (const Number number : numbers) {
    hash.add(static_cast<std::int64_t>(number));
  }
}

void add_grid(Hash& hash, const Grid& grid) {
  add_all(hash, grid.values);
  hash.add(std::int64_t{grid.stage_stride});
  hash.add(std::int64_t{grid.microbatch_stride});
  hash.add(std::int64_t{grid.slice_stride});
}

// What the layers do not say: transfers, capacities, costs of single units.
void add_costs(Hash& hash, const CostTable& costs) {
  for (const Grid* grid :
       {&costs.forward, &costs.backward, &costs.backward_input, &costs.backward_weight,
        &costs.recompute, &costs.offload, &costs.reload, &costs.memory.forward,
        &costs.memory.backward_input, &costs.memory.stage_input}) {
    add_grid(hash, *grid);
  }
  add_all(hash, costs.transfer_latency);
  add_all(hash, costs.transfer_bytes);
  if (costs.transfers_by_unit) {
    add_grid(hash, costs.unit_transfer_latency);
    add_grid(hash, costs.unit_transfer_bytes);
  }
  add_all(hash, costs.memory.resident);
  add_all(hash, costs.memory.capacity);
  add_all(hash, costs.gradient_reduction);
  add_all(hash, costs.optimizer_step);
  hash.add(static_cast<std::uint64_t>(costs.post_validation));
  hash.add(static_cast<std::uint64_t>(costs.communication));
}

void add_problem(Hash& hash, const Problem& problem) {
  const Layers& layers = problem.layers;
  for (const auto* list : {&layers.forward, &layers.backward_input, &layers.backward_weight,
                           &layers.activation, &layers.activation_kept, &layers.parameters}) {
    add_all(hash, *list);
  }
  hash.add(std::int64_t{problem.devices});
  hash.add(std::int64_t{problem.microbatches});
  hash.add(std::int64_t{problem.most_chunks});
  add_all(hash, problem.speed);
  for (const bool open : {problem.partition_open, problem.placement_open, problem.chunks_open,
                          problem.schedule_open, problem.recompute_open, problem.offload_open}) {
    hash.add(static_cast<std::uint64_t>(open));
  }
  add_all(hash, problem.partition);
  add_all(hash, problem.device_of_stage);
  for (const std::string& name : problem.schedules) {
    add_text(hash, name);
  }
  if (const Result<Instance> stated = problem.instance(problem.partition, problem.device_of_stage);
      stated.ok()) {
    add_costs(hash, stated->costs);
  }
}

}  // namespace

std::string identity_of(const Space& space, const SearchOptions& options) {
  Hash hash;
  add_text(hash, options.plug_in != nullptr ? options.plug_in->name : options.method);
  add_text(hash, to_string(options.method_options.objective));
  hash.add(static_cast<std::uint64_t>(options.method_options.pareto));
  hash.add(options.method_options.seed);
  hash.add(std::int64_t{options.shard});
  hash.add(std::int64_t{options.shards});
  for (const auto& [name, value] : options.method_options.options) {
    add_text(hash, name);
    add_text(hash, value);
  }
  for (const Point& point : all_points(space)) {
    add_all(hash, point);
    if (const Result<Problem> problem = space.problem(point); problem.ok()) {
      add_problem(hash, *problem);
    }
  }
  return hash.hex();
}

std::string to_json(const Checkpoint& checkpoint) {
  Json sites = Json::array();
  for (const SiteState& site : checkpoint.sites) {
    sites.push_back({{"point", site.point},
                     {"method", site.method},
                     {"bound", site.bound},
                     {"bound_reason", site.bound_reason},
                     {"exhausted", site.exhausted},
                     {"pruned", site.pruned}});
  }
  Json progress = Json::array();
  for (const Improvement& step : checkpoint.progress) {
    progress.push_back({{"seconds", step.seconds},
                        {"evaluations", step.evaluations},
                        {"value", step.value},
                        {"bound", step.bound},
                        {"origin", step.origin}});
  }
  const Json json = {
      {"stagecraft_checkpoint", kVersion},
      {"identity", checkpoint.identity},
      {"round", checkpoint.round},
      {"evaluations", checkpoint.evaluations},
      {"seconds", checkpoint.seconds},
      {"sites", std::move(sites)},
      {"best", plans_json(checkpoint.best)},
      {"best_where",
       {checkpoint.best_where.round, checkpoint.best_where.job, checkpoint.best_where.number}},
      {"start", plans_json(checkpoint.start)},
      {"front", plans_json(checkpoint.front)},
      {"progress", std::move(progress)}};
  return json.dump() + "\n";
}

Result<Checkpoint> checkpoint_from_json(std::string_view text, const std::string& file) {
  const auto refuse = [&](const std::string& why) {
    Diagnostic failure = bad_input("not a checkpoint of `stagecraft search`: " + why,
                                   "give a file that --checkpoint wrote, or leave out --resume");
    failure.place.file = file;
    return failure;
  };
  try {
    const Json json = Json::parse(text);
    if (json.at("stagecraft_checkpoint").get<int>() != kVersion) {
      return refuse("written by another version");
    }
    Checkpoint checkpoint;
    json.at("identity").get_to(checkpoint.identity);
    json.at("round").get_to(checkpoint.round);
    json.at("evaluations").get_to(checkpoint.evaluations);
    json.at("seconds").get_to(checkpoint.seconds);
    const Json& where = json.at("best_where");
    checkpoint.best_where = {where.at(0).get<std::uint64_t>(), where.at(1).get<std::uint64_t>(),
                             where.at(2).get<std::uint64_t>()};
    for (const Json& entry : json.at("sites")) {
      SiteState& site = checkpoint.sites.emplace_back();
      entry.at("point").get_to(site.point);
      entry.at("method").get_to(site.method);
      entry.at("bound").get_to(site.bound);
      entry.at("bound_reason").get_to(site.bound_reason);
      entry.at("exhausted").get_to(site.exhausted);
      entry.at("pruned").get_to(site.pruned);
    }
    for (const Json& entry : json.at("progress")) {
      Improvement& step = checkpoint.progress.emplace_back();
      entry.at("seconds").get_to(step.seconds);
      entry.at("evaluations").get_to(step.evaluations);
      entry.at("value").get_to(step.value);
      entry.at("bound").get_to(step.bound);
      entry.at("origin").get_to(step.origin);
    }
    for (const auto& [key, plans] :
         {std::pair{"best", &checkpoint.best}, std::pair{"start", &checkpoint.start},
          std::pair{"front", &checkpoint.front}}) {
      if (const Diagnostics damaged = read_plans(json.at(key), *plans); !damaged.empty()) {
        return refuse(damaged.front().message);
      }
    }
    return checkpoint;
  } catch (const nlohmann::json::exception& error) {
    // The library quotes what it has read, which may be a whole plan.
    return refuse(std::string(error.what()).substr(0, 120));
  }
}

}  // namespace stagecraft::search
