#include "execution_backend.hpp"

#include <utility>

namespace stagecraft::cli {

Result<Machine> Machine::open(const MachineArguments& arguments) {
  Machine machine;
  machine.arguments_ = arguments;
  return machine;
}

bool Machine::computes() const {
  return false;
}

Result<OpenBackend> Machine::backend_for(const Scenario&, const Pipeline&) const {
  OpenBackend open;
  const HostWait wait = arguments_.body == "busy" ? HostWait::kBusy : HostWait::kSleep;
  open.backend = make_host_backend({.wait = wait});
  return open;
}

}  // namespace stagecraft::cli
