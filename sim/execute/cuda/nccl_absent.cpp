// Messages between GPUs where nccl.h was not found when the program was built.
#include "execute/cuda/cuda_channels.hpp"

namespace stagecraft {

Result<std::unique_ptr<CudaChannels>> open_cuda_channels(std::vector<int>,
                                                         std::function<void(std::int32_t)>,
                                                         CallErrors&) {
  return bad_input(
      "this program was built without NCCL, which connects GPUs",
      "install NCCL 2 with its header (libnccl-dev) and configure again, or divide one "
      "GPU: --gpus divided");
}

std::string nccl_version() {
  return {};
}

}  // namespace stagecraft
