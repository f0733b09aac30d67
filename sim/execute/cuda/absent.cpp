// The CUDA backend where it is not built: says so, and how to get it.
#include "stagecraft/execute/gpu_api.hpp"

namespace stagecraft {

bool cuda_built() {
  return false;
}

Result<std::unique_ptr<GpuApi>> open_cuda() {
  return bad_input("this program was built without the CUDA backend",
                   "install the CUDA toolkit (12.8 or later) and configure again with "
                   "-DSTAGECRAFT_WITH_CUDA=ON");
}

}  // namespace stagecraft
