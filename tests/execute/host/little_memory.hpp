// Leaves the process little address space, so that threads and large allocations fail.
#pragma once

#include <sys/resource.h>
#include <unistd.h>

#include <fstream>

#include "stagecraft/core/units.hpp"

namespace stagecraft::test {

class LittleMemory {
 public:
  explicit LittleMemory(Bytes more) {
    std::ifstream statm("/proc/self/statm");
    Bytes pages = 0;
    statm >> pages;
    getrlimit(RLIMIT_AS, &before_);
    rlimit now = before_;
    now.rlim_cur = static_cast<rlim_t>(pages * sysconf(_SC_PAGESIZE) + more);
    setrlimit(RLIMIT_AS, &now);
  }
  LittleMemory(const LittleMemory&) = delete;
  LittleMemory& operator=(const LittleMemory&) = delete;
  ~LittleMemory() { setrlimit(RLIMIT_AS, &before_); }

 private:
  rlimit before_{};
};

}  // namespace stagecraft::test
