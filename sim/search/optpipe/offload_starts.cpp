#include "search/optpipe/offload_starts.hpp"

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace stagecraft::search {
namespace {

struct Recipe {
  std::string name;
  GeneratorOptions options;
};

std::vector<Recipe> recipes(const Instance& instance) {
  const Pipeline& pipeline = instance.pipeline;
  const std::int32_t devices = pipeline.devices;
  std::vector<Recipe> all;
  const std::set<std::int32_t> groups = {std::min(devices, pipeline.microbatches),
                                         std::min((devices + 1) / 2, pipeline.microbatches)};
  for (const std::int32_t group : groups) {
    for (std::int32_t chunks = pipeline.chunks(); chunks >= 0; --chunks) {
      all.push_back(
          {"pipeoffload",
           {{"group_size", std::to_string(group)}, {"offload_chunks", std::to_string(chunks)}}});
    }
  }
  for (const char* name : {"zb-h1", "1f1b", "zb-h2", "interleaved-zb", "interleaved", "zbv",
                           "v-half", "v-min", "greedy"}) {
    all.push_back({name, {}});
  }
  all.push_back({"zb-auto", {{"repair", "0"}}});
  // Beyond the memory there is: what is offloaded does not count.
  const Bytes largest = *std::ranges::max_element(instance.costs.memory.forward.values);
  for (const std::int32_t units : {2 * devices, devices + devices / 2, devices}) {
    if (largest > 0) {
      all.push_back(
          {"zb-auto", {{"repair", "0"}, {"max_memory", std::to_string(units * largest)}}});
    }
  }
  return all;
}

}  // namespace

void for_each_offload_start(const Instance& instance,
                            const std::function<bool(const Schedule&, std::string_view)>& visit) {
  CostTable roomy = instance.costs;
  roomy.memory.capacity.clear();
  for (const Recipe& recipe : recipes(instance)) {
    const GeneratorInfo* info = find_generator(recipe.name);
    if (info == nullptr) {
      continue;
    }
    const bool own_limit = recipe.options.contains("max_memory");
    const Result<Schedule> schedule = generate(
        recipe.name, {instance.pipeline, own_limit ? roomy : instance.costs, recipe.options});
    if (schedule && !visit(*schedule, recipe.name)) {
      return;
    }
  }
}

}  // namespace stagecraft::search
