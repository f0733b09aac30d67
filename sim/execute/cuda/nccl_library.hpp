// NCCL, loaded when it is first needed: a program built with it starts on a machine without.
#pragma once

#include <nccl.h>

#include <memory>

#include "stagecraft/core/diagnostics.hpp"

namespace stagecraft {

struct NcclLibrary {
  decltype(&ncclGetVersion) version = nullptr;
  decltype(&ncclGetErrorString) error_string = nullptr;
  decltype(&ncclGetLastError) last_error = nullptr;
  decltype(&ncclCommInitAll) init_all = nullptr;
  decltype(&ncclCommDestroy) destroy = nullptr;
  decltype(&ncclCommAbort) abort = nullptr;
  decltype(&ncclCommGetAsyncError) async_error = nullptr;
  decltype(&ncclGroupStart) group_start = nullptr;
  decltype(&ncclGroupEnd) group_end = nullptr;
  decltype(&ncclSend) send = nullptr;
  decltype(&ncclRecv) recv = nullptr;
  decltype(&ncclAllReduce) all_reduce = nullptr;
};

/// Looks where the dynamic loader looks, then in the toolkit that the program was built with. The
/// library stays loaded until the program ends: it has threads of its own.
[[nodiscard]] Result<std::shared_ptr<const NcclLibrary>> open_nccl();

}  // namespace stagecraft
