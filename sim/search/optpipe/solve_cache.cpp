#include "search/optpipe/solve_cache.hpp"

#include <algorithm>
#include <filesystem>
#include <numeric>
#include <system_error>
#include <vector>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "stagecraft/core/file.hpp"
#include "stagecraft/core/hash.hpp"
#include "stagecraft/schedule/json.hpp"

namespace stagecraft::search {
namespace {

constexpr int kVersion = 1;

std::int64_t divisor(const std::vector<std::vector<std::int64_t>>& lists) {
  std::int64_t common = 0;
  for (const std::vector<std::int64_t>& list : lists) {
    for (const std::int64_t value : list) {
      common = std::gcd(common, value);
    }
  }
  return std::max<std::int64_t>(common, 1);
}

void add(Hash& hash, const std::vector<std::vector<std::int64_t>>& lists) {
  const std::int64_t common = divisor(lists);
  for (const std::vector<std::int64_t>& list : lists) {
    hash.add(static_cast<std::uint64_t>(list.size()));
    for (const std::int64_t value : list) {
      hash.add(value / common);
    }
  }
}

void add_plain(Hash& hash, const std::vector<std::int32_t>& values) {
  hash.add(static_cast<std::uint64_t>(values.size()));
  for (const std::int32_t value : values) {
    hash.add(std::int64_t{value});
  }
}

void add_rows(const Grid& grid, std::int32_t rows, const Pipeline& pipeline,
              std::vector<std::vector<std::int64_t>>& lists) {
  lists.emplace_back();
  for (std::int32_t s = 0; s < rows; ++s) {
    for (std::int32_t m = 0; m < pipeline.microbatches; ++m) {
      for (std::int32_t k = 0; k < pipeline.slices_of(m); ++k) {
        lists.back().push_back(grid.at(s, m, k));
      }
    }
  }
}

void add_grid(const Grid& grid, const Pipeline& pipeline,
              std::vector<std::vector<std::int64_t>>& lists) {
  add_rows(grid, pipeline.stages, pipeline, lists);
}

void add_times(Hash& hash, const Instance& instance, bool offload) {
  const CostTable& costs = instance.costs;
  std::vector<std::vector<std::int64_t>> times;
  for (const Grid* grid : {&costs.forward, &costs.backward, &costs.recompute, &costs.overlapped}) {
    add_grid(*grid, instance.pipeline, times);
  }
  if (costs.split_backward) {
    add_grid(costs.backward_input, instance.pipeline, times);
    add_grid(costs.backward_weight, instance.pipeline, times);
  }
  if (offload) {
    add_grid(costs.offload, instance.pipeline, times);
    add_grid(costs.reload, instance.pipeline, times);
  }
  times.push_back(costs.transfer_latency);
  if (costs.transfers_by_unit) {
    add_rows(costs.unit_transfer_latency, instance.pipeline.stages - 1, instance.pipeline, times);
  }
  times.push_back(costs.gradient_reduction);
  times.push_back(costs.optimizer_step);
  add(hash, times);
}

void add_memory(Hash& hash, const Instance& instance) {
  const MemoryCosts& memory = instance.costs.memory;
  hash.add(std::int64_t{memory.given});
  hash.add(static_cast<std::uint64_t>(memory.policy));
  if (!memory.given) {
    return;
  }
  std::vector<std::vector<std::int64_t>> bytes;
  for (const Grid* grid :
       {&memory.forward, &memory.backward_input, &memory.backward_weight, &memory.stage_input}) {
    add_grid(*grid, instance.pipeline, bytes);
  }
  // What matters of capacity and resident part is their difference; unlimited is 0, and a
  // capacity below the resident part -1.
  bytes.emplace_back();
  for (std::int32_t d = 0; d < instance.pipeline.devices; ++d) {
    const Bytes capacity = memory.capacity_of(d);
    bytes.back().push_back(capacity == kUnlimited ? 0 : capacity - memory.resident_of(d));
    hash.add(std::int64_t{capacity == kUnlimited});
  }
  add(hash, bytes);
}

// Everything that decides times where communication is not a latency; not normalized.
void add_network(Hash& hash, const Instance& instance) {
  const CostTable& costs = instance.costs;
  hash.add(static_cast<std::uint64_t>(costs.communication));
  add_plain(hash, costs.network.host.host_link_of);
  hash.add(static_cast<std::uint64_t>(costs.network.host.sharing));
  if (costs.communication == Communication::kLatency) {
    return;
  }
  for (const Bytes bytes : costs.transfer_bytes) {
    hash.add(bytes);
  }
  if (costs.transfers_by_unit) {
    std::vector<std::vector<std::int64_t>> bytes;
    add_rows(costs.unit_transfer_bytes, instance.pipeline.stages - 1, instance.pipeline, bytes);
    for (const Bytes each : bytes.front()) {
      hash.add(each);
    }
  }
  for (const Link& link : costs.network.links) {
    hash.add(std::int64_t{link.from});
    hash.add(std::int64_t{link.to});
    hash.add(link.bytes_per_second);
    hash.add(link.latency);
    hash.add(static_cast<std::uint64_t>(link.sharing));
  }
  // Bandwidth ties bytes to absolute time.
  hash.add(costs.forward.at(0, 0));
  hash.add(costs.memory.forward.at(0, 0));
}

}  // namespace

std::string SolveCache::key(const Instance& instance, Objective objective, bool offload) {
  std::string text;
  for (const std::uint64_t half : {1U, 2U}) {
    Hash hash;
    hash.add(half);
    hash.add(std::int64_t{kVersion});
    const Pipeline& pipeline = instance.pipeline;
    hash.add(std::int64_t{pipeline.devices});
    hash.add(std::int64_t{pipeline.stages});
    hash.add(std::int64_t{pipeline.microbatches});
    hash.add(std::int64_t{pipeline.bidirectional()});
    add_plain(hash, pipeline.device_of_stage);
    add_plain(hash, pipeline.slices);
    hash.add(static_cast<std::uint64_t>(objective));
    hash.add(std::int64_t{offload});
    hash.add(std::int64_t{instance.costs.split_backward});
    hash.add(std::int64_t{instance.costs.post_validation});
    add_times(hash, instance, offload);
    add_memory(hash, instance);
    add_network(hash, instance);
    text += hash.hex();
  }
  return text;
}

std::string SolveCache::path(const std::string& key) const {
  return (std::filesystem::path(folder_) / ("optpipe-" + key + ".json")).string();
}

CacheAnswer SolveCache::find(const Instance& instance, Objective objective, bool offload) const {
  CacheAnswer answer;
  const std::string name = key(instance, objective, offload);
  const std::string file = path(name);
  std::error_code error;
  if (!std::filesystem::exists(file, error)) {
    return answer;
  }
  const auto refuse = [&](const std::string& why) {
    answer.warning = fmt::format("the cache file {} is passed over: {}", file, why);
    return answer;
  };
  const Result<std::string> text = read_file(file);
  if (!text) {
    return refuse(text.failures().front().message);
  }
  const auto json = nlohmann::json::parse(*text, nullptr, false);
  if (!json.is_object() || json.value("stagecraft_cache", nlohmann::json()) != kVersion ||
      json.value("key", nlohmann::json()) != name) {
    return refuse("it is not one of this version and instance");
  }
  const auto schedule = json.find("schedule");
  const auto optimal = json.find("optimal");
  if (schedule == json.end() || !schedule->is_string() || optimal == json.end() ||
      !optimal->is_boolean()) {
    return refuse("it holds no schedule");
  }
  Result<Schedule> read = parse_schedule_json(schedule->get_ref<const std::string&>(), file);
  if (!read) {
    return refuse(read.failures().front().message);
  }
  if (!(read->pipeline == instance.pipeline)) {
    return refuse("its schedule is of another pipeline");
  }
  answer.solution = CachedSolution{std::move(read).value(), optimal->get<bool>()};
  return answer;
}

Diagnostics SolveCache::store(const Instance& instance, Objective objective, bool offload,
                              const CachedSolution& solution) const {
  const std::string name = key(instance, objective, offload);
  std::error_code error;
  std::filesystem::create_directories(folder_, error);
  if (error) {
    return {bad_input(fmt::format("cannot make the folder {}: {}", folder_, error.message()))};
  }
  const nlohmann::ordered_json json = {{"stagecraft_cache", kVersion},
                                       {"key", name},
                                       {"optimal", solution.optimal},
                                       {"schedule", to_schedule_json(solution.schedule)}};
  const Result<std::size_t> written = write_file(path(name), json.dump() + "\n");
  return written ? Diagnostics{} : written.failures();
}

}  // namespace stagecraft::search
