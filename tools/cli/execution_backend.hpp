// What execute runs on: the host's threads or GPUs, as the command line says.
#pragma once

#include <memory>

#include "arguments.hpp"
#include "stagecraft/execute/backend.hpp"
#include "stagecraft/execute/gpu_api.hpp"
#include "stagecraft/execute/host_backend.hpp"
#include "stagecraft/scenario/scenario.hpp"

namespace stagecraft::cli {

/// A backend and the model that it computes, which must outlive it.
struct OpenBackend {
  std::unique_ptr<StageModel> model;
  std::unique_ptr<ExecutionBackend> backend;
};

class Machine {
 public:
  /// Fails (bad input) if the backend is not there; the hint says how to get it.
  [[nodiscard]] static Result<Machine> open(const MachineArguments& arguments);

  /// True if ops are the scenario's stage computations rather than timed waits.
  [[nodiscard]] bool computes() const;

  /// A backend for one pipeline. Fails if the scenario says nothing of what stages compute or
  /// cannot be cut so, and if the GPUs are too few.
  [[nodiscard]] Result<OpenBackend> backend_for(const Scenario& scenario,
                                                const Pipeline& pipeline) const;

  /// nullptr on the host.
  [[nodiscard]] GpuApi* gpus() const { return api_.get(); }

 private:
  MachineArguments arguments_;
  std::unique_ptr<GpuApi> api_;
};

}  // namespace stagecraft::cli
