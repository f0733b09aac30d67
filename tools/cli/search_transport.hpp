// How the processes of a search find each other: MPI where the program was started by it, else not
// at all.
#pragma once

#include <memory>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/search/driver.hpp"

namespace stagecraft::cli {

/// The transport of this process. MPI is initialized only if the environment says that mpirun or
/// srun started the program, or if `asked`; it ends with the transport. Fails (bad input) where
/// there are several processes but the program was built without MPI.
[[nodiscard]] Result<std::unique_ptr<search::Transport>> open_transport(bool asked);

/// True if the environment says that MPI started this process as one of several.
[[nodiscard]] bool started_by_mpi();

}  // namespace stagecraft::cli
