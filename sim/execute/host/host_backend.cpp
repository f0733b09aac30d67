#include "stagecraft/execute/host_backend.hpp"

#include <new>
#include <optional>
#include <string>
#include <system_error>

#include "execute/host/board.hpp"
#include "execute/host/host_run.hpp"
#include "execute/host/real_clock.hpp"
#include "execute/host/virtual_clock.hpp"

namespace stagecraft {
namespace {

class HostBackend : public ExecutionBackend {
 public:
  explicit HostBackend(const HostOptions& options) : options_(options) {
    if (options.clock == HostClock::kVirtual) {
      name_ = "host (timed ops, virtual clock)";
    } else {
      name_ = options.wait == HostWait::kSleep ? "host (timed ops, sleeping)"
                                               : "host (timed ops, busy)";
    }
  }
  HostBackend(OpBodies& bodies, std::string name) : bodies_(&bodies), name_(std::move(name)) {}

  [[nodiscard]] std::string name() const override { return name_; }

  [[nodiscard]] Diagnostics refuse(const ExecutionJob& job) const override {
    Diagnostics problems;
    if (job.program.transport != Transport::kPush) {
      problems.push_back(bad_input("the host backend runs programs that push their messages"));
    }
    return problems;
  }

  [[nodiscard]] Result<ExecutionRun> run(const ExecutionJob& job) override {
    if (Diagnostics problems = refuse(job); !problems.empty()) {
      return problems;
    }
    try {
      return run_job(job);
    } catch (const std::system_error& failure) {  // the clock's thread
      return infeasible(std::string("cannot start a thread: ") + failure.what());
    } catch (const std::bad_alloc&) {
      return infeasible("the host has not enough memory to run this");
    }
  }

 private:
  [[nodiscard]] Result<ExecutionRun> run_job(const ExecutionJob& job) {
    Board board(job, bodies_ != nullptr);
    if (options_.clock == HostClock::kVirtual) {
      VirtualClock clock(board);
      return run_with(job, board, clock);
    }
    RealClock clock(board, options_.wait);
    return run_with(job, board, clock);
  }

  [[nodiscard]] Result<ExecutionRun> run_with(const ExecutionJob& job, Board& board,
                                              RunClock& clock) {
    {
      const BoardLock lock(board.mutex);
      board.use(clock);
    }
    return HostRun(job, options_, bodies_, board, clock).run();
  }

  HostOptions options_;
  OpBodies* bodies_ = nullptr;
  std::string name_;
};

}  // namespace

std::unique_ptr<ExecutionBackend> make_host_backend(const HostOptions& options) {
  return std::make_unique<HostBackend>(options);
}

std::unique_ptr<ExecutionBackend> make_host_backend(OpBodies& bodies, const std::string& name) {
  return std::make_unique<HostBackend>(bodies, name);
}

}  // namespace stagecraft
