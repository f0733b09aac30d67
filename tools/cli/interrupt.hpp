// Ctrl-C while a command works: the first one asks it to stop between two steps, so that no file is
// left half written and the terminal is put right; the second one ends the program at once.
#pragma once

namespace stagecraft::cli {

class Interrupt {
 public:
  /// `on_term`: what ends jobs of clusters (SIGTERM) is heard as Ctrl-C too.
  explicit Interrupt(bool on_term = false);
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  [[nodiscard]] static bool requested();

  /// Ends the program as the signal would have.
  [[noreturn]] static void obey();

 private:
  bool on_term_;
};

}  // namespace stagecraft::cli
