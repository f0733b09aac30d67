#include "search/all.hpp"

namespace stagecraft::search {
namespace {

Result<std::unique_ptr<Method>> make(const Problem& /*problem*/, const MethodOptions& /*options*/) {
  return bad_input("method stagecraft is not built yet");
}

}  // namespace

MethodInfo stagecraft_method() {
  return {"stagecraft", "", "", {}, make};
}

}  // namespace stagecraft::search
