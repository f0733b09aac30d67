#include <cstdio>
#include <exception>
#include <new>

#include "commands.hpp"
#include "exit_status.hpp"
#include "output.hpp"

namespace {

int run(int argc, const char* const* argv) {
  using namespace stagecraft::cli;
  int status = kDone;
  const std::optional<Arguments> arguments = parse_arguments(argc, argv, status);
  if (!arguments) {
    return status;
  }
  if (const stagecraft::Diagnostics lost = lost_files(*arguments); !lost.empty()) {
    return fail(lost);
  }
  switch (arguments->command) {
    case Command::kSimulate:
      return run_simulate(*arguments);
    case Command::kCompare:
      return run_compare(*arguments);
    case Command::kSchedule:
      return run_schedule(*arguments);
    case Command::kSearch:
      return run_search(*arguments);
    case Command::kMerge:
      return run_merge(*arguments);
    case Command::kExecute:
      return run_execute(*arguments);
    case Command::kCalibrate:
      return run_calibrate(*arguments);
    case Command::kData:
      return run_data(*arguments);
    case Command::kList:
      return run_list(*arguments);
  }
  return kInternalError;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::bad_alloc&) {
    std::fputs("error: out of memory on this machine\n", stderr);
    return stagecraft::cli::kInfeasible;
  } catch (const std::exception& unexpected) {
    std::fprintf(stderr, "internal error: %s\n", unexpected.what());
  }
  return stagecraft::cli::kInternalError;
}
