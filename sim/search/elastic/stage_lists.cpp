#include "search/elastic/stage_lists.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "stagecraft/core/check.hpp"

namespace stagecraft::elastic {
namespace {

ListOpKind kind_of(OpKind kind) {
  STAGECRAFT_CHECK(
      kind == OpKind::kForward || kind == OpKind::kRecompute || kind == OpKind::kBackward,
      "an order of strategies holds F, R and BW");
  return kind == OpKind::kForward     ? ListOpKind::kForward
         : kind == OpKind::kRecompute ? ListOpKind::kRecompute
                                      : ListOpKind::kBackward;
}

}  // namespace

StageLists lists_of(const UnitTable& table, const Schedule& schedule) {
  StageLists lists(static_cast<std::size_t>(table.stages));
  for (std::int32_t p = 0; p < table.stages; ++p) {
    std::vector<ListOp>& list = lists[static_cast<std::size_t>(p)];
    const std::span<const Op> ops = schedule.device_ops(p);
    list.reserve(ops.size());
    for (const Op& op : ops) {
      list.push_back({kind_of(op.kind),
                      table.first[static_cast<std::size_t>(op.unit.microbatch)] + op.unit.slice});
    }
  }
  return lists;
}

Pipeline pipeline_of(const UnitTable& table) {
  Pipeline pipeline =
      make_pipeline(table.stages, 1, table.microbatches(), PlacementKind::kLoop).value();
  pipeline.slices.reserve(table.first.size());
  for (std::int32_t m = 0; m < table.microbatches(); ++m) {
    pipeline.slices.push_back(table.slices_of(m));
  }
  return pipeline;
}

StageLists one_f_one_b_lists(const UnitTable& table, std::span<const std::int32_t> group_sizes) {
  StageLists lists(static_cast<std::size_t>(table.stages));
  for (std::vector<ListOp>& list : lists) {
    list.reserve(3 * static_cast<std::size_t>(table.units));  // with R
  }
  std::int32_t begin = 0;
  for (const std::int32_t size : group_sizes) {
    const std::int32_t from = table.first[static_cast<std::size_t>(begin)];
    const std::int32_t end = begin + size;
    const std::int32_t to = table.first[static_cast<std::size_t>(end)];
    std::int32_t most_slices = 1;
    for (std::int32_t m = begin; m < end; ++m) {
      most_slices = std::max(most_slices, table.slices_of(m));
    }
    for (std::int32_t p = 0; p < table.stages; ++p) {
      std::vector<ListOp>& list = lists[static_cast<std::size_t>(p)];
      std::int32_t next = from;
      const auto warm = from + elastic_warmup(table.stages, p, most_slices, to - from);
      while (next < warm) {
        list.push_back({ListOpKind::kForward, next++});
      }
      for (std::int32_t m = begin; m < end; ++m) {
        for (std::int32_t u = table.first[static_cast<std::size_t>(m) + 1] - 1;
             u >= table.first[static_cast<std::size_t>(m)]; --u) {
          list.push_back({ListOpKind::kBackward, u});
          if (next < to) {
            list.push_back({ListOpKind::kForward, next++});
          }
        }
      }
    }
    begin += size;
  }
  return lists;
}

StageLists flush_lists(const UnitTable& table, std::span<const std::int32_t> group_sizes) {
  std::vector<ListOp> list;
  list.reserve(2 * static_cast<std::size_t>(table.units));
  std::int32_t begin = 0;
  for (const std::int32_t size : group_sizes) {
    for (std::int32_t u = table.first[static_cast<std::size_t>(begin)];
         u < table.first[static_cast<std::size_t>(begin + size)]; ++u) {
      list.push_back({ListOpKind::kForward, u});
    }
    for (std::int32_t m = begin; m < begin + size; ++m) {
      for (std::int32_t q = table.slices_of(m) - 1; q >= 0; --q) {
        list.push_back({ListOpKind::kBackward, table.first[static_cast<std::size_t>(m)] + q});
      }
    }
    begin += size;
  }
  return StageLists(static_cast<std::size_t>(table.stages), list);
}

StageLists with_recompute(const UnitTable& table, const StageLists& lists,
                          std::span<const std::int32_t> layers) {
  StageLists result(lists.size());
  for (std::int32_t p = 0; p < table.stages; ++p) {
    std::vector<ListOp>& list = result[static_cast<std::size_t>(p)];
    list.reserve(3 * static_cast<std::size_t>(table.units));
    for (const ListOp& op : lists[static_cast<std::size_t>(p)]) {
      if (op.kind == ListOpKind::kRecompute) {
        continue;
      }
      if (op.kind == ListOpKind::kBackward && layers[table.at(p, op.unit)] > 0) {
        list.push_back({ListOpKind::kRecompute, op.unit});
      }
      list.push_back(op);
    }
  }
  return result;
}

Schedule schedule_of(std::string_view name, const Pipeline& pipeline, const UnitTable& table,
                     const StageLists& lists) {
  Schedule schedule;
  schedule.name = std::string(name);
  schedule.pipeline = pipeline;
  schedule.offsets.push_back(0);
  for (std::int32_t p = 0; p < table.stages; ++p) {
    for (const ListOp& op : lists[static_cast<std::size_t>(p)]) {
      const OpKind kind = op.kind == ListOpKind::kForward     ? OpKind::kForward
                          : op.kind == ListOpKind::kRecompute ? OpKind::kRecompute
                                                              : OpKind::kBackward;
      schedule.ops.push_back(make_op(kind, table.microbatch[static_cast<std::size_t>(op.unit)], p,
                                     table.slice(op.unit)));
    }
    schedule.offsets.push_back(schedule.ops.size());
  }
  return schedule;
}

Bytes list_peak(const UnitTable& table, std::int32_t stage, std::span<const ListOp> list,
                std::span<const std::int32_t> layers) {
  Bytes held = 0;
  Bytes peak = 0;
  for (const ListOp& op : list) {
    const std::size_t at = table.at(stage, op.unit);
    const Bytes again = layers[at] * table.saving[at];
    switch (op.kind) {
      case ListOpKind::kForward:
        held += table.activation[at] - again;
        break;
      case ListOpKind::kRecompute:
        held += again;
        break;
      case ListOpKind::kBackward:
        held -= table.activation[at];
        break;
    }
    peak = std::max(peak, held);
  }
  return peak;
}

std::vector<Bytes> list_peaks(const UnitTable& table, const StageLists& lists,
                              std::span<const std::int32_t> layers) {
  std::vector<Bytes> peaks;
  for (std::int32_t p = 0; p < table.stages; ++p) {
    peaks.push_back(list_peak(table, p, lists[static_cast<std::size_t>(p)], layers));
  }
  return peaks;
}

bool lists_fit(const UnitTable& table, const StageLists& lists,
               std::span<const std::int32_t> layers) {
  for (std::int32_t p = 0; p < table.stages; ++p) {
    if (list_peak(table, p, lists[static_cast<std::size_t>(p)], layers) >
        table.room[static_cast<std::size_t>(p)]) {
      return false;
    }
  }
  return true;
}

bool ListTimer::advance(const UnitTable& table, const StageLists& lists,
                        std::span<const std::int32_t> layers, std::int32_t stage) {
  const auto p = static_cast<std::size_t>(stage);
  const std::vector<ListOp>& list = lists[p];
  std::size_t& next = next_[p];
  Time& free = free_[p];
  const std::size_t begin = next;
  const std::size_t row = table.at(stage, 0);
  const auto width = static_cast<std::size_t>(table.units);
  for (; next < list.size(); ++next) {
    const ListOp op = list[next];
    const auto unit = static_cast<std::size_t>(op.unit);
    const std::size_t at = row + unit;
    if (op.kind == ListOpKind::kForward) {
      Time ready = 0;
      if (stage > 0) {
        if (forward_end_[at - width] == kNever) {
          break;
        }
        ready = forward_end_[at - width] + table.latency[row - width + unit];
      }
      free = std::max(free, ready) + table.forward[at];
      forward_end_[at] = free;
    } else if (op.kind == ListOpKind::kRecompute) {
      free += layers[at] * table.layer[at];
    } else {
      Time ready = 0;
      if (stage + 1 < table.stages) {
        if (backward_end_[at + width] == kNever) {
          break;
        }
        ready = backward_end_[at + width] + table.latency[at];
      }
      free = std::max(free, ready) + table.backward[at];
      backward_end_[at] = free;
    }
  }
  return next != begin;
}

Time ListTimer::run(const UnitTable& table, const StageLists& lists,
                    std::span<const std::int32_t> layers) {
  const std::size_t cells = table.forward.size();
  forward_end_.assign(cells, kNever);
  backward_end_.assign(cells, kNever);
  next_.assign(lists.size(), 0);
  free_.assign(lists.size(), 0);
  for (bool moved = true; moved;) {
    moved = false;
    for (std::int32_t p = 0; p < table.stages; ++p) {
      moved = advance(table, lists, layers, p) || moved;
    }
    for (std::int32_t p = table.stages - 2; p >= 0; --p) {
      moved = advance(table, lists, layers, p) || moved;
    }
  }
  for (std::size_t p = 0; p < lists.size(); ++p) {
    if (next_[p] < lists[p].size()) {
      return kNever;
    }
  }
  return *std::max_element(free_.begin(), free_.end());
}

}  // namespace stagecraft::elastic
