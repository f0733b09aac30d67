#include "search/all.hpp"

namespace stagecraft::search {
namespace {

Result<std::unique_ptr<Method>> make(const Problem& /*problem*/, const MethodOptions& /*options*/) {
  return bad_input("method adaptis is not built yet");
}

}  // namespace

MethodInfo adaptis_method() {
  return {"adaptis", "", "", {}, make};
}

}  // namespace stagecraft::search
