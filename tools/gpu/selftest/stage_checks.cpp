// F, B and W of a stage on one micro-batch, whole or in slices, against float64.
#include <cstring>
#include <numeric>

#include "selftest/checks.hpp"
#include "stagecraft/execute/stage_compute.hpp"

namespace stagecraft::selftest {
namespace {

/// One stage with everything that it needs on the device; all memory begins as NaN.
class StageRun {
 public:
  StageRun(Checker& checker, const StageModel& model)
      : checker_(checker),
        model_(model),
        element_size_(checker.ops().element_size()),
        weights_(checker.holding(draw_weights())),
        gradients_(checker.holding(std::vector<double>(weights_.count, 0.0), Type::kFloats)),
        workspace_(bytes_as_floats(workspace_bytes(model, 0, element_size_))) {
    const std::vector<std::int32_t>& tokens = model.tokens[0];
    for (const std::int32_t t : tokens) {
      layouts_.push_back(block_layout(model, 0, t, tokens.size() > 1));
      blocks_.push_back(bytes_as_floats(layouts_.back().bytes(element_size_)));
    }
  }

  [[nodiscard]] std::size_t slices() const { return blocks_.size(); }
  [[nodiscard]] const Tensor& weights() const { return weights_; }
  [[nodiscard]] const Tensor& gradients() const { return gradients_; }

  [[nodiscard]] StageCall call(std::size_t slice) {
    StageCall call{checker_.ops(), checker_.queue(), model_, 0, {}, {}, {}};
    call.weights.values = weights_.data;
    call.weights.gradients = gradients_.floats();
    const std::vector<std::int32_t>& tokens = model_.tokens[0];
    call.unit.block = blocks_[slice].data;
    call.unit.tokens = tokens[slice];
    call.unit.sliced = slices() > 1;
    call.unit.last_slice = slice + 1 == slices();
    for (std::size_t q = 0; q < slice; ++q) {
      call.unit.earlier.push_back(blocks_[q].data);
      call.unit.earlier_tokens.push_back(tokens[q]);
    }
    call.workspace = {workspace_.data, workspace_bytes(model_, 0, element_size_)};
    return call;
  }
  /// The [T, H] tensors at both ends of a slice's block, as tensors of their own.
  [[nodiscard]] Tensor input(std::size_t slice) {
    return part(slice, layouts_[slice].layers.front().x);
  }
  [[nodiscard]] Tensor output(std::size_t slice) { return part(slice, layouts_[slice].output); }

  /// Copies what `from` holds into a part of a block.
  void place(const Tensor& from, const Tensor& to) {
    checker_.ops().copy_rows(checker_.queue(), 1, static_cast<std::int64_t>(from.count), from.data,
                             static_cast<std::int64_t>(from.count), to.data,
                             static_cast<std::int64_t>(from.count));
  }
  /// Blocks, workspace and gradients have been written, as they should.
  [[nodiscard]] std::vector<Tensor> written() const {
    std::vector<Tensor> all = blocks_;
    all.push_back(workspace_);
    return all;
  }

 private:
  [[nodiscard]] std::vector<double> draw_weights() {
    std::vector<double> values;
    for (const float value : initial_weights(model_, 0, checker_.random().next())) {
      values.push_back(static_cast<double>(value));
    }
    // Gains of 1 would hide an error in what they multiply.
    const auto h = static_cast<std::size_t>(model_.hidden);
    const std::size_t layer = values.size() / static_cast<std::size_t>(model_.layers[0]);
    for (std::size_t end = layer; end <= values.size(); end += layer) {
      for (std::size_t i = end - 2 * h; i < end; ++i) {
        values[i] += 0.5 * checker_.draw();
      }
    }
    return values;
  }
  [[nodiscard]] Tensor bytes_as_floats(Bytes bytes) {
    return checker_.poisoned(static_cast<std::size_t>(bytes) / sizeof(float), Type::kFloats);
  }
  [[nodiscard]] Tensor part(std::size_t slice, std::size_t offset) {
    Tensor tensor = blocks_[slice];
    tensor.type = Type::kElements;
    tensor.count =
        static_cast<std::size_t>(model_.tokens[0][slice]) * static_cast<std::size_t>(model_.hidden);
    if (tensor.data != nullptr) {
      tensor.data =
          static_cast<std::byte*>(tensor.data) + offset * static_cast<std::size_t>(element_size_);
    }
    return tensor;
  }

  Checker& checker_;
  const StageModel& model_;
  std::int32_t element_size_;
  Tensor weights_, gradients_, workspace_;
  std::vector<BlockLayout> layouts_;
  std::vector<Tensor> blocks_;
};

/// Part of a [tokens, H] matrix that belongs to a slice.
std::vector<double> rows_of(const std::vector<double>& all, const StageModel& model,
                            std::size_t slice) {
  const std::vector<std::int32_t>& tokens = model.tokens[0];
  const auto at = static_cast<std::ptrdiff_t>(slice);
  const std::int64_t h = model.hidden;
  const std::int64_t begin = std::accumulate(tokens.begin(), tokens.begin() + at, std::int64_t{0});
  return {all.begin() + begin * h, all.begin() + (begin + tokens[slice]) * h};
}

/// Measured with the kernels emulated over 20 seeds, then doubled: every one of about ten steps of
/// a layer rounds to 8 bits, and layers add up. A wrong index or a missing term is off by tenths.
Bounds stage_bounds(std::int32_t element_size, std::int32_t layers) {
  const double growth = static_cast<double>(layers + 1);
  return element_size == 2 ? Bounds{0.008 * growth, 0.06 * growth}
                           : Bounds{2e-6 * growth, 4e-5 * growth};
}

void check_stage(Checker& checker, const StageModel& model, const std::string& name, bool graph) {
  const auto issue = [&](const auto& op) { checker.device().issue(op, graph); };
  StageRun run(checker, model);
  std::vector<Tensor> inputs;
  std::vector<Tensor> grads;
  std::vector<double> input;
  std::vector<double> gradient;
  for (std::size_t q = 0; q < run.slices(); ++q) {
    const std::size_t count = run.input(q).count;
    inputs.push_back(checker.random(count));
    grads.push_back(checker.random(count));
    input.insert(input.end(), inputs[q].values.begin(), inputs[q].values.end());
    gradient.insert(gradient.end(), grads[q].values.begin(), grads[q].values.end());
  }
  const ReferenceResult want = reference_stage(model, 0, run.weights().values, input, gradient);
  const Bounds bounds = stage_bounds(checker.ops().element_size(), model.layers[0]);
  const auto of_slice = [&](const std::string& what, std::size_t q) {
    return name + " " + what + (run.slices() > 1 ? " of slice " + std::to_string(q) : "");
  };
  for (std::size_t q = 0; q < run.slices(); ++q) {
    run.place(inputs[q], run.input(q));
    issue([&] { stage_forward(run.call(q)); });
    checker.compare(of_slice("output", q), run.output(q), rows_of(want.output, model, q), bounds);
  }
  for (std::size_t q = run.slices(); q-- > 0;) {
    run.place(grads[q], run.output(q));
    issue([&] { stage_backward_input(run.call(q), 0.0F); });
    checker.compare(of_slice("input gradient", q), run.input(q),
                    rows_of(want.input_gradient, model, q), bounds);
    issue([&] { stage_backward_weight(run.call(q)); });
  }
  checker.compare(name + " weight gradients", run.gradients(), want.weight_gradients, bounds);
  for (const Tensor& tensor : run.written()) {
    checker.expect_written(tensor);
  }
  checker.end(name);
}

StageModel one_stage(std::int32_t hidden, std::int32_t heads, std::int32_t ffn, std::int32_t layers,
                     std::vector<std::int32_t> tokens) {
  return {hidden, heads, {ffn}, {layers}, {std::move(tokens)}};
}

}  // namespace

void check_stages(Checker& checker, Extent extent, bool graphs) {
  const auto check = [&](const StageModel& model, const std::string& name) {
    check_stage(checker, model, name, false);
    if (graphs) {
      check_stage(checker, model, name + " as graphs", true);
    }
  };
  check(one_stage(32, 2, 48, 1, {24}), "stage of 1 layer");
  check(one_stage(24, 3, 40, 2, {13}), "stage of odd sizes");
  check(one_stage(32, 4, 64, 2, {16, 8, 9}), "stage in slices");
  check(one_stage(20, 4, 36, 1, {1, 5}), "stage of one token first");
  if (extent == Extent::kFull) {
    check(one_stage(256, 4, 1024, 2, {192}), "stage of 256 wide");
    check(one_stage(256, 4, 512, 2, {96, 64, 32}), "stage of 256 wide in slices");
  }
}

}  // namespace stagecraft::selftest
