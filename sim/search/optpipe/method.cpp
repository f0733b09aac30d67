#include "search/all.hpp"

namespace stagecraft::search {
namespace {

Result<std::unique_ptr<Method>> make(const Problem& /*problem*/, const MethodOptions& /*options*/) {
  return bad_input("method optpipe is not built yet");
}

}  // namespace

MethodInfo optpipe_method() {
  return {"optpipe", "", "", {}, make};
}

}  // namespace stagecraft::search
