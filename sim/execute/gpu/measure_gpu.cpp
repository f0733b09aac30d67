// Measures the ops of a model on the partitions that a pipeline would run on: each op alone, with
// all partitions busy, messages, copies to the host, optimizer steps. By timed events around what
// is issued as graphs, as the backend issues it.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "execute/gpu/device_memory.hpp"
#include "execute/gpu/measure_rig.hpp"
#include "execute/stage/measured_costs.hpp"
#include "stagecraft/core/check.hpp"
#include "stagecraft/execute/measure.hpp"

namespace stagecraft {
namespace {

class GpuMeasuring {
 public:
  GpuMeasuring(GpuApi& api, const StageModel& model, const Pipeline& pipeline,
               const MeasureOptions& options, bool divided)
      : api_(api), model_(model), pipeline_(pipeline), options_(options), divided_(divided) {}

  Result<Measurement> run(const std::vector<GpuPartition>& partitions) {
    describe(partitions);
    const std::vector<OpToMeasure> ops = ops_to_measure(model_, pipeline_);
    Result<std::vector<std::unique_ptr<MeasureRig>>> rigs =
        make_measure_rigs(api_, model_, pipeline_, ops);
    if (!rigs) {
      return rigs.failures();
    }
    rigs_ = std::move(*rigs);
    steps_ = ops.size() + most_pairs(ops) + rigs_.size() + 4;
    measure_ops(ops);
    measure_pairs(ops);
    measure_messages();
    measure_host_copies(ops);
    measure_ends();
    if (!failures_.empty()) {
      return failures_;
    }
    if (!result_.interrupted) {
      make_costs(result_, model_, pipeline_, api_.tensor_ops(0).element_size(), options_);
      add_pairs();
    }
    return std::move(result_);
  }

 private:
  void describe(const std::vector<GpuPartition>& partitions) {
    const std::string name = api_.gpus()[static_cast<std::size_t>(partitions.front().gpu)].name;
    result_.device = divided_ ? fmt::format("{}, {} partitions of {} SMs", name, partitions.size(),
                                            partitions.front().multiprocessors)
                              : fmt::format("{} x {}", partitions.size(), name);
  }

  bool go_on() {
    result_.interrupted = result_.interrupted || (options_.interrupted && options_.interrupted());
    if (options_.progress && !result_.interrupted) {
      options_.progress(done_++, steps_);
    }
    return !result_.interrupted && failures_.empty();
  }

  /// `issue` puts what is timed between the rig's two events; nothing else runs before. The queue
  /// is held meanwhile, so that the time between them is the GPU's, not the host's.
  Sample sample(MeasureRig& rig, bool copies, const std::function<void()>& issue) {
    std::vector<Time> times;
    for (std::int32_t i = 0; i < options_.warm_up + options_.repeat && failures_.empty(); ++i) {
      api_.hold(rig.queue(copies));
      issue();
      api_.resume();
      failures_ = api_.synchronize();
      if (i >= options_.warm_up && failures_.empty()) {
        times.push_back(rig.timed(copies));
      }
    }
    return sample_of(std::move(times));
  }

  MeasureRig& rig_of(const Op& op) {
    return *rigs_[static_cast<std::size_t>(pipeline_.device(op.unit.stage, op.direction))];
  }

  void get_ready(MeasureRig& rig, const Op& op) {
    if (failures_.empty()) {
      failures_ = rig.ready(op);
    }
  }

  Sample op_alone(const Op& op) {
    MeasureRig& rig = rig_of(op);
    get_ready(rig, op);
    return sample(rig, is_copy(op.kind), [&] {
      rig.prepare(op.kind);
      rig.begin(is_copy(op.kind));
      rig.run(op.kind);
      rig.end(is_copy(op.kind));
    });
  }

  // The others run the op three times, the measured one twice: its second falls into their second.
  Sample op_together(const Op& op) {
    MeasureRig& rig = rig_of(op);
    const bool copies = is_copy(op.kind);
    for (const std::unique_ptr<MeasureRig>& other : rigs_) {
      get_ready(*other, op);
    }
    return sample(rig, copies, [&] {
      rig.start_others(copies);
      for (const std::unique_ptr<MeasureRig>& other : rigs_) {
        if (other.get() != &rig) {
          other->follow(rig, copies);
          for (int i = 0; i < 3; ++i) {
            other->prepare(op.kind);
            other->run(op.kind);
          }
        }
      }
      rig.prepare(op.kind);
      rig.run(op.kind);
      rig.prepare(op.kind);
      rig.begin(copies);
      rig.run(op.kind);
      rig.end(copies);
    });
  }

  [[nodiscard]] bool others() const { return options_.together && rigs_.size() > 1; }

  void measure_ops(const std::vector<OpToMeasure>& ops) {
    for (const OpToMeasure& op : ops) {
      if (!go_on()) {
        return;
      }
      MeasuredOp measured = op.measured;
      measured.alone = op_alone(op.op);
      if (others()) {
        measured.together = op_together(op.op);
      }
      result_.ops.push_back(measured);
    }
  }

  /// What a pair's time depends on: stage, tokens and context of its halves.
  using Shape = std::array<std::int32_t, 3>;
  [[nodiscard]] Shape shape_of(const Op& half) const {
    const std::int32_t m = pipeline_.global_microbatch(half.unit.microbatch, half.direction);
    Shape shape{half.unit.stage, model_.tokens_of(m, half.unit.slice), 0};
    for (std::int32_t q = 0; q < half.unit.slice; ++q) {
      shape[2] += model_.tokens_of(m, q);
    }
    return shape;
  }

  // Each combination once; forwards in no pair beside a backward of the same stage and size.
  void measure_pairs(const std::vector<OpToMeasure>& ops) {
    for (const Op& pair : options_.pairs) {
      measure_pair(forward_half(pair), backward_half(pair));
    }
    for (const OpToMeasure& op : ops) {
      if (op.op.kind == OpKind::kForward && pair_of(shape_of(op.op)) == nullptr) {
        Op backward = op.op;
        backward.kind = OpKind::kBackward;
        measure_pair(op.op, backward);
      }
    }
  }

  [[nodiscard]] std::size_t most_pairs(const std::vector<OpToMeasure>& ops) const {
    std::set<std::pair<Shape, Shape>> pairs;
    std::set<Shape> forwards;
    for (const Op& pair : options_.pairs) {
      pairs.emplace(shape_of(forward_half(pair)), shape_of(backward_half(pair)));
      forwards.insert(shape_of(forward_half(pair)));
    }
    std::size_t count = pairs.size();
    for (const OpToMeasure& op : ops) {
      count += op.op.kind == OpKind::kForward && forwards.insert(shape_of(op.op)).second ? 1U : 0U;
    }
    return count;
  }

  void measure_pair(const Op& forward, const Op& backward) {
    const Shape first = shape_of(forward);
    const auto [place, fresh] = pair_times_.try_emplace({first, shape_of(backward)}, 0);
    if (!fresh || !go_on()) {
      return;
    }
    MeasureRig& rig = rig_of(forward);
    failures_ = rig.ready_pair(forward, backward);
    MeasuredOp pair;
    pair.kind = OpKind::kOverlapped;
    pair.stage = first[0];
    pair.tokens = first[1];
    pair.context = first[2];
    pair.beside = backward.unit.stage;
    pair.alone = sample(rig, false, [&] {
      rig.prepare(OpKind::kOverlapped);
      rig.begin(false);
      rig.run(OpKind::kOverlapped);
      rig.end(false);
    });
    place->second = pair.alone.median;
    pairs_.push_back(pair);
  }

  /// The time of some pair of a forward of this shape.
  [[nodiscard]] const Time* pair_of(const Shape& forward) const {
    const auto first = pair_times_.lower_bound({forward, Shape{}});
    return first == pair_times_.end() || first->first.first != forward ? nullptr : &first->second;
  }

  void measure_messages() {
    if (!go_on()) {
      return;
    }
    const std::vector<Bytes> bytes = boundary_bytes(model_, api_.tensor_ops(0).element_size());
    Result<MessageRig> messages = make_message_rig(api_, pipeline_, divided_);
    if (!messages) {
      failures_ = messages.failures();
      return;
    }
    for (std::int32_t s = 0; s + 1 < pipeline_.stages && failures_.empty(); ++s) {
      const std::int32_t from = pipeline_.device(s);
      const std::int32_t to = pipeline_.device(s + 1);
      if (from == to) {
        result_.transfers.emplace_back();
        continue;
      }
      MeasureRig& sender = *rigs_[static_cast<std::size_t>(from)];
      MeasureRig& receiver = *rigs_[static_cast<std::size_t>(to)];
      const auto send = [&](Bytes size) {
        return sample(sender, true, [&] {
          sender.begin(true);
          messages->send(api_, sender, receiver, size);
          sender.end(true);
        });
      };
      result_.transfers.push_back(send(bytes[static_cast<std::size_t>(s)]));
      if (result_.transfer_latency.count == 0) {
        result_.transfer_latency = send(4);
      }
    }
  }

  void measure_host_copies(const std::vector<OpToMeasure>& ops) {
    if (!go_on()) {
      return;
    }
    for (const MeasuredOp& op : result_.ops) {
      if (op.kind == OpKind::kOffload && op.alone.median >= result_.host_copy_alone.median) {
        result_.host_copy_alone = op.alone;
        result_.host_copy_together = op.together;
      }
    }
    MeasureRig& rig = *rigs_.front();
    get_ready(rig, ops.front().op);
    result_.launch = sample(rig, false, [&] {
      rig.begin(false);
      rig.nothing();
      rig.end(false);
    });
  }

  void measure_ends() {
    for (std::size_t d = 0; d < rigs_.size() && go_on(); ++d) {
      Time reduction = 0;
      Time step = 0;
      for (const StageReplica& replica : replicas_of(pipeline_, static_cast<std::int32_t>(d))) {
        MeasureRig& rig = *rigs_[d];
        step += sample(rig, false, [&] {
                  rig.begin(false);
                  rig.step(replica.stage);
                  rig.end(false);
                }).median;
        if (replica.direction == Direction::kDown) {
          reduction += sample(rig, false, [&] {
                         rig.begin(false);
                         rig.reduce(replica.stage);
                         rig.end(false);
                       }).median;
        }
      }
      result_.optimizer_step.push_back(step);
      result_.gradient_reduction.push_back(reduction);
    }
  }

  void add_pairs() {
    const auto slices = static_cast<std::size_t>(pipeline_.max_slices());
    const auto microbatches = static_cast<std::size_t>(pipeline_.microbatches);
    std::vector<std::int64_t> values(
        static_cast<std::size_t>(pipeline_.stages) * microbatches * slices, 0);
    const auto place = [&](std::int32_t stage, std::int32_t m, std::int32_t q) -> std::int64_t& {
      return values[(static_cast<std::size_t>(stage) * microbatches + static_cast<std::size_t>(m)) *
                        slices +
                    static_cast<std::size_t>(q)];
    };
    for (std::int32_t stage = 0; stage < pipeline_.stages; ++stage) {
      for (std::int32_t m = 0; m < pipeline_.microbatches; ++m) {
        Shape shape{stage, 0, 0};
        for (std::int32_t q = 0; q < pipeline_.slices_of(m); ++q) {
          shape[2] += shape[1];
          shape[1] = model_.tokens_of(m, q);
          const Time* time = pair_of(shape);
          STAGECRAFT_CHECK(time != nullptr, "every forward was measured in some pair");
          place(stage, m, q) = *time;
        }
      }
    }
    for (const Op& pair : options_.pairs) {
      const Op forward = forward_half(pair);
      const std::int32_t m =
          pipeline_.global_microbatch(forward.unit.microbatch, forward.direction);
      place(forward.unit.stage, m, forward.unit.slice) =
          pair_times_.at({shape_of(forward), shape_of(backward_half(pair))});
    }
    result_.costs.overlapped =
        Grid::per_slice(std::move(values), pipeline_.microbatches, pipeline_.max_slices());
    result_.costs.overlapped_given = true;
    result_.ops.insert(result_.ops.end(), pairs_.begin(), pairs_.end());
  }

  GpuApi& api_;
  const StageModel& model_;
  const Pipeline& pipeline_;
  const MeasureOptions& options_;
  bool divided_;
  std::vector<std::unique_ptr<MeasureRig>> rigs_;
  std::vector<MeasuredOp> pairs_;
  std::map<std::pair<Shape, Shape>, Time> pair_times_;  // by forward and backward
  Measurement result_;
  Diagnostics failures_;
  std::size_t done_ = 0;
  std::size_t steps_ = 0;
};

}  // namespace

Result<Measurement> measure_gpu(GpuApi& api, const StageModel& model, const Pipeline& pipeline,
                                const MeasureOptions& options, const GpuOptions& gpu) {
  if (Diagnostics errors = check_model(model, pipeline); !errors.empty()) {
    return errors;
  }
  const bool enough = api.gpus().size() >= static_cast<std::size_t>(pipeline.devices);
  const bool divided = gpu.use == GpuUse::kDivided || (gpu.use == GpuUse::kAuto && !enough);
  api.reset();
  const Result<std::vector<GpuPartition>> partitions =
      divided ? api.divide(gpu.gpu, pipeline.devices) : api.whole(pipeline.devices);
  if (!partitions) {
    return partitions.failures();
  }
  Result<Measurement> result =
      GpuMeasuring(api, model, pipeline, options, divided).run(*partitions);
  api.reset();
  return result;
}

}  // namespace stagecraft
