// The methods that registry.cpp lists, one folder each.
#pragma once

#include "stagecraft/search/method.hpp"

namespace stagecraft::search {

[[nodiscard]] MethodInfo stagecraft_method();
[[nodiscard]] MethodInfo adaptis_method();
[[nodiscard]] MethodInfo optpipe_method();
[[nodiscard]] MethodInfo exact_method();

}  // namespace stagecraft::search
