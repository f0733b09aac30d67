#include "stagecraft/execute/stage_compute.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "execute/stage/align.hpp"
#include "stagecraft/core/check.hpp"

namespace stagecraft {
namespace {

constexpr Transpose kNo = Transpose::kNo;
constexpr Transpose kYes = Transpose::kYes;

/// Sizes and places of one call, worked out once.
struct Sizes {
  std::int64_t tokens = 0;  // T
  std::int64_t hidden = 0;  // H
  std::int64_t ffn = 0;     // F
  std::int64_t heads = 0;
  std::int64_t head = 0;     // elements of one head
  std::int64_t context = 0;  // tokens of earlier slices
  std::int64_t columns = 0;  // of score matrices
};

/// Element offsets of the workspace's parts.
struct WorkspaceLayout {
  std::size_t scores = 0, grads = 0, wide = 0, narrow = 0, elements = 0;
};

WorkspaceLayout workspace_layout(const Sizes& z) {
  const auto scores = static_cast<std::size_t>(z.heads * z.tokens * z.columns);
  const auto wide = static_cast<std::size_t>(z.tokens * std::max(z.ffn, 3 * z.hidden));
  const auto narrow = static_cast<std::size_t>(z.tokens * z.hidden);
  WorkspaceLayout layout;
  layout.grads = align_elements(scores);
  layout.wide = layout.grads + align_elements(scores);
  layout.narrow = layout.wide + align_elements(wide);
  layout.elements = layout.narrow + align_elements(narrow);
  return layout;
}

Sizes sizes_of(const StageModel& model, std::int32_t stage, std::int64_t tokens,
               std::int64_t context) {
  Sizes z;
  z.tokens = tokens;
  z.hidden = model.hidden;
  z.ffn = model.ffn[static_cast<std::size_t>(stage)];
  z.heads = model.heads;
  z.head = z.hidden / z.heads;
  z.context = context;
  z.columns = score_columns(context + tokens);
  return z;
}

/// Keys, values and the place of their gradients in one slice's block, for one layer.
struct Keys {
  void* qkv = nullptr;
  void* kv_grad = nullptr;  // [T, 2H]
  std::int64_t tokens = 0;
  std::int64_t column = 0;  // where the slice's columns of the scores begin
};

/// One stage on one unit: the tensors of its layers by address.
class StagePass {
 public:
  explicit StagePass(const StageCall& call)
      : call_(call),
        ops_(call.ops),
        queue_(call.queue),
        element_(static_cast<std::size_t>(call.ops.element_size())),
        z_(sizes_of(call.model, call.stage, call.unit.tokens, context_of(call.unit))),
        layout_(block_layout(call.model, call.stage, call.unit.tokens, call.unit.sliced)),
        space_(workspace_layout(z_)) {
    STAGECRAFT_CHECK(call.unit.earlier.size() == call.unit.earlier_tokens.size(),
                     "every earlier slice has its tokens");
    STAGECRAFT_CHECK(call.unit.earlier.empty() || call.unit.sliced, "earlier slices need slices");
    STAGECRAFT_CHECK(static_cast<Bytes>(space_.elements * element_) <= call.workspace.bytes,
                     "the workspace holds every unit");
    for (const std::int32_t tokens : call.unit.earlier_tokens) {
      earlier_.push_back(block_layout(call.model, call.stage, tokens, true));
    }
  }

  [[nodiscard]] std::size_t layers() const { return layout_.layers.size(); }
  [[nodiscard]] void* output() const { return at(layout_.output); }
  [[nodiscard]] std::int64_t output_size() const { return z_.tokens * z_.hidden; }

  void forward(std::size_t l);
  void backward_input(std::size_t l);
  void backward_weight(std::size_t l);

 private:
  static std::int64_t context_of(const UnitBlocks& unit) {
    return std::accumulate(unit.earlier_tokens.begin(), unit.earlier_tokens.end(), std::int64_t{0});
  }

  [[nodiscard]] void* step(void* base, std::size_t elements) const {
    return static_cast<std::byte*>(base) + elements * element_;
  }
  [[nodiscard]] void* step(void* base, std::int64_t elements) const {
    return step(base, static_cast<std::size_t>(elements));
  }
  [[nodiscard]] void* at(std::size_t offset) const { return step(call_.unit.block, offset); }
  [[nodiscard]] void* scratch(std::size_t offset) const {
    return step(call_.workspace.data, offset);
  }
  [[nodiscard]] float* rstd(std::size_t offset) const {
    auto* bytes = static_cast<std::byte*>(call_.unit.block) +
                  layout_.floats_offset(static_cast<std::int32_t>(element_));
    return reinterpret_cast<float*>(bytes) + offset;
  }
  /// Input of the layer after `l`, or the stage's output.
  [[nodiscard]] void* next(std::size_t l) const {
    return l + 1 < layers() ? at(layout_.layers[l + 1].x) : output();
  }

  /// Element offsets of a layer's parameters.
  struct Parameters {
    std::int64_t qkv = 0, o = 0, up = 0, down = 0, gain1 = 0, gain2 = 0;
  };
  [[nodiscard]] Parameters parameters(std::size_t l) const {
    const std::int64_t square = z_.hidden * z_.hidden;
    Parameters p;
    p.qkv = static_cast<std::int64_t>(l) * (4 * square + 2 * z_.hidden * z_.ffn + 2 * z_.hidden);
    p.o = p.qkv + 3 * square;
    p.up = p.o + square;
    p.down = p.up + z_.hidden * z_.ffn;
    p.gain1 = p.down + z_.hidden * z_.ffn;
    p.gain2 = p.gain1 + z_.hidden;
    return p;
  }
  [[nodiscard]] void* weight(std::int64_t offset) const {
    return step(call_.weights.values, offset);
  }

  /// y[T, n] = x[T, k] W[k, n] + beta y, or with W transposed as stored.
  void project(void* x, std::int64_t k, std::int64_t w, void* y, std::int64_t n,
               Transpose transpose, float beta = 0.0F) {
    GemmShape shape{z_.tokens, n, k};
    shape.b = transpose;
    shape.beta = beta;
    const std::int64_t stored = transpose == kNo ? n : k;
    ops_.gemm(queue_, shape, {x, k, 0}, {weight(w), stored, 0}, {y, n, 0});
  }
  /// G[k, n] += x[T, k]^T dy[T, n].
  void weight_gradient(void* x, std::int64_t k, void* dy, std::int64_t n, std::int64_t w) {
    GemmShape shape{k, n, z_.tokens};
    shape.a = kYes;
    shape.beta = 1.0F;
    ops_.gemm_to_float(queue_, shape, {x, k, 0}, {dy, n, 0}, call_.weights.gradients + w, n);
  }

  [[nodiscard]] Keys keys(std::size_t l, std::size_t slice) const;
  [[nodiscard]] std::size_t slices() const { return earlier_.size() + 1; }
  /// One head after the other: [T, head] parts of rows of 3H elements.
  [[nodiscard]] Matrix heads_of(void* qkv, std::int64_t part) const {
    return {step(qkv, part * z_.hidden), 3 * z_.hidden, z_.head};
  }
  [[nodiscard]] Matrix narrow_heads(void* data) const { return {data, z_.hidden, z_.head}; }
  [[nodiscard]] Matrix score_heads(void* scores, const Keys& of) const {
    return {step(scores, of.column), z_.columns, z_.tokens * z_.columns};
  }
  [[nodiscard]] GemmShape per_head(std::int64_t m, std::int64_t n, std::int64_t k) const {
    GemmShape shape{m, n, k};
    shape.batch = z_.heads;
    return shape;
  }
  [[nodiscard]] float attention_scale() const {
    return 1.0F / std::sqrt(static_cast<float>(z_.head));
  }

  /// Causal probabilities of this slice's tokens over the context, into the workspace.
  void probabilities(std::size_t l);
  void attention(std::size_t l);
  /// From the gradient of o in `narrow` to that of qkv in `wide`; leaves gradients of earlier
  /// slices' keys and values in their blocks.
  void attention_backward(std::size_t l);

  const StageCall& call_;
  TensorOps& ops_;
  Queue queue_;
  std::size_t element_;
  Sizes z_;
  BlockLayout layout_;
  WorkspaceLayout space_;
  std::vector<BlockLayout> earlier_;
};

Keys StagePass::keys(std::size_t l, std::size_t slice) const {
  Keys result;
  for (std::size_t q = 0; q < slice; ++q) {
    result.column += call_.unit.earlier_tokens[q];
  }
  const bool own = slice == earlier_.size();
  void* block = own ? call_.unit.block : call_.unit.earlier[slice];
  const LayerLayout& layer = own ? layout_.layers[l] : earlier_[slice].layers[l];
  result.tokens = own ? z_.tokens : call_.unit.earlier_tokens[slice];
  result.qkv = step(block, layer.qkv);
  result.kv_grad = step(block, layer.kv_grad);
  return result;
}

void StagePass::probabilities(std::size_t l) {
  void* qkv = at(layout_.layers[l].qkv);
  void* scores = scratch(space_.scores);
  for (std::size_t q = 0; q < slices(); ++q) {
    const Keys of = keys(l, q);
    GemmShape shape = per_head(z_.tokens, of.tokens, z_.head);
    shape.b = kYes;
    shape.alpha = attention_scale();
    ops_.gemm(queue_, shape, heads_of(qkv, 0), heads_of(of.qkv, 1), score_heads(scores, of));
  }
  ops_.softmax(queue_, z_.heads, z_.tokens, z_.columns, z_.context, scores);
}

void StagePass::attention(std::size_t l) {
  probabilities(l);
  for (std::size_t q = 0; q < slices(); ++q) {
    const Keys of = keys(l, q);
    GemmShape shape = per_head(z_.tokens, z_.head, of.tokens);
    shape.beta = q == 0 ? 0.0F : 1.0F;
    ops_.gemm(queue_, shape, score_heads(scratch(space_.scores), of), heads_of(of.qkv, 2),
              narrow_heads(at(layout_.layers[l].o)));
  }
}

void StagePass::forward(std::size_t l) {
  const LayerLayout& layer = layout_.layers[l];
  const Parameters w = parameters(l);
  const std::int64_t h = z_.hidden;
  if (call_.unit.sliced && !call_.unit.again) {
    ops_.zero(queue_, static_cast<std::size_t>(2 * output_size()) * element_, at(layer.kv_grad));
  }
  ops_.rmsnorm(queue_, z_.tokens, h, at(layer.x), weight(w.gain1), at(layer.n1), rstd(layer.rstd1));
  project(at(layer.n1), h, w.qkv, at(layer.qkv), 3 * h, kNo);
  attention(l);
  ops_.copy_rows(queue_, z_.tokens, h, at(layer.x), h, at(layer.x1), h);
  project(at(layer.o), h, w.o, at(layer.x1), h, kNo, 1.0F);
  ops_.rmsnorm(queue_, z_.tokens, h, at(layer.x1), weight(w.gain2), at(layer.n2),
               rstd(layer.rstd2));
  project(at(layer.n2), h, w.up, at(layer.h), z_.ffn, kNo);
  ops_.gelu(queue_, z_.tokens * z_.ffn, at(layer.h), at(layer.a));
  ops_.copy_rows(queue_, z_.tokens, h, at(layer.x1), h, next(l), h);
  project(at(layer.a), z_.ffn, w.down, next(l), h, kNo, 1.0F);
}

void StagePass::attention_backward(std::size_t l) {
  probabilities(l);
  const Matrix own = heads_of(at(layout_.layers[l].qkv), 0);
  void* scores = scratch(space_.scores);
  void* grads = scratch(space_.grads);
  void* dqkv = scratch(space_.wide);
  const Matrix dout = narrow_heads(scratch(space_.narrow));
  const bool left = call_.unit.sliced && !call_.unit.last_slice;
  if (left) {  // what later slices left is where our own gradients begin
    ops_.copy_rows(queue_, z_.tokens, 2 * z_.hidden, at(layout_.layers[l].kv_grad), 2 * z_.hidden,
                   step(dqkv, z_.hidden), 3 * z_.hidden);
  }
  const auto begin = [&](std::size_t q) { return q + 1 < slices() || left ? 1.0F : 0.0F; };
  // Gradients of a slice's keys and values: of its own in dqkv, of earlier ones in their blocks.
  const auto gradient_of = [&](const Keys& of, std::size_t q, std::int64_t part) -> Matrix {
    return q + 1 == slices()
               ? heads_of(dqkv, part)
               : Matrix{step(of.kv_grad, (part - 1) * z_.hidden), 2 * z_.hidden, z_.head};
  };
  for (std::size_t q = 0; q < slices(); ++q) {
    const Keys of = keys(l, q);
    GemmShape values = per_head(of.tokens, z_.head, z_.tokens);
    values.a = kYes;
    values.beta = begin(q);
    ops_.gemm(queue_, values, score_heads(scores, of), dout, gradient_of(of, q, 2));
    GemmShape shape = per_head(z_.tokens, of.tokens, z_.head);
    shape.b = kYes;
    ops_.gemm(queue_, shape, dout, heads_of(of.qkv, 2), score_heads(grads, of));
  }
  ops_.softmax_backward(queue_, z_.heads, z_.tokens, z_.columns, z_.context, scores, grads);
  for (std::size_t q = 0; q < slices(); ++q) {
    const Keys of = keys(l, q);
    GemmShape queries = per_head(z_.tokens, z_.head, of.tokens);
    queries.alpha = attention_scale();
    queries.beta = q == 0 ? 0.0F : 1.0F;
    ops_.gemm(queue_, queries, score_heads(grads, of), heads_of(of.qkv, 1), heads_of(dqkv, 0));
    GemmShape shape = per_head(of.tokens, z_.head, z_.tokens);
    shape.a = kYes;
    shape.alpha = attention_scale();
    shape.beta = begin(q);
    ops_.gemm(queue_, shape, score_heads(grads, of), own, gradient_of(of, q, 1));
  }
}

void StagePass::backward_input(std::size_t l) {
  const LayerLayout& layer = layout_.layers[l];
  const Parameters w = parameters(l);
  const std::int64_t h = z_.hidden;
  float* gradients = call_.weights.gradients;
  void* wide = scratch(space_.wide);
  void* narrow = scratch(space_.narrow);
  void* dy = next(l);
  // Feed-forward: dh over h, dx1 over x1.
  project(dy, h, w.down, wide, z_.ffn, kYes);
  ops_.gelu_backward(queue_, z_.tokens * z_.ffn, wide, at(layer.h));
  project(at(layer.h), z_.ffn, w.up, narrow, h, kYes);
  ops_.rmsnorm_backward(queue_, z_.tokens, h, narrow, at(layer.x1), weight(w.gain2),
                        rstd(layer.rstd2), dy, at(layer.x1), gradients + w.gain2);
  // Attention: dqkv over qkv, once nothing reads keys and values any more; dx over x.
  project(at(layer.x1), h, w.o, narrow, h, kYes);
  attention_backward(l);
  ops_.copy_rows(queue_, z_.tokens, 3 * h, wide, 3 * h, at(layer.qkv), 3 * h);
  project(at(layer.qkv), 3 * h, w.qkv, narrow, h, kYes);
  ops_.rmsnorm_backward(queue_, z_.tokens, h, narrow, at(layer.x), weight(w.gain1),
                        rstd(layer.rstd1), at(layer.x1), at(layer.x), gradients + w.gain1);
}

void StagePass::backward_weight(std::size_t l) {
  const LayerLayout& layer = layout_.layers[l];
  const Parameters w = parameters(l);
  const std::int64_t h = z_.hidden;
  weight_gradient(at(layer.a), z_.ffn, next(l), h, w.down);
  weight_gradient(at(layer.n2), h, at(layer.h), z_.ffn, w.up);
  weight_gradient(at(layer.o), h, at(layer.x1), h, w.o);
  weight_gradient(at(layer.n1), h, at(layer.qkv), 3 * h, w.qkv);
}

}  // namespace

Bytes workspace_bytes(const StageModel& model, std::int32_t stage, std::int32_t element_size) {
  std::size_t elements = 0;
  for (const std::vector<std::int32_t>& microbatch : model.tokens) {
    std::int64_t context = 0;
    for (const std::int32_t tokens : microbatch) {
      elements =
          std::max(elements, workspace_layout(sizes_of(model, stage, tokens, context)).elements);
      context += tokens;
    }
  }
  return align_bytes(static_cast<Bytes>(elements) * element_size);
}

void stage_forward(const StageCall& call) {
  StagePass pass(call);
  for (std::size_t l = 0; l < pass.layers(); ++l) {
    pass.forward(l);
  }
}

void stage_backward_input(const StageCall& call, float loss_scale) {
  StagePass pass(call);
  if (loss_scale > 0.0F) {
    call.ops.scale(call.queue, pass.output_size(), loss_scale, pass.output(), pass.output());
  }
  for (std::size_t l = pass.layers(); l-- > 0;) {
    pass.backward_input(l);
  }
}

void stage_backward_weight(const StageCall& call) {
  StagePass pass(call);
  for (std::size_t l = pass.layers(); l-- > 0;) {
    pass.backward_weight(l);
  }
}

void stage_optimizer(const StageCall& call, float rate, std::int32_t step) {
  call.ops.adam(call.queue, stage_parameters(call.model, call.stage), rate, step,
                call.weights.values, call.weights.gradients, call.weights.first_moment,
                call.weights.second_moment);
}

}  // namespace stagecraft
