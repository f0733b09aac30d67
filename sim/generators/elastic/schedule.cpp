// The order of InfiniPipe: 1F1B over units, pipeline after pipeline (2509.21275, section on
// scheduling; the window is formula 7).
#include <algorithm>
#include <numeric>

#include "../order.hpp"
#include "../shape.hpp"
#include "stagecraft/core/check.hpp"
#include "stagecraft/generators/elastic.hpp"

namespace stagecraft::elastic {
namespace {

struct Place {
  std::int32_t microbatch;
  std::int32_t slice;
};

/// The units of one pipeline in the order of their forwards or backwards.
std::vector<Place> places(const Pipeline& pipeline, std::span<const std::int32_t> microbatches,
                          bool backward) {
  std::vector<Place> result;
  for (const std::int32_t m : microbatches) {
    const std::int32_t slices = pipeline.slices_of(m);
    for (std::int32_t q = 0; q < slices; ++q) {
      result.push_back({m, backward ? slices - 1 - q : q});
    }
  }
  return result;
}

struct Part {
  std::vector<Place> forwards;
  std::vector<Place> backwards;
  std::int32_t most_slices = 1;
};

std::vector<Part> parts_of(const Pipeline& pipeline, const Groups& groups) {
  std::vector<Part> parts;
  std::size_t begin = 0;
  for (const std::int32_t size : groups.sizes) {
    STAGECRAFT_CHECK(size > 0 && static_cast<std::size_t>(size) <= groups.order.size() - begin,
                     "groups hold all micro-batches");
    const auto microbatches =
        std::span(groups.order).subspan(begin, static_cast<std::size_t>(size));
    Part& part = parts.emplace_back();
    part.forwards = places(pipeline, microbatches, false);
    part.backwards = places(pipeline, microbatches, true);
    for (const std::int32_t m : microbatches) {
      part.most_slices = std::max(part.most_slices, pipeline.slices_of(m));
    }
    begin += static_cast<std::size_t>(size);
  }
  return parts;
}

void check_groups(const Pipeline& pipeline, const Groups& groups) {
  std::vector<std::int32_t> sorted = groups.order;
  std::ranges::sort(sorted);
  bool all = sorted.size() == static_cast<std::size_t>(pipeline.microbatches);
  for (std::size_t m = 0; all && m < sorted.size(); ++m) {
    all = sorted[m] == static_cast<std::int32_t>(m);
  }
  STAGECRAFT_CHECK(all, "the order holds every micro-batch once");
  STAGECRAFT_CHECK(
      std::accumulate(groups.sizes.begin(), groups.sizes.end(), 0) == pipeline.microbatches,
      "groups hold all micro-batches");
}

}  // namespace

Groups one_group(const Pipeline& pipeline, const CostTable& costs) {
  const auto count = static_cast<std::size_t>(pipeline.microbatches);
  std::vector<Time> forward(count, 0);
  for (std::int32_t m = 0; m < pipeline.microbatches; ++m) {
    for (std::int32_t stage = 0; stage < pipeline.stages; ++stage) {
      for (std::int32_t q = 0; q < pipeline.slices_of(m); ++q) {
        Time& sum = forward[static_cast<std::size_t>(m)];
        const Time time = costs.forward.at(stage, m, q);
        sum = time > kNever - sum ? kNever : sum + time;  // absurd ones are refused later
      }
    }
  }
  Groups groups;
  groups.order.resize(count);
  std::iota(groups.order.begin(), groups.order.end(), 0);
  std::ranges::stable_sort(groups.order, [&](std::int32_t a, std::int32_t b) {
    const std::int32_t slices_a = pipeline.slices_of(a);
    const std::int32_t slices_b = pipeline.slices_of(b);
    return slices_a != slices_b
               ? slices_a > slices_b
               : forward[static_cast<std::size_t>(a)] > forward[static_cast<std::size_t>(b)];
  });
  groups.sizes = {pipeline.microbatches};
  return groups;
}

std::int64_t elastic_warmup(std::int32_t stages, std::int32_t stage, std::int32_t most_slices,
                            std::int64_t units) {
  return std::min<std::int64_t>(units, std::int64_t{stages} - stage - 1 + most_slices);
}

Schedule elastic_schedule(const Pipeline& pipeline, const Groups& groups,
                          const Recomputed& recomputed) {
  STAGECRAFT_CHECK(!check_one_stage_per_device(pipeline, "elastic"), "one stage per device");
  check_groups(pipeline, groups);
  const std::vector<Part> parts = parts_of(pipeline, groups);
  OrderWriter writer("elastic", pipeline, fused_op_count(pipeline));
  for (const std::int32_t stage : stage_on_device(pipeline)) {
    for (const Part& part : parts) {
      const auto units = static_cast<std::int64_t>(part.forwards.size());
      // The first backward follows the last of these forwards.
      one_forward_one_backward(
          elastic_warmup(pipeline.stages, stage, part.most_slices, units) - 1, units,
          [&](std::int64_t k) {
            const Place& unit = part.forwards[static_cast<std::size_t>(k)];
            writer.put(make_op(OpKind::kForward, unit.microbatch, stage, unit.slice));
          },
          [&](std::int64_t b) {
            const Place& unit = part.backwards[static_cast<std::size_t>(b)];
            if (recomputed && recomputed(stage, unit.microbatch, unit.slice)) {
              writer.put(make_op(OpKind::kRecompute, unit.microbatch, stage, unit.slice));
            }
            writer.put(make_op(OpKind::kBackward, unit.microbatch, stage, unit.slice));
          });
    }
    writer.end_device();
  }
  return writer.take();
}

}  // namespace stagecraft::elastic
