// Ops as values: the text form is on the path of every export.
#include <benchmark/benchmark.h>

#include "stagecraft/core/op.hpp"

namespace {

void op_to_text(benchmark::State& state) {
  const stagecraft::Op op = stagecraft::make_op(stagecraft::OpKind::kBackward, 123, 45, 6);
  for (auto _ : state) {
    benchmark::DoNotOptimize(stagecraft::to_string(op));
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(op_to_text);

}  // namespace
