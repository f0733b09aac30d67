#include "execute/cuda/cublaslt_library.hpp"

#include <dlfcn.h>

#include <array>
#include <string>

namespace stagecraft {
namespace {

/// Gives the library back when the last user is gone. It stays in memory even so (RTLD_NODELETE):
/// it registers device code with the driver, and partitions are made and unmade all the time.
struct Loaded {
  CublasLtLibrary calls;
  void* handle = nullptr;

  explicit Loaded(void* library) : handle(library) {}
  Loaded(const Loaded&) = delete;
  Loaded& operator=(const Loaded&) = delete;
  ~Loaded() { dlclose(handle); }

  /// Sets `call` to the entry point; its name goes to `missing` if there is none.
  template <class Call>
  void find(Call& call, const char* name, std::string& missing) const {
    call = reinterpret_cast<Call>(dlsym(handle, name));
    if (call == nullptr) {
      missing += missing.empty() ? name : std::string(", ") + name;
    }
  }
};

/// The names to try: the version that the headers are of, first.
std::array<std::string, 4> candidates() {
  const std::string major = "libcublasLt.so." + std::to_string(CUBLAS_VER_MAJOR);
#ifdef STAGECRAFT_CUDA_LIBRARIES
  const std::string toolkit = STAGECRAFT_CUDA_LIBRARIES "/";
#else
  const std::string toolkit = "/usr/local/cuda/lib64/";
#endif
  return {major, toolkit + major, "libcublasLt.so", toolkit + "libcublasLt.so"};
}

}  // namespace

Result<std::shared_ptr<const CublasLtLibrary>> open_cublaslt() {
  void* handle = nullptr;
  std::string why;
  for (const std::string& name : candidates()) {
    handle = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (handle != nullptr) {
      break;
    }
    if (why.empty()) {
      why = dlerror();
    }
  }
  const std::string hint = "install cuBLAS " + std::to_string(CUBLAS_VER_MAJOR) +
                           " (a part of the CUDA toolkit), or set LD_LIBRARY_PATH to its folder";
  if (handle == nullptr) {
    return bad_input("cuBLASLt cannot be loaded: " + why, hint);
  }
  const auto loaded = std::make_shared<Loaded>(handle);
  CublasLtLibrary& calls = loaded->calls;
  std::string missing;
  loaded->find(calls.create, "cublasLtCreate", missing);
  loaded->find(calls.destroy, "cublasLtDestroy", missing);
  loaded->find(calls.version, "cublasLtGetVersion", missing);
  loaded->find(calls.status_string, "cublasLtGetStatusString", missing);
  loaded->find(calls.matmul, "cublasLtMatmul", missing);
  loaded->find(calls.heuristic, "cublasLtMatmulAlgoGetHeuristic", missing);
  loaded->find(calls.description_create, "cublasLtMatmulDescCreate", missing);
  loaded->find(calls.description_destroy, "cublasLtMatmulDescDestroy", missing);
  loaded->find(calls.description_set, "cublasLtMatmulDescSetAttribute", missing);
  loaded->find(calls.layout_create, "cublasLtMatrixLayoutCreate", missing);
  loaded->find(calls.layout_destroy, "cublasLtMatrixLayoutDestroy", missing);
  loaded->find(calls.layout_set, "cublasLtMatrixLayoutSetAttribute", missing);
  loaded->find(calls.preference_create, "cublasLtMatmulPreferenceCreate", missing);
  loaded->find(calls.preference_destroy, "cublasLtMatmulPreferenceDestroy", missing);
  loaded->find(calls.preference_set, "cublasLtMatmulPreferenceSetAttribute", missing);
  if (!missing.empty()) {
    return bad_input("the cuBLASLt found here lacks " + missing, hint);
  }
  return std::shared_ptr<const CublasLtLibrary>(loaded, &calls);
}

}  // namespace stagecraft
