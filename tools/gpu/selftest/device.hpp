// What the self-test needs of a processor beside its TensorOps: memory, and bytes in and out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/execute/tensor_ops.hpp"

namespace stagecraft::selftest {

class Device {
 public:
  Device() = default;
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  virtual ~Device() = default;

  [[nodiscard]] virtual std::string name() const = 0;
  [[nodiscard]] virtual TensorOps& ops() = 0;
  [[nodiscard]] virtual Queue queue() const { return 0; }

  /// Aligned to 256 bytes; null, and a failure, if there is no memory. Lives until release.
  [[nodiscard]] virtual void* allocate(std::size_t bytes) = 0;
  /// Does what `op` issues to the queue. `graph`: captured and launched as a graph, where the
  /// device has graphs; the same op ran without before, so that its kernels are loaded.
  virtual void issue(const std::function<void()>& op, bool graph) {
    static_cast<void>(graph);
    op();
  }
  /// Both in the order of the queue; a download returns when the bytes are there.
  virtual void upload(void* to, const void* from, std::size_t bytes) = 0;
  virtual void download(void* to, const void* from, std::size_t bytes) = 0;
  /// Frees all memory.
  virtual void release() = 0;
  /// What has failed since the last call; empty if nothing has.
  [[nodiscard]] virtual std::string failures() = 0;
};

/// float32 on this machine's BLAS.
[[nodiscard]] std::unique_ptr<Device> make_host_device();

/// In which order the threads of an emulated block take their turns. On a GPU there is none: what
/// depends on it is a race.
enum class ThreadOrder : std::uint8_t { kUp, kDown, kEvenFirst };

/// bf16 on this machine, through the GPU's kernels run block by block (emulated_ops.hpp).
[[nodiscard]] std::unique_ptr<Device> make_emulated_device(ThreadOrder order = ThreadOrder::kUp);

/// The first GPU, or one partition of it if it is divided into `partitions` > 1.
[[nodiscard]] Result<std::unique_ptr<Device>> make_cuda_device(int partitions);

}  // namespace stagecraft::selftest
