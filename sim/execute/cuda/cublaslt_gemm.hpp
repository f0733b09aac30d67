// Matrix products through cuBLASLt: bf16 operands, float32 sums. What is asked for again and again
// (descriptors, the algorithm that its heuristic picks) is kept per shape.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <tuple>

#include "execute/cuda/cublaslt_library.hpp"
#include "execute/cuda/gemm_arguments.hpp"

namespace stagecraft {

class CublasLtGemm {
 public:
  /// `multiprocessors`: for how many of them an algorithm is picked.
  CublasLtGemm(std::shared_ptr<const CublasLtLibrary> library, std::int32_t multiprocessors,
               std::size_t workspace_bytes);
  CublasLtGemm(const CublasLtGemm&) = delete;
  CublasLtGemm& operator=(const CublasLtGemm&) = delete;
  ~CublasLtGemm();

  /// Makes the library's handle for the current context, the first time.
  [[nodiscard]] cublasStatus_t open();

  /// Issues one product, into bf16 or float32. `workspace` has the bytes given above.
  [[nodiscard]] cublasStatus_t run(const ColumnMajorGemm& gemm, bool to_float, void* workspace,
                                   cudaStream_t stream);

  [[nodiscard]] std::string text(cublasStatus_t status) const;

 private:
  struct Plan;  // descriptors and algorithm of one shape

  /// Everything that the choice of an algorithm depends on.
  using Key = std::tuple<Transpose, Transpose, std::int64_t, std::int64_t, std::int64_t,  // op
                         std::int64_t, std::int64_t, std::int64_t,                        // leading
                         std::int64_t, std::int64_t, std::int64_t, std::int64_t,  // strides, batch
                         std::uint32_t, std::uint32_t, std::uint32_t,             // alignments
                         bool, bool>;                                             // beta, float32
  [[nodiscard]] static Key key_of(const ColumnMajorGemm& gemm, bool to_float);
  [[nodiscard]] cublasStatus_t make_plan(const ColumnMajorGemm& gemm, bool to_float, Plan& plan);
  [[nodiscard]] cublasStatus_t pick(const ColumnMajorGemm& gemm, bool to_float, Plan& plan);

  std::shared_ptr<const CublasLtLibrary> library_;
  std::int32_t multiprocessors_;
  std::size_t workspace_bytes_;
  cublasLtHandle_t handle_ = nullptr;
  std::map<Key, std::unique_ptr<Plan>> plans_;
};

}  // namespace stagecraft
