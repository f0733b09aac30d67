// What is declared of CudaTensorOps for code compiled by nvcc as C++17; others include
// cuda_tensor_ops.hpp.
#pragma once

#include <vector>

#include "stagecraft/execute/tensor_ops.hpp"

namespace stagecraft {

struct Diagnostic;
using Diagnostics = std::vector<Diagnostic>;

class CudaTensorOps : public TensorOps {
 public:
  /// Allocates the queue's workspace (32 MiB on compute capability 9.0 and later, 8 MiB before) and
  /// loads the kernels; optional, a first call does the same. Fails for want of memory (infeasible)
  /// or with what the driver says.
  [[nodiscard]] virtual Diagnostics prepare(Queue queue) = 0;
};

}  // namespace stagecraft
