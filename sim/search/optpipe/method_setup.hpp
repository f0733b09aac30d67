// The options of method optpipe.
#pragma once

#include <span>
#include <string>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/search/method.hpp"

namespace stagecraft::search {

struct OptPipeSetup {
  bool cbc = true;
  double seconds = 5.0;
  std::string cache;
};

[[nodiscard]] std::span<const OptionSpec> optpipe_options();

/// Fails (bad input) for unknown options and values out of range.
[[nodiscard]] Result<OptPipeSetup> read_optpipe_setup(const MethodOptions& options);

}  // namespace stagecraft::search
