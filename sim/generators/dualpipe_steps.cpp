#include "dualpipe_steps.hpp"

namespace stagecraft {
namespace {

class StepWriter {
 public:
  StepWriter(OrderWriter& writer, const DualPipeDevice& device, std::vector<Op>& queue)
      : writer_(writer), device_(device), weights_(queue) {
    weights_.clear();
  }

  void forward(std::size_t stream) { writer_.put(next_forward(stream)); }

  void backward(std::size_t stream) { writer_.put(next_backward(stream)); }

  /// B alone; its W joins the device's queue, which both streams share.
  void backward_input(std::size_t stream) {
    Op op = next_backward(stream);
    op.kind = OpKind::kBackwardInput;
    writer_.put(op);
    op.kind = OpKind::kBackwardWeight;
    weights_.push_back(op);
  }

  /// The oldest W of either stream.
  void weight() { writer_.put(weights_[next_weight_++]); }

  void overlapped(std::size_t forward_stream, std::size_t backward_stream) {
    const Op forward = next_forward(forward_stream);
    writer_.put(make_overlapped(forward, next_backward(backward_stream)));
  }

 private:
  Op next_forward(std::size_t stream) {
    const DualPipeStream& s = device_.streams[stream];
    return make_op(OpKind::kForward, forwards_[stream]++, s.stage, 0, s.direction);
  }
  Op next_backward(std::size_t stream) {
    // The backward of a stream runs on the same stage as its forward.
    const DualPipeStream& s = device_.streams[stream];
    return make_op(OpKind::kBackward, backwards_[stream]++, s.stage, 0, s.direction);
  }

  OrderWriter& writer_;
  const DualPipeDevice& device_;
  std::vector<Op>& weights_;
  std::size_t next_weight_ = 0;
  std::array<std::int32_t, 2> forwards_{};
  std::array<std::int32_t, 2> backwards_{};
};

}  // namespace

void write_dualpipe_device(OrderWriter& writer, const DualPipeDevice& device,
                           std::vector<Op>& queue) {
  StepWriter step(writer, device, queue);
  const std::int32_t h = device.distance;
  const std::int32_t inner = device.half - h - 1;  // devices between this one and the meeting point
  for (std::int32_t i = 0; i < 2 * inner; ++i) {   // step 1
    step.forward(0);
  }
  for (std::int32_t i = 0; i <= h; ++i) {  // step 2
    step.forward(0);
    step.forward(1);
  }
  for (std::int32_t i = 0; i < inner; ++i) {  // step 3
    step.backward_input(1);
    step.weight();
    step.forward(1);
  }
  const std::int32_t pairs = device.microbatches - 2 * device.half + h + 1;
  for (std::int32_t i = 0; i < pairs; ++i) {  // step 4
    if (i == 0 && inner == 0) {
      // At the meeting point nothing is lost by running the first pair apart, and its neighbour
      // gets the forward sooner.
      step.forward(0);
      step.backward(1);
    } else {
      step.overlapped(0, 1);
    }
    step.overlapped(1, 0);
  }
  for (std::int32_t i = 0; i < inner; ++i) {  // step 5
    step.backward(1);
    step.overlapped(1, 0);
  }
  bool split = false;  // W is put off in the second half of step 6
  for (std::int32_t i = 0; i <= h; ++i) {
    for (const std::size_t stream : {std::size_t{1}, std::size_t{0}}) {
      split = split || (i == (h + 1) / 2 && (h % 2 == 1) == (stream == 1));
      split ? step.backward_input(stream) : step.backward(stream);
    }
  }
  for (std::int32_t i = 0; i < inner; ++i) {  // step 7
    step.weight();
    step.backward_input(0);
  }
  for (std::int32_t i = 0; i <= h; ++i) {  // step 8
    step.weight();
  }
}

}  // namespace stagecraft
