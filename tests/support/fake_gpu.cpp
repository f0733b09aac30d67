#include "support/fake_gpu.hpp"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

namespace stagecraft::test {

FakeGpu::FakeGpu(const FakeGpuOptions& options) : options_(options) {}
FakeGpu::~FakeGpu() = default;

bool FakeGpu::call(const char* name) {
  if (++calls_ == fail_at_ || abandoned_) {
    if (failure_.empty()) {
      failure_ = abandoned_ ? "given up" : fmt::format("{}: injected failure", name);
    }
    return true;
  }
  return false;
}

Diagnostics FakeGpu::injected(const char* name) const {
  return {infeasible(fmt::format("{}: injected failure", name))};
}

std::vector<GpuInfo> FakeGpu::gpus() const {
  GpuInfo info;
  info.name = "fake GPU";
  info.compute_capability = 90;
  info.multiprocessors = options_.multiprocessors;
  info.memory = options_.memory;
  return std::vector<GpuInfo>(static_cast<std::size_t>(options_.gpus), info);
}

void FakeGpu::add_partitions(const std::vector<GpuPartition>& made) {
  for (const GpuPartition& info : made) {
    Partition partition;
    partition.info = info;
    partition.ops = make_fake_tensor_ops(*this);
    partitions_.push_back(std::move(partition));
  }
}

Result<std::vector<GpuPartition>> FakeGpu::divide(std::int32_t gpu, std::int32_t count) {
  if (call("divide")) {
    return injected("divide");
  }
  if (!partitions_.empty()) {
    problem("divide without reset");
  }
  const std::int32_t size = options_.multiprocessors / count / 8 * 8;
  if (size < 8) {
    return infeasible(fmt::format("the fake GPU cannot be divided into {} partitions", count),
                      fmt::format("at most {} partitions fit", options_.multiprocessors / 8));
  }
  std::vector<GpuPartition> made(static_cast<std::size_t>(count), GpuPartition{gpu, size});
  add_partitions(made);
  return made;
}

Result<std::vector<GpuPartition>> FakeGpu::whole(std::int32_t count) {
  if (call("whole")) {
    return injected("whole");
  }
  if (!partitions_.empty()) {
    problem("whole without reset");
  }
  if (count > options_.gpus) {
    return infeasible(fmt::format("{} devices need as many GPUs", count),
                      fmt::format("at most {} devices fit", options_.gpus));
  }
  std::vector<GpuPartition> made;
  for (std::int32_t gpu = 0; gpu < count; ++gpu) {
    made.push_back({gpu, options_.multiprocessors});
  }
  add_partitions(made);
  return made;
}

Result<Queue> FakeGpu::create_queue(std::int32_t partition, bool copies) {
  if (call("create_queue")) {
    return injected("create_queue");
  }
  Line line;
  line.partition = partition;
  line.copies = copies;
  lines_.push_back(std::move(line));
  return static_cast<Queue>(lines_.size() - 1);
}

Result<GpuEvent> FakeGpu::create_event(std::int32_t partition, bool timed) {
  if (call("create_event")) {
    return injected("create_event");
  }
  events_.push_back({partition, timed, nullptr});
  return static_cast<GpuEvent>(events_.size() - 1);
}

void FakeGpu::record(Queue queue, GpuEvent event) {
  if (call("record")) {
    return;
  }
  if (events_[event].partition != lines_[queue].partition) {
    problem("an event recorded on a queue of another partition");
  }
  if (lines_[queue].capturing) {
    problem("an event recorded in a capture");
  }
  events_[event].last = std::make_shared<Ticket>();
  Command command;
  command.record = events_[event].last;
  lines_[queue].commands.push_back(std::move(command));
}

void FakeGpu::wait(Queue queue, GpuEvent event) {
  if (call("wait") || ++waits_ == forget_wait_) {
    return;
  }
  if (events_[event].last == nullptr) {
    problem("a wait for an event that was never recorded");
    return;
  }
  if (lines_[queue].capturing) {
    problem("a wait in a capture");
  }
  Command command;
  command.wait = events_[event].last;
  lines_[queue].commands.push_back(std::move(command));
}

bool FakeGpu::reached(GpuEvent event) {
  if (abandoned_ || !failure_.empty() || call("reached")) {
    return true;
  }
  check_none_held();
  run_all();
  return events_[event].last == nullptr || events_[event].last->done;
}

Time FakeGpu::elapsed(GpuEvent from, GpuEvent to) {
  const Event& a = events_[from];
  const Event& b = events_[to];
  if (a.partition != b.partition || !a.timed || !b.timed) {
    problem("time between events of two partitions, or of untimed ones");
  }
  if (a.last == nullptr || b.last == nullptr || !a.last->done || !b.last->done) {
    problem("time between events that were not reached");
    return 0;
  }
  return b.last->time - a.last->time;
}

Result<void*> FakeGpu::add_memory(std::int32_t gpu, Bytes bytes) {
  const auto size = static_cast<std::size_t>(bytes);
  // Every byte is written before it is read, or somebody errs: NaN as a float.
  auto data = std::make_unique<std::byte[]>(size);
  std::fill_n(data.get(), size, std::byte{0xff});
  std::byte* at = data.get();
  memory_.emplace(at, Memory{std::move(data), size, gpu, ByteClocks(size)});
  return static_cast<void*>(at);
}

Result<void*> FakeGpu::allocate(std::int32_t partition, Bytes bytes) {
  if (call("allocate")) {
    return injected("allocate");
  }
  Partition& owner = partitions_[static_cast<std::size_t>(partition)];
  Bytes taken = bytes;
  for (const Partition& other : partitions_) {
    taken += other.info.gpu == owner.info.gpu ? other.held : 0;
  }
  if (taken > options_.memory) {
    return infeasible(fmt::format("the fake GPU has no room for {} bytes", bytes));
  }
  owner.held += bytes;
  return add_memory(owner.info.gpu, bytes);
}

Result<void*> FakeGpu::allocate_host(Bytes bytes) {
  if (call("allocate_host")) {
    return injected("allocate_host");
  }
  return add_memory(-1, bytes);
}

Bytes FakeGpu::held(std::int32_t partition) const {
  return partitions_[static_cast<std::size_t>(partition)].held;
}

void FakeGpu::enqueue(Queue queue, Kernel kernel) {
  if (call(kernel.name)) {
    return;
  }
  auto shared = std::make_shared<const Kernel>(std::move(kernel));
  if (lines_[queue].capturing) {
    lines_[queue].captured.push_back(std::move(shared));
    return;
  }
  if (lines_[queue].copies && !shared->any_memory) {
    problem(fmt::format("{} on a queue for copies", shared->name));
  }
  Command command;
  command.kernel = std::move(shared);
  lines_[queue].commands.push_back(std::move(command));
}

void FakeGpu::copy(Queue queue, void* to, const void* from, Bytes bytes) {
  const auto size = static_cast<std::size_t>(bytes);
  if (memory_of(to) == nullptr || memory_of(from) == nullptr) {
    problem("a copy from or to memory that was not allocated here");
    return;
  }
  const bool gaps = memory_of(to)->gpu < 0 || memory_of(from)->gpu < 0;
  enqueue(queue, {"copy",
                  options_.launch + bytes / options_.copied_per_ns,
                  {{from, size, false, gaps}, {to, size, true}},
                  [=] { std::memmove(to, from, size); },
                  true});
}

void FakeGpu::upload(Queue queue, void* to, const void* from, Bytes bytes) {
  const auto size = static_cast<std::size_t>(bytes);
  const auto* begin = static_cast<const std::byte*>(from);
  const std::vector<std::byte> data(begin, begin + size);
  enqueue(queue, {"upload",
                  options_.launch + bytes / options_.copied_per_ns,
                  {{to, size, true}},
                  [=] { std::memcpy(to, data.data(), data.size()); },
                  true});
}

TensorOps& FakeGpu::tensor_ops(std::int32_t partition) {
  return *partitions_[static_cast<std::size_t>(partition)].ops;
}

void FakeGpu::begin_capture(Queue queue) {
  if (call("begin_capture")) {
    return;
  }
  lines_[queue].capturing = true;
  lines_[queue].captured.clear();
}

Result<GpuGraph> FakeGpu::end_capture(Queue queue) {
  const bool fails = call("end_capture");
  lines_[queue].capturing = false;
  if (fails || refuse_captures_) {
    return injected("end_capture");
  }
  graphs_.push_back(std::move(lines_[queue].captured));
  return static_cast<GpuGraph>(graphs_.size() - 1);
}

bool FakeGpu::launch(Queue queue, GpuGraph graph) {
  if (call("launch") || refuse_launches_) {
    return false;
  }
  ++graphs_launched_;
  for (const std::shared_ptr<const Kernel>& kernel : graphs_[graph]) {
    Command command;
    command.kernel = kernel;
    lines_[queue].commands.push_back(std::move(command));
  }
  return true;
}

Result<std::vector<GpuChannel>> FakeGpu::create_channels(const std::vector<GpuChannelEnds>& ends) {
  if (call("create_channels")) {
    return injected("create_channels");
  }
  std::vector<GpuChannel> made;
  for (const GpuChannelEnds& end : ends) {
    made.push_back(static_cast<GpuChannel>(channels_.size()));
    channels_.push_back({end, {}, {}});
  }
  return made;
}

void FakeGpu::exchange(Queue queue, const std::vector<GpuExchange>& members) {
  if (call("exchange")) {
    return;
  }
  auto group = std::make_shared<Group>();
  for (const GpuExchange& member : members) {
    Channel& channel = channels_[member.channel];
    const GpuChannelEnds& first = channels_[members.front().channel].ends;
    if (members.size() > 1 && (channel.ends.group < 0 || channel.ends.group != first.group)) {
      problem("members of two communicators in one exchange");
    }
    if (lines_[queue].partition != (member.send ? channel.ends.from : channel.ends.to)) {
      problem("a message issued by a partition that has no part in it");
    }
    auto& theirs = member.send ? channel.receives : channel.sends;
    auto& ours = member.send ? channel.sends : channel.receives;
    std::shared_ptr<Match> match;
    if (!theirs.empty()) {
      match = theirs.front();
      theirs.pop_front();
    } else {
      match = std::make_shared<Match>();
      ours.push_back(match);
    }
    Side& side = member.send ? match->send : match->receive;
    side.queue = queue;
    side.data = member.data;
    side.bytes = member.bytes;
    group->members.emplace_back(match, member.send);
  }
  Command command;
  command.group = std::move(group);
  lines_[queue].commands.push_back(std::move(command));
}

Result<GpuReduction> FakeGpu::create_reduction(const std::vector<std::int32_t>& partitions) {
  if (call("create_reduction")) {
    return injected("create_reduction");
  }
  reductions_.push_back(partitions);
  return static_cast<GpuReduction>(reductions_.size() - 1);
}

void FakeGpu::all_reduce(GpuReduction reduction, const std::vector<GpuSummand>& summands,
                         std::int64_t count) {
  if (call("all_reduce")) {
    return;
  }
  const std::vector<std::int32_t>& partitions = reductions_[reduction];
  auto sum = std::make_shared<Sum>();
  sum->count = count;
  for (std::size_t i = 0; i < summands.size(); ++i) {
    if (i >= partitions.size() || lines_[summands[i].queue].partition != partitions[i]) {
      problem("a summand of a partition that has no part in the reduction");
    }
    sum->queues.push_back(summands[i].queue);
    sum->data.push_back(summands[i].data);
  }
  for (const GpuSummand& summand : summands) {
    Command command;
    command.sum = sum;
    lines_[summand.queue].commands.push_back(std::move(command));
  }
}

Diagnostics FakeGpu::synchronize(Time) {
  call("synchronize");
  check_none_held();
  if (failure_.empty()) {
    run_all();
    const bool idle = std::all_of(lines_.begin(), lines_.end(),
                                  [](const Line& line) { return line.commands.empty(); });
    if (!idle) {
      abandon();
      failure_ = "synchronize: the queues do not end";
    }
    join_lines();
  }
  Diagnostics failed;
  if (!failure_.empty()) {
    failed.push_back(infeasible(std::exchange(failure_, std::string())));
  }
  return failed;
}

// What is issued from now on comes after all that ran before.
void FakeGpu::join_lines() {
  Time now = 0;
  VectorTime all;
  for (const Line& line : lines_) {
    now = std::max(now, line.time);
    merge(all, line.clock);
  }
  for (Line& line : lines_) {
    line.time = now;
    line.clock = all;
  }
}

void FakeGpu::abandon() {
  abandoned_ = true;
}

void FakeGpu::reset() {
  partitions_.clear();
  lines_.clear();
  events_.clear();
  graphs_.clear();
  channels_.clear();
  reductions_.clear();
  memory_.clear();
}

}  // namespace stagecraft::test
