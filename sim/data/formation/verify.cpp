// The one verifier of formations. It follows the pieces in the order in which they run and knows
// nothing of the methods.
#include <limits>

#include <fmt/core.h>

#include "data/formation/inputs.hpp"
#include "stagecraft/data/formation.hpp"

namespace stagecraft::data {
namespace {

constexpr std::size_t kMostFaults = 8;

/// How far a sequence has come.
struct Progress {
  std::size_t microbatch = 0;  ///< of its pieces so far, if end > 0
  std::size_t slice = 0;       ///< of its last piece
  Tokens end = 0;              ///< tokens seen
  bool faulty = false;         ///< named once; the rest of it would only repeat that
};

class Verifier {
 public:
  Verifier(const GlobalBatch& batch, const FormationLimits& limits)
      : batch_(batch), limits_(limits), progress_(batch.sequences.size()) {}

  Diagnostics run(const Formation& formation) {
    for (std::size_t m = 0; m < formation.microbatches.size(); ++m) {
      const MicroBatch& microbatch = formation.microbatches[m];
      if (microbatch.slices.empty()) {
        fault(fmt::format("micro-batch {} has no slice", m));
      }
      Tokens padded = 0;
      for (std::size_t s = 0; s < microbatch.slices.size(); ++s) {
        padded = add(padded, check_slice(microbatch.slices[s], m, s));
      }
      if (limits_.microbatch > 0 && padded > limits_.microbatch) {
        fault(fmt::format("micro-batch {} has {} tokens with padding, the limit is {}", m, padded,
                          limits_.microbatch));
      }
    }
    check_ends();
    if (more_ > 0) {
      faults_.push_back(bad_input(fmt::format("{} more faults of the formation", more_)));
    }
    return std::move(faults_);
  }

 private:
  static Tokens add(Tokens a, Tokens b) {  // a formation from elsewhere may hold any number
    return b > std::numeric_limits<Tokens>::max() - a ? std::numeric_limits<Tokens>::max() : a + b;
  }

  static std::string place(std::size_t microbatch, std::size_t slice) {
    return fmt::format("slice {} of micro-batch {}", slice, microbatch);
  }

  void fault(std::string message) {
    if (faults_.size() < kMostFaults) {
      faults_.push_back(bad_input(std::move(message)));
    } else {
      ++more_;
    }
  }

  /// Returns its padded tokens.
  Tokens check_slice(const Slice& slice, std::size_t m, std::size_t s) {
    if (slice.pieces.empty()) {
      fault(place(m, s) + " is empty");
    }
    Tokens padded = 0;
    for (const Piece& piece : slice.pieces) {
      padded = add(padded, piece.padded > 0 ? piece.padded : 0);
      if (piece.sequence < 0 || static_cast<std::size_t>(piece.sequence) >= progress_.size()) {
        fault(fmt::format("{} names sequence {}, the batch has {} sequences", place(m, s),
                          piece.sequence, progress_.size()));
        continue;
      }
      const auto sequence = static_cast<std::size_t>(piece.sequence);
      if (progress_[sequence].faulty) {
        continue;
      }
      if (std::string wrong = check_piece(piece, sequence, m, s); !wrong.empty()) {
        progress_[sequence].faulty = true;
        fault(std::move(wrong));
      }
    }
    if (limits_.slice > 0 && padded > limits_.slice) {
      fault(fmt::format("{} has {} tokens with padding, the limit is {}", place(m, s), padded,
                        limits_.slice));
    }
    return padded;
  }

  /// What is wrong with the next piece of its sequence; "": nothing.
  std::string check_piece(const Piece& piece, std::size_t sequence, std::size_t m, std::size_t s) {
    Progress& so_far = progress_[sequence];
    const Tokens length = batch_.sequences[sequence].tokens;
    if (piece.tokens < 1) {
      return fmt::format("{} takes {} tokens of {}, expected at least 1", place(m, s), piece.tokens,
                         name_of(batch_, sequence));
    }
    if (piece.padded < piece.tokens) {
      return fmt::format("{} pads {} tokens of {} to only {}", place(m, s), piece.tokens,
                         name_of(batch_, sequence), piece.padded);
    }
    if (so_far.end > 0 && so_far.microbatch != m) {
      return fmt::format("{} stands in micro-batches {} and {}, expected one",
                         name_of(batch_, sequence), so_far.microbatch, m);
    }
    if (so_far.end > 0 && so_far.slice == s) {
      return fmt::format("{} stands twice in {}", name_of(batch_, sequence), place(m, s));
    }
    if (piece.begin != so_far.end) {
      return fmt::format("{} goes on at token {} in {}, expected token {}",
                         name_of(batch_, sequence), piece.begin, place(m, s), so_far.end);
    }
    if (piece.tokens > length - piece.begin) {
      return fmt::format("{} takes tokens {} and {} more of {}, which has {} tokens", place(m, s),
                         piece.begin, piece.tokens - 1, name_of(batch_, sequence), length);
    }
    so_far = {m, s, piece.begin + piece.tokens, false};
    return {};
  }

  void check_ends() {
    for (std::size_t i = 0; i < progress_.size(); ++i) {
      const Tokens end = progress_[i].end;
      const Tokens length = batch_.sequences[i].tokens;
      if (progress_[i].faulty || end == length) {
        continue;
      }
      fault(end == 0 ? fmt::format("{} stands in no micro-batch", name_of(batch_, i))
                     : fmt::format("{} ends after {} of its {} tokens", name_of(batch_, i), end,
                                   length));
    }
  }

  const GlobalBatch& batch_;
  const FormationLimits& limits_;
  std::vector<Progress> progress_;
  Diagnostics faults_;
  std::size_t more_ = 0;
};

}  // namespace

Diagnostics verify_formation(const GlobalBatch& batch, const Formation& formation,
                             const FormationLimits& limits) {
  return Verifier(batch, limits).run(formation);
}

}  // namespace stagecraft::data
