#include "execute/cuda/cublaslt_gemm.hpp"

#include <array>
#include <utility>

namespace stagecraft {
namespace {

constexpr cublasStatus_t kOk = CUBLAS_STATUS_SUCCESS;

/// Runs `next` unless something failed before.
template <class Call>
void then(cublasStatus_t& status, const Call& next) {
  if (status == kOk) {
    status = next();
  }
}

}  // namespace

struct CublasLtGemm::Plan {
  std::shared_ptr<const CublasLtLibrary> library;
  cublasLtMatmulDesc_t description = nullptr;
  cublasLtMatrixLayout_t a = nullptr, b = nullptr, c = nullptr;
  cublasLtMatmulAlgo_t algorithm{};
  std::size_t workspace_bytes = 0;

  explicit Plan(std::shared_ptr<const CublasLtLibrary> of) : library(std::move(of)) {}
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;
  ~Plan() {
    for (cublasLtMatrixLayout_t layout : {a, b, c}) {
      if (layout != nullptr) {
        static_cast<void>(library->layout_destroy(layout));
      }
    }
    if (description != nullptr) {
      static_cast<void>(library->description_destroy(description));
    }
  }

  cublasStatus_t make_layout(const ColumnMajorMatrix& matrix, std::int64_t batch,
                             cudaDataType_t type, cublasLtMatrixLayout_t& layout) const {
    cublasStatus_t status =
        library->layout_create(&layout, type, static_cast<std::uint64_t>(matrix.rows),
                               static_cast<std::uint64_t>(matrix.columns), matrix.leading);
    if (batch > 1) {
      const auto count = static_cast<std::int32_t>(batch);
      then(status, [&] {
        return library->layout_set(layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count,
                                   sizeof count);
      });
      then(status, [&] {
        return library->layout_set(layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET,
                                   &matrix.stride, sizeof matrix.stride);
      });
    }
    return status;
  }
};

CublasLtGemm::CublasLtGemm(std::shared_ptr<const CublasLtLibrary> library,
                           std::int32_t multiprocessors, std::size_t workspace_bytes)
    : library_(std::move(library)),
      multiprocessors_(multiprocessors),
      workspace_bytes_(workspace_bytes) {}

CublasLtGemm::~CublasLtGemm() {
  plans_.clear();
  if (handle_ != nullptr) {
    static_cast<void>(library_->destroy(handle_));
  }
}

cublasStatus_t CublasLtGemm::open() {
  return handle_ == nullptr ? library_->create(&handle_) : kOk;
}

std::string CublasLtGemm::text(cublasStatus_t status) const {
  return library_->status_string(status);
}

CublasLtGemm::Key CublasLtGemm::key_of(const ColumnMajorGemm& g, bool to_float) {
  return {g.transpose_a,
          g.transpose_b,
          g.m,
          g.n,
          g.k,
          g.a.leading,
          g.b.leading,
          g.c.leading,
          g.a.stride,
          g.b.stride,
          g.c.stride,
          g.batch,
          alignment_of(g.a, g.batch, 2),
          alignment_of(g.b, g.batch, 2),
          alignment_of(g.c, g.batch, to_float ? 4 : 2),
          g.beta != 0.0F,
          to_float};
}

cublasStatus_t CublasLtGemm::make_plan(const ColumnMajorGemm& gemm, bool to_float, Plan& plan) {
  cublasStatus_t status =
      library_->description_create(&plan.description, CUBLAS_COMPUTE_32F, CUDA_R_32F);
  const auto set = [&](cublasLtMatmulDescAttributes_t attribute, const auto& value) {
    then(status, [&] {
      return library_->description_set(plan.description, attribute, &value, sizeof value);
    });
  };
  const auto operation = [](Transpose transpose) -> std::int32_t {
    return transpose == Transpose::kYes ? CUBLAS_OP_T : CUBLAS_OP_N;
  };
  set(CUBLASLT_MATMUL_DESC_TRANSA, operation(gemm.transpose_a));
  set(CUBLASLT_MATMUL_DESC_TRANSB, operation(gemm.transpose_b));
  set(CUBLASLT_MATMUL_DESC_SM_COUNT_TARGET, multiprocessors_);
  then(status, [&] { return plan.make_layout(gemm.a, gemm.batch, CUDA_R_16BF, plan.a); });
  then(status, [&] { return plan.make_layout(gemm.b, gemm.batch, CUDA_R_16BF, plan.b); });
  then(status, [&] {
    return plan.make_layout(gemm.c, gemm.batch, to_float ? CUDA_R_32F : CUDA_R_16BF, plan.c);
  });
  then(status, [&] { return pick(gemm, to_float, plan); });
  return status;
}

cublasStatus_t CublasLtGemm::pick(const ColumnMajorGemm& gemm, bool to_float, Plan& plan) {
  cublasLtMatmulPreference_t preference = nullptr;
  cublasStatus_t status = library_->preference_create(&preference);
  if (status != kOk) {
    return status;
  }
  const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t attribute, const auto& value) {
    then(status,
         [&] { return library_->preference_set(preference, attribute, &value, sizeof value); });
  };
  prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, workspace_bytes_);
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment_of(gemm.a, gemm.batch, 2));
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment_of(gemm.b, gemm.batch, 2));
  const std::uint32_t alignment = alignment_of(gemm.c, gemm.batch, to_float ? 4 : 2);
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment);
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment);
  std::array<cublasLtMatmulHeuristicResult_t, 4> found{};
  int count = 0;
  then(status, [&] {
    return library_->heuristic(handle_, plan.description, plan.a, plan.b, plan.c, plan.c,
                               preference, static_cast<int>(found.size()), found.data(), &count);
  });
  static_cast<void>(library_->preference_destroy(preference));
  if (status != kOk) {
    return status;
  }
  // Best first; an entry can be one that does not fit after all.
  for (int i = 0; i < count; ++i) {
    const cublasLtMatmulHeuristicResult_t& result = found[static_cast<std::size_t>(i)];
    if (result.state == kOk && result.workspaceSize <= workspace_bytes_) {
      plan.algorithm = result.algo;
      plan.workspace_bytes = result.workspaceSize;
      return kOk;
    }
  }
  return CUBLAS_STATUS_NOT_SUPPORTED;
}

cublasStatus_t CublasLtGemm::run(const ColumnMajorGemm& gemm, bool to_float, void* workspace,
                                 cudaStream_t stream) {
  if (const cublasStatus_t status = open(); status != kOk) {
    return status;
  }
  const Key key = key_of(gemm, to_float);
  auto known = plans_.find(key);
  if (known == plans_.end()) {
    auto plan = std::make_unique<Plan>(library_);
    if (const cublasStatus_t status = make_plan(gemm, to_float, *plan); status != kOk) {
      return status;
    }
    known = plans_.emplace(key, std::move(plan)).first;
  }
  const Plan& plan = *known->second;
  return library_->matmul(handle_, plan.description, &gemm.alpha, gemm.a.data, plan.a, gemm.b.data,
                          plan.b, &gemm.beta, gemm.c.data, plan.c, gemm.c.data, plan.c,
                          &plan.algorithm, workspace, plan.workspace_bytes, stream);
}

}  // namespace stagecraft
