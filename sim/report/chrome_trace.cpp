// Trace event format: Google, "Trace Event Format" (public document of the Chromium project).
#include "stagecraft/report/chrome_trace.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <ostream>
#include <sstream>
#include <string_view>

#include "report/lanes.hpp"

namespace stagecraft {
namespace {

enum class Thread : std::uint8_t { kCompute, kSend, kReceive, kCopy };
constexpr std::size_t kThreads = 4;
constexpr std::array<std::string_view, kThreads> kThreadNames = {"compute", "send", "receive",
                                                                 "copy"};
// Lanes of a thread have neighbouring ids; far more than a device ever has concurrent events.
constexpr std::int64_t kLanesPerThread = 1'000'000;
constexpr std::size_t kFlushAt = std::size_t{1} << 20U;

/// Names of Chrome's fixed palette, chosen to differ in lightness as well as in hue.
constexpr std::array<std::string_view, kOpKindCount> kColours = {
    "rail_response",         // F
    "rail_animation",        // B
    "thread_state_running",  // W
    "rail_load",             // BW
    "yellow",                // R
    "olive",                 // O
    "olive",                 // L
    "cq_build_running",      // F+BW
    "grey",                  // G
    "generic_work",          // U
};

class Writer {
 public:
  explicit Writer(std::ostream& stream) : stream_(stream) { put("{{\"traceEvents\":["); }

  template <typename... Args>
  void event(fmt::format_string<Args...> format, Args&&... args) {
    put("{}\n{{", first_ ? "" : ",");
    first_ = false;
    fmt::format_to(std::back_inserter(buffer_), format, std::forward<Args>(args)...);
    put("}}");
    if (buffer_.size() >= kFlushAt) {
      flush();
    }
  }

  void finish() {
    put("\n],\"displayTimeUnit\":\"ms\"}}\n");
    flush();
  }

 private:
  template <typename... Args>
  void put(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(buffer_), format, std::forward<Args>(args)...);
  }
  void flush() {
    stream_.write(buffer_.data(), static_cast<std::streamsize>(buffer_.size()));
    buffer_.clear();
  }

  std::ostream& stream_;
  fmt::memory_buffer buffer_;
  bool first_ = true;
};

std::string json_string(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      result += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
    } else {
      result += c;
    }
  }
  return result + '"';
}

/// Nanoseconds as microseconds with three decimals.
std::string us(Time time) {
  const Time magnitude = time < 0 ? -time : time;
  return fmt::format("{}{}.{:03}", time < 0 ? "-" : "", magnitude / kMicrosecond,
                     magnitude % kMicrosecond);
}

std::int64_t thread_id(Thread thread, std::int32_t lane) {
  return static_cast<std::int64_t>(thread) * kLanesPerThread + lane + 1;
}

/// Writes the events of one run. Processes are numbered from `first_process`, flows from
/// `first_flow`, so that runs do not mix.
class RunTrace {
 public:
  RunTrace(Writer& writer, const Run& run, std::int64_t first_process, std::size_t first_flow,
           std::string_view prefix)
      : writer_(writer),
        timeline_(run.evaluation.timeline),
        evaluation_(run.evaluation),
        first_process_(first_process),
        first_flow_(first_flow),
        prefix_(prefix),
        compute_thread_(timeline_.ops.size(), 0) {}

  void write() {
    for (std::int32_t device = 0; device < timeline_.pipeline.devices; ++device) {
      name_process(device);
      write_ops(device, Thread::kCompute);
      write_ops(device, Thread::kCopy);
      write_memory(device);
    }
    write_transfers(Thread::kSend);
    write_transfers(Thread::kReceive);
    write_flows();
  }

 private:
  [[nodiscard]] std::int64_t process(std::int32_t device) const { return first_process_ + device; }

  void name_process(std::int32_t device) {
    const std::int64_t pid = process(device);
    const std::string name = fmt::format("{}device {}", prefix_, device);
    writer_.event(R"("ph":"M","pid":{},"name":"process_name","args":{{"name":{}}})", pid,
                  json_string(name));
    writer_.event(R"("ph":"M","pid":{0},"name":"process_sort_index","args":{{"sort_index":{0}}})",
                  pid);
  }

  void name_threads(std::int32_t device, Thread thread, std::int32_t lanes) {
    const std::string_view name = kThreadNames[static_cast<std::size_t>(thread)];
    for (std::int32_t lane = 0; lane < lanes; ++lane) {
      const std::int64_t tid = thread_id(thread, lane);
      const std::string label =
          lane == 0 ? std::string(name) : fmt::format("{} {}", name, lane + 1);
      writer_.event(R"("ph":"M","pid":{},"tid":{},"name":"thread_name","args":{{"name":{}}})",
                    process(device), tid, json_string(label));
      writer_.event(
          R"("ph":"M","pid":{},"tid":{},"name":"thread_sort_index","args":{{"sort_index":{}}})",
          process(device), tid, tid);
    }
  }

  void write_ops(std::int32_t device, Thread thread) {
    const auto d = static_cast<std::size_t>(device);
    std::vector<OpIndex> order;
    for (std::size_t i = timeline_.offsets[d]; i < timeline_.offsets[d + 1]; ++i) {
      if (is_copy(timeline_.ops[i].kind) == (thread == Thread::kCopy)) {
        order.push_back(static_cast<OpIndex>(i));
      }
    }
    std::stable_sort(order.begin(), order.end(), [this](OpIndex a, OpIndex b) {
      return timeline_.start[a] < timeline_.start[b];
    });
    report::Lanes lanes;
    for (const OpIndex i : order) {
      const Op& op = timeline_.ops[i];
      const std::int64_t tid = thread_id(thread, lanes.place(timeline_.start[i], timeline_.end[i]));
      compute_thread_[i] = tid;
      writer_.event(
          R"("ph":"X","pid":{},"tid":{},"ts":{},"dur":{},"name":"{}","cat":"{}","cname":"{}","args":{{"stage":{},"microbatch":{},"slice":{}}})",
          process(device), tid, us(timeline_.start[i]), us(timeline_.end[i] - timeline_.start[i]),
          to_string(op), to_string(op.kind), kColours[static_cast<std::size_t>(op.kind)],
          op.unit.stage, op.unit.microbatch, op.unit.slice);
    }
    name_threads(device, thread, lanes.count());
  }

  void write_memory(std::int32_t device) {
    const auto d = static_cast<std::size_t>(device);
    if (d >= evaluation_.memory.size()) {
      return;
    }
    for (const MemorySample& sample : evaluation_.memory[d]) {
      writer_.event(R"("ph":"C","pid":{},"ts":{},"name":"memory","args":{{"bytes":{}}})",
                    process(device), us(sample.time), sample.bytes);
    }
  }

  /// Transfers that take time, on the send thread of one device or the receive thread of the other.
  void write_transfers(Thread thread) {
    std::vector<report::Lanes> lanes(static_cast<std::size_t>(timeline_.pipeline.devices));
    for (const Transfer& transfer : timeline_.transfers) {
      if (transfer.end <= transfer.start) {
        continue;
      }
      const bool sends = thread == Thread::kSend;
      const std::int32_t device = sends ? transfer.from_device : transfer.to_device;
      const std::int32_t lane =
          lanes[static_cast<std::size_t>(device)].place(transfer.start, transfer.end);
      writer_.event(
          R"("ph":"X","pid":{},"tid":{},"ts":{},"dur":{},"name":"{} {} {}","cat":"transfer","args":{{"bytes":{},"for":"{}"}})",
          process(device), thread_id(thread, lane), us(transfer.start),
          us(transfer.end - transfer.start), to_string(timeline_.ops[transfer.producer]),
          sends ? "to" : "from", sends ? transfer.to_device : transfer.from_device, transfer.bytes,
          to_string(timeline_.ops[transfer.consumer]));
    }
    for (std::int32_t device = 0; device < timeline_.pipeline.devices; ++device) {
      name_threads(device, thread, lanes[static_cast<std::size_t>(device)].count());
    }
  }

  /// A flow starts within the producer and ends at the start of the consumer.
  void write_flows() {
    std::size_t id = first_flow_;
    for (const Transfer& transfer : timeline_.transfers) {
      const OpIndex from = transfer.producer;
      const OpIndex to = transfer.consumer;
      const Time leaves = std::max(timeline_.start[from], timeline_.end[from] - kNanosecond);
      writer_.event(
          R"("ph":"s","pid":{},"tid":{},"ts":{},"id":{},"name":"transfer","cat":"transfer")",
          process(transfer.from_device), compute_thread_[from], us(leaves), id);
      writer_.event(
          R"("ph":"f","bp":"e","pid":{},"tid":{},"ts":{},"id":{},"name":"transfer","cat":"transfer")",
          process(transfer.to_device), compute_thread_[to], us(timeline_.start[to]), id);
      ++id;
    }
  }

  Writer& writer_;
  const Timeline& timeline_;
  const Evaluation& evaluation_;
  std::int64_t first_process_;
  std::size_t first_flow_;
  std::string_view prefix_;
  std::vector<std::int64_t> compute_thread_;  ///< [ops] thread each op was drawn on
};

}  // namespace

void write_chrome_trace(std::ostream& stream, std::span<const Run> runs) {
  Writer writer(stream);
  std::int64_t next_process = 1;
  std::size_t next_flow = 1;
  for (const std::size_t index : drawing_order(runs)) {
    const Run& run = runs[index];
    if (!has_timeline(run)) {
      continue;
    }
    const std::string prefix = runs.size() > 1 ? run.schedule + ": " : std::string();
    RunTrace(writer, run, next_process, next_flow, prefix).write();
    next_process += run.evaluation.timeline.pipeline.devices;
    next_flow += run.evaluation.timeline.transfers.size();
  }
  writer.finish();
}

std::string chrome_trace(std::span<const Run> runs) {
  std::ostringstream stream;
  write_chrome_trace(stream, runs);
  return std::move(stream).str();
}

}  // namespace stagecraft
