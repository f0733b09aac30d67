#include "execution_backend.hpp"

#include <utility>

#include "stagecraft/execute/blas_bodies.hpp"
#include "stagecraft/execute/gpu_backend.hpp"

namespace stagecraft::cli {

Result<Machine> Machine::open(const MachineArguments& arguments) {
  Machine machine;
  machine.arguments_ = arguments;
  if (arguments.backend == "cuda") {
    Result<std::unique_ptr<GpuApi>> api = open_cuda();
    if (!api) {
      return api.failures();
    }
    machine.api_ = std::move(api).value();
  }
  return machine;
}

bool Machine::computes() const {
  return api_ != nullptr || arguments_.body == "stage";
}

Result<OpenBackend> Machine::backend_for(const Scenario& scenario, const Pipeline& pipeline) const {
  OpenBackend open;
  if (!computes()) {
    const HostWait wait = arguments_.body == "busy" ? HostWait::kBusy : HostWait::kSleep;
    open.backend = make_host_backend({.wait = wait});
    return open;
  }
  Result<StageModel> model = model_of(scenario, pipeline);
  if (!model) {
    return model.failures();
  }
  open.model = std::make_unique<StageModel>(std::move(model).value());
  if (api_ == nullptr) {
    open.backend = make_blas_backend(*open.model);
    return open;
  }
  GpuOptions options;
  options.use = arguments_.gpus == "whole"     ? GpuUse::kWhole
                : arguments_.gpus == "divided" ? GpuUse::kDivided
                                               : GpuUse::kAuto;
  options.graphs = !arguments_.no_graphs;
  auto backend = make_gpu_backend(*api_, *open.model, pipeline, options);
  if (!backend) {
    return backend.failures();
  }
  open.backend = std::move(backend).value();
  return open;
}

}  // namespace stagecraft::cli
