#include "execution_backend.hpp"

#include <utility>

#include "stagecraft/execute/blas_bodies.hpp"

namespace stagecraft::cli {

Result<Machine> Machine::open(const MachineArguments& arguments) {
  Machine machine;
  machine.arguments_ = arguments;
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
  open.backend = make_blas_backend(*open.model);
  return open;
}

}  // namespace stagecraft::cli
