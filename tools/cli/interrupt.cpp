#include "interrupt.hpp"

#include <csignal>
#include <cstdlib>

namespace stagecraft::cli {
namespace {

// A handler may touch nothing else; reset between commands is not needed, one runs per process.
volatile std::sig_atomic_t interrupted = 0;

void on_interrupt(int signal) {
  interrupted = 1;
  std::signal(signal, SIG_DFL);
}

}  // namespace

Interrupt::Interrupt(bool on_term) : on_term_(on_term) {
  std::signal(SIGINT, on_interrupt);
  if (on_term_) {
    std::signal(SIGTERM, on_interrupt);
  }
}

Interrupt::~Interrupt() {
  std::signal(SIGINT, SIG_DFL);
  if (on_term_) {
    std::signal(SIGTERM, SIG_DFL);
  }
}

bool Interrupt::requested() {
  return interrupted != 0;
}

void Interrupt::obey() {
  std::signal(SIGINT, SIG_DFL);
  std::raise(SIGINT);
  std::abort();
}

}  // namespace stagecraft::cli
