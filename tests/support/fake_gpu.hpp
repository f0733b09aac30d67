// A GpuApi without GPUs: queues, events, memory, graphs and channels in virtual time, with the
// arithmetic of the host. What real hardware would let pass or hang on is an error here:
//   - bytes that a queue reads although nobody wrote them, and accesses of two queues that no event
//     orders (vector clocks over every byte);
//   - waits for events that were never recorded (CUDA ignores them);
//   - memory outside of any allocation, or of another GPU, in a kernel;
//   - events, queues and channels used on a partition that they do not belong to;
//   - asking or waiting while a queue is held.
// Time: a command of a queue starts when the one before it has ended, and after what it waits for;
// queues never slow one another down. Calls can be made to fail, commands to hang.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "stagecraft/execute/gpu_api.hpp"
#include "support/byte_clocks.hpp"

namespace stagecraft::test {

struct FakeGpuOptions {
  std::int32_t gpus = 1;
  std::int32_t multiprocessors = 132;
  Bytes memory = Bytes{1} << 32;
  std::int64_t products_per_ns = 4;  ///< multiply-adds of a matrix product
  std::int64_t elements_per_ns = 16;
  std::int64_t copied_per_ns = 4096;  ///< bytes, any direction
  Time launch = 3;                    ///< of every kernel, copy and message, in a graph or not
};

class FakeGpu final : public GpuApi {
 public:
  explicit FakeGpu(const FakeGpuOptions& options = {});
  ~FakeGpu() override;

  /// What went against the rules, in order; with what was done.
  [[nodiscard]] const std::vector<std::string>& problems() const { return problems_; }
  /// Calls so far, and the one (from 1) that shall fail.
  [[nodiscard]] std::size_t calls() const { return calls_; }
  void fail_at(std::size_t call) { fail_at_ = call; }
  /// Captures fail, or launches of graphs do; nothing else.
  void refuse_captures() { refuse_captures_ = true; }
  void refuse_launches() { refuse_launches_ = true; }
  /// The given command of all that are run (from 1) never ends.
  void hang_at(std::size_t command) { hang_at_ = command; }
  [[nodiscard]] std::size_t commands_run() const { return commands_run_; }
  [[nodiscard]] std::size_t graphs_launched() const { return graphs_launched_; }
  /// Waits on this event are forgotten (a program with a wait missing).
  void forget_wait(std::size_t nth) { forget_wait_ = nth; }
  [[nodiscard]] std::size_t waits() const { return waits_; }

  [[nodiscard]] std::vector<GpuInfo> gpus() const override;
  [[nodiscard]] Result<std::vector<GpuPartition>> divide(std::int32_t gpu,
                                                         std::int32_t count) override;
  [[nodiscard]] Result<std::vector<GpuPartition>> whole(std::int32_t count) override;
  [[nodiscard]] Result<Queue> create_queue(std::int32_t partition, bool copies) override;
  [[nodiscard]] Result<GpuEvent> create_event(std::int32_t partition, bool timed) override;
  void record(Queue queue, GpuEvent event) override;
  void wait(Queue queue, GpuEvent event) override;
  [[nodiscard]] bool reached(GpuEvent event) override;
  [[nodiscard]] Time elapsed(GpuEvent from, GpuEvent to) override;
  [[nodiscard]] Result<void*> allocate(std::int32_t partition, Bytes bytes) override;
  [[nodiscard]] Result<void*> allocate_host(Bytes bytes) override;
  [[nodiscard]] Bytes held(std::int32_t partition) const override;
  void copy(Queue queue, void* to, const void* from, Bytes bytes) override;
  void upload(Queue queue, void* to, const void* from, Bytes bytes) override;
  [[nodiscard]] TensorOps& tensor_ops(std::int32_t partition) override;
  void begin_capture(Queue queue) override;
  [[nodiscard]] Result<GpuGraph> end_capture(Queue queue) override;
  [[nodiscard]] bool launch(Queue queue, GpuGraph graph) override;
  void hold(Queue queue) override;
  void resume() override;
  [[nodiscard]] Result<std::vector<GpuChannel>> create_channels(
      const std::vector<GpuChannelEnds>& ends) override;
  void exchange(Queue queue, const std::vector<GpuExchange>& members) override;
  [[nodiscard]] Result<GpuReduction> create_reduction(
      const std::vector<std::int32_t>& partitions) override;
  void all_reduce(GpuReduction reduction, const std::vector<GpuSummand>& summands,
                  std::int64_t count) override;
  [[nodiscard]] Diagnostics synchronize(Time limit) override;
  void abandon() override;
  void reset() override;

  // For the fake's TensorOps.
  struct Access {
    const void* data = nullptr;
    std::size_t bytes = 0;
    bool write = false;
    bool gaps = false;  ///< reads whole blocks, with what lies unused between their tensors
  };
  struct Kernel {
    const char* name = "";
    Time duration = 0;
    std::vector<Access> accesses;
    std::function<void()> run;
    bool any_memory = false;  ///< copies reach other GPUs and the host
  };
  void enqueue(Queue queue, Kernel kernel);
  [[nodiscard]] const FakeGpuOptions& options() const { return options_; }

 private:
  struct Partition {
    GpuPartition info;
    std::unique_ptr<TensorOps> ops;
    Bytes held = 0;
  };
  /// One recording of an event.
  struct Ticket {
    bool done = false;
    Time time = 0;
    VectorTime clock;
  };
  struct Event {
    std::int32_t partition = 0;
    bool timed = false;
    std::shared_ptr<Ticket> last;
  };
  struct Side {  // of a message
    bool posted = false;
    Time time = 0;
    VectorTime clock;
    Queue queue = 0;
    void* data = nullptr;
    Bytes bytes = 0;
  };
  struct Match {
    Side send, receive;
    bool done = false;
    Time end = 0;
  };
  struct Channel {
    GpuChannelEnds ends;
    std::deque<std::shared_ptr<Match>> sends, receives;  // not yet taken by the other side
  };
  struct Group {                                                   // of an exchange
    std::vector<std::pair<std::shared_ptr<Match>, bool>> members;  // and whether this side sends
    bool posted = false;
  };
  struct Sum {
    std::vector<Queue> queues;
    std::vector<float*> data;
    std::int64_t count = 0;
    std::size_t arrived = 0;
    Time time = 0;
    VectorTime clock;
    bool done = false;
  };
  struct Command {
    std::shared_ptr<const Kernel> kernel;
    std::shared_ptr<Ticket> record, wait;
    std::shared_ptr<Group> group;
    std::shared_ptr<Sum> sum;
    bool arrived = false;
  };
  struct Line {
    std::int32_t partition = 0;
    bool copies = false;
    std::deque<Command> commands;
    Time time = 0;
    VectorTime clock;
    bool hangs = false;
    bool held = false;
    bool capturing = false;
    std::vector<std::shared_ptr<const Kernel>> captured;
  };
  struct Memory {
    std::unique_ptr<std::byte[]> data;
    std::size_t bytes = 0;
    std::int32_t gpu = -1;  // -1: pinned host memory
    ByteClocks clocks;
  };

  /// Counts a call; true if it shall fail, which is noted.
  bool call(const char* name);
  [[nodiscard]] Diagnostics injected(const char* name) const;
  void problem(std::string text) { problems_.push_back(std::move(text)); }
  void add_partitions(const std::vector<GpuPartition>& made);
  Result<void*> add_memory(std::int32_t gpu, Bytes bytes);
  Memory* memory_of(const void* data);
  void check(Queue queue, const Kernel& kernel);
  void tick(Queue queue);
  void join_lines();
  void check_none_held();
  void run_all();
  bool step(Queue queue);
  bool step_group(Queue queue, Command& command);
  bool step_sum(Queue queue, Command& command);
  void deliver(Match& match);

  FakeGpuOptions options_;
  std::vector<std::string> problems_;
  std::string failure_;
  std::size_t calls_ = 0, fail_at_ = 0, commands_run_ = 0, hang_at_ = 0, graphs_launched_ = 0;
  std::size_t waits_ = 0, forget_wait_ = 0;
  bool abandoned_ = false, refuse_captures_ = false, refuse_launches_ = false;
  std::vector<Partition> partitions_;
  std::vector<Line> lines_;
  std::vector<Event> events_;
  std::vector<std::vector<std::shared_ptr<const Kernel>>> graphs_;
  std::vector<Channel> channels_;
  std::vector<std::vector<std::int32_t>> reductions_;
  std::map<const std::byte*, Memory> memory_;
};

/// The host's arithmetic, issued to a fake.
[[nodiscard]] std::unique_ptr<TensorOps> make_fake_tensor_ops(FakeGpu& gpu);

}  // namespace stagecraft::test
