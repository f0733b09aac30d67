// The processes of an MPI job as the transport of a search. The only place that knows MPI.
#pragma once

#include <memory>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/search/driver.hpp"

namespace stagecraft::cli {

/// Initializes MPI; it is finalized with the transport. At most one at a time.
[[nodiscard]] Result<std::unique_ptr<search::Transport>> make_mpi_transport();

}  // namespace stagecraft::cli
