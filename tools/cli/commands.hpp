// The commands: each takes the arguments and returns the exit status. One file each.
#pragma once

#include "arguments.hpp"

namespace stagecraft::cli {

[[nodiscard]] int run_simulate(const Arguments& arguments);
[[nodiscard]] int run_compare(const Arguments& arguments);
[[nodiscard]] int run_schedule(const Arguments& arguments);
[[nodiscard]] int run_search(const Arguments& arguments);
[[nodiscard]] int run_merge(const Arguments& arguments);
[[nodiscard]] int run_execute(const Arguments& arguments);
[[nodiscard]] int run_calibrate(const Arguments& arguments);
[[nodiscard]] int run_data(const Arguments& arguments);
[[nodiscard]] int run_list(const Arguments& arguments);

}  // namespace stagecraft::cli
