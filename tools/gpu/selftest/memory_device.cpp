// Devices whose memory is this machine's.
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

#include "selftest/device.hpp"
#include "selftest/emulated_ops.hpp"
#include "stagecraft/execute/blas_bodies.hpp"

namespace stagecraft::selftest {
namespace {

class MemoryDevice : public Device {
 public:
  ~MemoryDevice() override { free_all(); }

  [[nodiscard]] void* allocate(std::size_t bytes) override {
    constexpr std::size_t kAlignment = 256;
    void* memory =
        std::aligned_alloc(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
    if (memory != nullptr) {
      memory_.push_back(memory);
    }
    return memory;
  }
  void upload(void* to, const void* from, std::size_t bytes) override {
    std::memcpy(to, from, bytes);
  }
  void download(void* to, const void* from, std::size_t bytes) override {
    std::memcpy(to, from, bytes);
  }
  void release() override { free_all(); }
  [[nodiscard]] std::string failures() override { return {}; }

 private:
  void free_all() {
    for (void* memory : memory_) {
      std::free(memory);
    }
    memory_.clear();
  }

  std::vector<void*> memory_;
};

class HostDevice final : public MemoryDevice {
 public:
  [[nodiscard]] std::string name() const override { return "host (float32, " + blas_name() + ")"; }
  [[nodiscard]] TensorOps& ops() override { return *ops_; }

 private:
  std::unique_ptr<TensorOps> ops_ = make_host_tensor_ops();
};

class EmulatedDevice final : public MemoryDevice {
 public:
  explicit EmulatedDevice(ThreadOrder order) : ops_(4, order) {}

  [[nodiscard]] std::string name() const override { return "kernels emulated on the host (bf16)"; }
  [[nodiscard]] TensorOps& ops() override { return ops_; }
  [[nodiscard]] std::string failures() override {
    const int all = ops_.failures();
    const int fresh = all - std::exchange(seen_, all);
    return fresh == 0 ? std::string() : std::to_string(fresh) + " launches failed";
  }

 private:
  EmulatedOps ops_;
  int seen_ = 0;
};

}  // namespace

std::unique_ptr<Device> make_host_device() {
  return std::make_unique<HostDevice>();
}

std::unique_ptr<Device> make_emulated_device(ThreadOrder order) {
  return std::make_unique<EmulatedDevice>(order);
}

}  // namespace stagecraft::selftest
