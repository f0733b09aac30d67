// Measures the ops of a model on the host: each alone, and with the other devices' threads busy.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <utility>

#include "execute/stage/host_rig.hpp"
#include "execute/stage/measured_costs.hpp"
#include "stagecraft/execute/blas_bodies.hpp"

namespace stagecraft {
namespace {

constexpr std::int32_t kElement = sizeof(float);

Time now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

/// Runs ops of one kind at a time over and over, on a thread for each rig but the first, until it
/// is destroyed.
class Others {
 public:
  Others(const std::vector<std::unique_ptr<HostRig>>& rigs, OpKind kind) : kind_(kind) {
    try {
      for (std::size_t i = 1; i < rigs.size(); ++i) {
        threads_.emplace_back([this, &rig = *rigs[i]] { run(rig); });
      }
    } catch (...) {  // no thread to be had
      stop();
      throw;
    }
    while (rounds_ < static_cast<std::int64_t>(threads_.size())) {  // until they have begun
      std::this_thread::yield();
    }
  }
  Others(const Others&) = delete;
  Others& operator=(const Others&) = delete;
  ~Others() { stop(); }

  /// From their next ops on.
  void change_to(OpKind kind) { kind_ = kind; }

 private:
  void run(HostRig& rig) {
    while (!stop_) {
      const OpKind kind = kind_;
      rig.prepare(kind);
      rig.run(kind);
      ++rounds_;
    }
  }
  void stop() {
    stop_ = true;
    for (std::thread& thread : threads_) {
      thread.join();
    }
  }

  std::atomic<OpKind> kind_;
  std::atomic<bool> stop_{false};
  std::atomic<std::int64_t> rounds_{0};
  std::vector<std::thread> threads_;
};

/// Hands messages to a second thread, which is woken for each: what a receiver on another device
/// sees.
class Receiver {
 public:
  explicit Receiver(Bytes bytes) : from_(bytes), to_(bytes), thread_([this] { receive(); }) {}
  Receiver(const Receiver&) = delete;
  Receiver& operator=(const Receiver&) = delete;
  ~Receiver() {
    send(0);
    thread_.join();
  }

  Time time(Bytes bytes) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return waits_; });  // the receiver sleeps again
    lock.unlock();
    const Time start = now();
    std::memcpy(to_.data(), from_.data(), static_cast<std::size_t>(bytes));
    send(bytes);
    lock.lock();
    changed_.wait(lock, [this] { return arrived_ != 0; });
    return std::exchange(arrived_, 0) - start;
  }

 private:
  void send(Bytes bytes) {
    const std::lock_guard lock(mutex_);
    message_ = bytes;
    sent_ = true;
    waits_ = false;
    changed_.notify_all();
  }
  void receive() {
    std::unique_lock lock(mutex_);
    do {
      waits_ = true;
      changed_.notify_all();
      changed_.wait(lock, [this] { return sent_; });
      sent_ = false;
      arrived_ = now();
      changed_.notify_all();
    } while (message_ > 0);
  }

  AlignedBytes from_, to_;
  std::mutex mutex_;
  std::condition_variable changed_;
  Bytes message_ = 0;
  bool sent_ = false;
  bool waits_ = false;
  Time arrived_ = 0;
  std::thread thread_;
};

class HostMeasuring {
 public:
  HostMeasuring(const StageModel& model, const Pipeline& pipeline, const MeasureOptions& options)
      : model_(model), pipeline_(pipeline), options_(options), tensor_(make_host_tensor_ops()) {}

  Measurement run() {
    result_.device =
        fmt::format("host, {} cores, {}", std::thread::hardware_concurrency(), blas_name());
    const std::vector<OpToMeasure> ops = ops_to_measure(model_, pipeline_);
    const auto devices = static_cast<std::size_t>(pipeline_.devices);
    steps_ = ops.size() + static_cast<std::size_t>(pipeline_.stages) + devices + 1;
    measure_ops(ops);
    measure_messages();
    measure_host_copies(ops);
    measure_launch();
    for (std::int32_t d = 0; d < pipeline_.devices && go_on(); ++d) {
      measure_iteration_end(d, ops);
    }
    result_.interrupted = result_.interrupted || stop();
    if (!result_.interrupted) {
      make_costs(result_, model_, pipeline_, kElement, options_);
    }
    return std::move(result_);
  }

 private:
  [[nodiscard]] bool stop() const { return options_.interrupted && options_.interrupted(); }

  /// One step more is done; false if the user wants no more.
  bool go_on() {
    result_.interrupted = result_.interrupted || stop();
    if (options_.progress && !result_.interrupted) {
      options_.progress(done_++, steps_);
    }
    return !result_.interrupted;
  }

  template <typename Timed>
  Sample sample(Timed&& timed) const {
    // Samples of an op may take long together: the user need not wait for them.
    for (std::int32_t i = 0; i < options_.warm_up && !stop(); ++i) {
      timed();
    }
    std::vector<Time> times;
    times.reserve(static_cast<std::size_t>(options_.repeat));
    do {
      times.push_back(timed());
    } while (std::cmp_less(times.size(), options_.repeat) && !stop());
    return sample_of(std::move(times));
  }
  static Time time_op(HostRig& rig, OpKind kind) {
    rig.prepare(kind);
    const Time start = now();
    rig.run(kind);
    return now() - start;
  }
  Sample sample_op(HostRig& rig, OpKind kind) const {
    return sample([&] { return time_op(rig, kind); });
  }

  [[nodiscard]] std::vector<std::unique_ptr<HostRig>> rigs_for(const Op& shape,
                                                               std::int32_t count) {
    std::vector<std::unique_ptr<HostRig>> rigs;
    rigs.reserve(static_cast<std::size_t>(count));
    for (std::int32_t i = 0; i < count; ++i) {
      rigs.push_back(std::make_unique<HostRig>(*tensor_, model_, pipeline_, shape));
    }
    return rigs;
  }
  [[nodiscard]] bool others() const { return options_.together && pipeline_.devices > 1; }

  void measure_ops(const std::vector<OpToMeasure>& ops) {
    for (std::size_t first = 0; first < ops.size() && !result_.interrupted;) {
      std::size_t end = first;
      while (end < ops.size() && ops[end].op.unit == ops[first].op.unit &&
             ops[end].op.direction == ops[first].op.direction) {
        ++end;
      }
      measure_shape(std::span(ops).subspan(first, end - first));
      first = end;
    }
  }

  void measure_shape(std::span<const OpToMeasure> ops) {
    const auto rigs = rigs_for(ops.front().op, others() ? pipeline_.devices : 1);
    const std::vector<Sample> alone =
        sample_in_turn(ops, [&](OpKind kind) { return time_op(*rigs[0], kind); });
    std::vector<Sample> together(ops.size());
    if (others()) {
      Others busy(rigs, ops.front().measured.kind);
      together = sample_in_turn(ops, [&](OpKind kind) {
        busy.change_to(kind);
        return time_op(*rigs[0], kind);
      });
    }
    for (std::size_t i = 0; i < ops.size() && go_on(); ++i) {
      MeasuredOp measured = ops[i].measured;
      measured.alone = alone[i];
      measured.together = together[i];
      result_.ops.push_back(measured);
    }
  }

  /// All kinds once, then all again: a machine whose speed changes meanwhile changes all of them,
  /// and an op finds the caches as ops of other kinds leave them, as in a run.
  template <typename Timed>
  std::vector<Sample> sample_in_turn(std::span<const OpToMeasure> ops, Timed&& timed) const {
    std::vector<std::vector<Time>> times(ops.size());
    for (std::int32_t round = -options_.warm_up; round < options_.repeat; ++round) {
      for (std::size_t i = 0; i < ops.size(); ++i) {
        if (options_.interrupted && options_.interrupted()) {
          return std::vector<Sample>(ops.size());
        }
        const Time time = timed(ops[i].measured.kind);
        if (round >= 0) {
          times[i].push_back(time);
        }
      }
    }
    std::vector<Sample> samples;
    samples.reserve(times.size());
    for (std::vector<Time>& each : times) {
      samples.push_back(sample_of(std::move(each)));
    }
    return samples;
  }

  void measure_messages() {
    const std::vector<Bytes> boundaries = boundary_bytes(model_, kElement);
    Bytes largest = kElement;
    for (const Bytes bytes : boundaries) {
      largest = std::max(largest, bytes);
    }
    Receiver receiver(largest);
    result_.transfer_latency = sample([&] { return receiver.time(kElement); });
    for (const Bytes bytes : boundaries) {
      if (!go_on()) {
        return;
      }
      result_.transfers.push_back(sample([&] { return receiver.time(bytes); }));
    }
  }

  void measure_host_copies(const std::vector<OpToMeasure>& ops) {
    if (!go_on()) {
      return;
    }
    const auto bytes = [&](const OpToMeasure& op) {
      return block_layout(model_, op.measured.stage, op.measured.tokens, op.measured.context > 0)
          .bytes(kElement);
    };
    const auto largest = std::max_element(
        ops.begin(), ops.end(),
        [&](const OpToMeasure& a, const OpToMeasure& b) { return bytes(a) < bytes(b); });
    const auto rigs = rigs_for(largest->op, others() ? pipeline_.devices : 1);
    result_.host_copy_alone = sample_op(*rigs[0], OpKind::kOffload);
    if (others()) {
      const Others busy(rigs, OpKind::kOffload);
      result_.host_copy_together = sample_op(*rigs[0], OpKind::kOffload);
    }
  }

  void measure_launch() {
    if (!go_on()) {
      return;
    }
    const std::function<void()> nothing = [] {};
    result_.launch = sample([&] {
      const Time start = now();
      nothing();
      return now() - start;
    });
  }

  /// G and U of a device: of all stages that it holds, one after the other. G is nothing: U sums
  /// both replicas, each device for the stages that it has in the down direction (HostTraining).
  void measure_iteration_end(std::int32_t device, const std::vector<OpToMeasure>& ops) {
    Time step = 0;
    for (std::int32_t s = 0; s < pipeline_.stages; ++s) {
      const bool down = pipeline_.device(s) == device;
      const bool up = pipeline_.bidirectional() && pipeline_.device(s, Direction::kUp) == device;
      if (!down && !up) {
        continue;
      }
      const auto shape = std::find_if(
          ops.begin(), ops.end(), [&](const OpToMeasure& op) { return op.measured.stage == s; });
      HostRig rig(*tensor_, model_, pipeline_, shape->op);
      const int replicas = (down ? 1 : 0) + (up ? 1 : 0);
      if (pipeline_.bidirectional() && down) {
        step += sample_op(rig, OpKind::kGradientReduce).median;
      }
      step += replicas * sample_op(rig, OpKind::kOptimizer).median;
    }
    result_.gradient_reduction.push_back(0);
    result_.optimizer_step.push_back(step);
  }

  const StageModel& model_;
  const Pipeline& pipeline_;
  const MeasureOptions& options_;
  std::unique_ptr<TensorOps> tensor_;
  Measurement result_;
  std::size_t done_ = 0;
  std::size_t steps_ = 0;
};

}  // namespace

Result<Measurement> measure_host(const StageModel& model, const Pipeline& pipeline,
                                 const MeasureOptions& options) {
  if (Diagnostics errors = check_model(model, pipeline); !errors.empty()) {
    return errors;
  }
  return HostMeasuring(model, pipeline, options).run();
}

}  // namespace stagecraft
