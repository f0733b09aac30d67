#include "search/all.hpp"

namespace stagecraft::search {
namespace {

Result<std::unique_ptr<Method>> make(const Problem& /*problem*/, const MethodOptions& /*options*/) {
  return bad_input("method exact is not built yet");
}

}  // namespace

MethodInfo exact_method() {
  return {"exact", "", "", {}, make};
}

}  // namespace stagecraft::search
