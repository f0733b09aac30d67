// cuBLASLt, loaded when it is first needed: a program built with CUDA starts on a machine without
// the library. The entry points have the types that cublasLt.h declares.
#pragma once

#include <cublasLt.h>

#include <memory>

#include "stagecraft/core/diagnostics.hpp"

namespace stagecraft {

struct CublasLtLibrary {
  decltype(&cublasLtCreate) create = nullptr;
  decltype(&cublasLtDestroy) destroy = nullptr;
  decltype(&cublasLtGetVersion) version = nullptr;
  decltype(&cublasLtGetStatusString) status_string = nullptr;
  decltype(&cublasLtMatmul) matmul = nullptr;
  decltype(&cublasLtMatmulAlgoGetHeuristic) heuristic = nullptr;
  decltype(&cublasLtMatmulDescCreate) description_create = nullptr;
  decltype(&cublasLtMatmulDescDestroy) description_destroy = nullptr;
  decltype(&cublasLtMatmulDescSetAttribute) description_set = nullptr;
  decltype(&cublasLtMatrixLayoutCreate) layout_create = nullptr;
  decltype(&cublasLtMatrixLayoutDestroy) layout_destroy = nullptr;
  decltype(&cublasLtMatrixLayoutSetAttribute) layout_set = nullptr;
  decltype(&cublasLtMatmulPreferenceCreate) preference_create = nullptr;
  decltype(&cublasLtMatmulPreferenceDestroy) preference_destroy = nullptr;
  decltype(&cublasLtMatmulPreferenceSetAttribute) preference_set = nullptr;
};

/// Looks where the dynamic loader looks (LD_LIBRARY_PATH, ldconfig), then in the toolkit that the
/// program was built with. The library stays loaded until the program ends.
[[nodiscard]] Result<std::shared_ptr<const CublasLtLibrary>> open_cublaslt();

}  // namespace stagecraft
