#include "execute/cuda/nccl_library.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include <string>

namespace stagecraft {
namespace {

template <class Call>
void find(void* handle, Call& call, const char* name, std::string& missing) {
  call = reinterpret_cast<Call>(dlsym(handle, name));
  if (call == nullptr) {
    missing += missing.empty() ? name : fmt::format(", {}", name);
  }
}

void* load(std::string& why) {
  for (const char* name : {"libnccl.so.2", STAGECRAFT_CUDA_LIBRARIES "/libnccl.so.2"}) {
    if (void* handle = dlopen(name, RTLD_NOW | RTLD_LOCAL); handle != nullptr) {
      return handle;
    }
    if (why.empty()) {
      why = dlerror();
    }
  }
  return nullptr;
}

}  // namespace

Result<std::shared_ptr<const NcclLibrary>> open_nccl() {
  std::string why;
  void* handle = load(why);
  const char* hint = "install NCCL 2 (libnccl2), or set LD_LIBRARY_PATH to its folder";
  if (handle == nullptr) {
    return bad_input(fmt::format("NCCL, which connects GPUs, cannot be loaded: {}", why), hint);
  }
  auto calls = std::make_shared<NcclLibrary>();
  std::string missing;
  find(handle, calls->version, "ncclGetVersion", missing);
  find(handle, calls->error_string, "ncclGetErrorString", missing);
  find(handle, calls->last_error, "ncclGetLastError", missing);
  find(handle, calls->init_all, "ncclCommInitAll", missing);
  find(handle, calls->destroy, "ncclCommDestroy", missing);
  find(handle, calls->abort, "ncclCommAbort", missing);
  find(handle, calls->async_error, "ncclCommGetAsyncError", missing);
  find(handle, calls->group_start, "ncclGroupStart", missing);
  find(handle, calls->group_end, "ncclGroupEnd", missing);
  find(handle, calls->send, "ncclSend", missing);
  find(handle, calls->recv, "ncclRecv", missing);
  find(handle, calls->all_reduce, "ncclAllReduce", missing);
  if (!missing.empty()) {
    return bad_input(fmt::format("the NCCL library does not have {}", missing), hint);
  }
  return std::shared_ptr<const NcclLibrary>(std::move(calls));
}

}  // namespace stagecraft
