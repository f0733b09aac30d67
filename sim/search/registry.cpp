#include <algorithm>

#include "search/all.hpp"

namespace stagecraft::search {

std::span<const MethodInfo> methods() {
  static const MethodInfo kMethods[] = {stagecraft_method(), adaptis_method(), optpipe_method(),
                                        exact_method()};
  return kMethods;
}

const MethodInfo* find_method(std::string_view name) {
  const auto found =
      std::ranges::find_if(methods(), [&](const MethodInfo& info) { return info.name == name; });
  return found == methods().end() ? nullptr : &*found;
}

}  // namespace stagecraft::search
