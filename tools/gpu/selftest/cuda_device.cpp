// A GPU behind the GpuApi of the CUDA backend.
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "selftest/device.hpp"
#include "stagecraft/execute/gpu_api.hpp"

namespace stagecraft::selftest {
namespace {

/// Memory is taken from the GPU in few large pieces and handed out in small ones: GpuApi frees all
/// at once or nothing.
class CudaDevice final : public Device {
 public:
  CudaDevice(std::unique_ptr<GpuApi> api, std::string name, Queue queue)
      : api_(std::move(api)), name_(std::move(name)), queue_(queue) {}
  ~CudaDevice() override { api_->reset(); }

  [[nodiscard]] std::string name() const override { return name_; }
  [[nodiscard]] TensorOps& ops() override { return api_->tensor_ops(0); }
  [[nodiscard]] Queue queue() const override { return queue_; }

  [[nodiscard]] void* allocate(std::size_t bytes) override {
    bytes = (bytes + kAlignment - 1) / kAlignment * kAlignment;
    while (current_ < pieces_.size() && used_ + bytes > pieces_[current_].bytes) {
      ++current_;
      used_ = 0;
    }
    if (current_ == pieces_.size()) {
      const std::size_t size = std::max(bytes, kPiece);
      auto memory = api_->allocate(0, static_cast<Bytes>(size));
      if (!memory) {
        failures_ += to_string(memory.failures());
        return nullptr;
      }
      pieces_.push_back({static_cast<std::byte*>(*memory), size});
      used_ = 0;
    }
    void* at = pieces_[current_].data + used_;
    used_ += bytes;
    return at;
  }

  void issue(const std::function<void()>& op, bool graph) override {
    if (!graph) {
      op();
      return;
    }
    api_->begin_capture(queue_);
    op();
    const Result<GpuGraph> captured = api_->end_capture(queue_);
    if (!captured) {
      failures_ += to_string(captured.failures());
    } else if (!api_->launch(queue_, *captured)) {
      failures_ += "a graph was refused\n";
    }
  }

  void upload(void* to, const void* from, std::size_t bytes) override {
    api_->upload(queue_, to, from, static_cast<Bytes>(bytes));
    wait();  // the caller may free `from`
  }

  void download(void* to, const void* from, std::size_t bytes) override {
    if (staging_bytes_ < bytes) {
      const std::size_t size = std::max(bytes, kPiece);
      auto memory = api_->allocate_host(static_cast<Bytes>(size));
      if (!memory) {
        failures_ += to_string(memory.failures());
        std::fill_n(static_cast<std::byte*>(to), bytes, std::byte{0xFF});
        return;
      }
      staging_ = static_cast<std::byte*>(*memory);
      staging_bytes_ = size;
    }
    api_->copy(queue_, staging_, from, static_cast<Bytes>(bytes));
    wait();
    std::copy_n(staging_, bytes, static_cast<std::byte*>(to));
  }

  void release() override {
    wait();
    current_ = 0;
    used_ = 0;
  }

  [[nodiscard]] std::string failures() override {
    wait();
    return std::exchange(failures_, std::string());
  }

 private:
  struct Piece {
    std::byte* data = nullptr;
    std::size_t bytes = 0;
  };
  static constexpr std::size_t kAlignment = 256;
  static constexpr std::size_t kPiece = std::size_t{256} << 20;

  void wait() {
    if (const Diagnostics failed = api_->synchronize(); !failed.empty()) {
      failures_ += to_string(failed);
    }
  }

  std::unique_ptr<GpuApi> api_;
  std::string name_;
  Queue queue_;
  std::vector<Piece> pieces_;
  std::size_t current_ = 0;  // piece that memory is taken from
  std::size_t used_ = 0;     // bytes of it
  std::byte* staging_ = nullptr;
  std::size_t staging_bytes_ = 0;
  std::string failures_;
};

}  // namespace

Result<std::unique_ptr<Device>> make_cuda_device(int partitions) {
  auto opened = open_cuda();
  if (!opened) {
    return opened.failures();
  }
  std::unique_ptr<GpuApi> api = std::move(opened).value();
  const GpuInfo gpu = api->gpus().front();
  const auto divided = partitions > 1 ? api->divide(0, partitions) : api->whole(1);
  if (!divided) {
    return divided.failures();
  }
  const auto queue = api->create_queue(0, false);
  if (!queue) {
    return queue.failures();
  }
  std::string name = fmt::format(
      "{} (compute capability {}.{}, driver {}, toolkit {}; {} of {} "
      "multiprocessors)",
      gpu.name, gpu.compute_capability / 10, gpu.compute_capability % 10, gpu.driver, gpu.toolkit,
      divided->front().multiprocessors, gpu.multiprocessors);
  return std::unique_ptr<Device>(
      std::make_unique<CudaDevice>(std::move(api), std::move(name), *queue));
}

}  // namespace stagecraft::selftest
