#include "search_transport.hpp"

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <string_view>

#ifdef STAGECRAFT_HAVE_MPI
#include "mpi_transport.hpp"
#endif

namespace stagecraft::cli {
namespace {

/// The number in an environment variable; 0 if there is none.
int number_of(const char* variable) {
  const char* text = std::getenv(variable);  // NOLINT(concurrency-mt-unsafe): before all threads
  int value = 0;
  if (text != nullptr) {
    std::from_chars(text, text + std::strlen(text), value);
  }
  return value;
}

bool is_set(const char* variable) {
  return std::getenv(variable) != nullptr;  // NOLINT(concurrency-mt-unsafe)
}

}  // namespace

bool started_by_mpi() {
  // Open MPI, MPICH and Intel MPI, PMIx; srun sets the number of tasks also in a batch script,
  // where there is no step yet, and then starts one process.
  return number_of("OMPI_COMM_WORLD_SIZE") > 1 || number_of("PMI_SIZE") > 1 ||
         is_set("PMIX_RANK") ||
         (number_of("SLURM_STEP_NUM_TASKS") > 1 && is_set("SLURM_PROCID") &&
          is_set("SLURM_STEP_ID"));
}

Result<std::unique_ptr<search::Transport>> open_transport(bool asked) {
  if (!asked && !started_by_mpi()) {
    return std::make_unique<search::Transport>();
  }
#ifdef STAGECRAFT_HAVE_MPI
  return make_mpi_transport();
#else
  return bad_input("this program was built without MPI, and one of several processes of an MPI job",
                   "build it with -DSTAGECRAFT_WITH_MPI=ON, or use --shard i/N and `stagecraft "
                   "merge`");
#endif
}

}  // namespace stagecraft::cli
