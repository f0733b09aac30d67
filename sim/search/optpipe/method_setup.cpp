#include "search/optpipe/method_setup.hpp"

#include <cstdlib>

#include <fmt/core.h>

namespace stagecraft::search {
namespace {

constexpr OptionSpec kOptions[] = {
    {"solver", "", "cbc", "cbc | stagecraft",
     "who solves the model: CBC, a program of its own (the result then depends on the machine's "
     "speed), or our own search and SAT solver"},
    {"seconds", "s", "5", "1 to 3600",
     "CBC's time limit in the first round; it doubles from round to round"},
    {"cache", "folder", "", "a path",
     "keep solved instances there, and take what is there for equal ones"},
};

}  // namespace

std::span<const OptionSpec> optpipe_options() {
  return kOptions;
}

Result<OptPipeSetup> read_optpipe_setup(const MethodOptions& options) {
  OptPipeSetup setup;
  for (const auto& [name, value] : options.options) {
    if (name == "solver") {
      if (value != "cbc" && value != "stagecraft") {
        return bad_input(fmt::format("option 'solver' is '{}', expected cbc or stagecraft", value));
      }
      setup.cbc = value == "cbc";
    } else if (name == "seconds") {
      char* end = nullptr;
      setup.seconds = std::strtod(value.c_str(), &end);
      if (value.empty() || *end != '\0' || !(setup.seconds >= 1.0 && setup.seconds <= 3600.0)) {
        return bad_input(fmt::format("option 'seconds' is '{}', expected 1 to 3600", value));
      }
    } else if (name == "cache") {
      setup.cache = value;
    } else {
      return bad_input(fmt::format("method optpipe has no option '{}'", name),
                       "its options are solver, seconds and cache");
    }
  }
  return setup;
}

}  // namespace stagecraft::search
