// Global batches drawn from a data set: truncation, shuffling, epochs, all from one seed.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/data/lengths.hpp"

namespace stagecraft::data {

struct Sequence {
  std::int64_t id = 0;  ///< its place in the data set, counted from 0 through all epochs
  Tokens tokens = 0;    ///< after truncation

  friend bool operator==(const Sequence&, const Sequence&) = default;
};

/// The sequences of one iteration.
struct GlobalBatch {
  std::int64_t index = 0;
  std::vector<Sequence> sequences;

  [[nodiscard]] Tokens tokens() const;   ///< sum
  [[nodiscard]] Tokens longest() const;  ///< 0 if empty
};

/// What becomes of a sequence longer than the context.
enum class OverLong : std::uint8_t { kTruncate, kDrop };

struct SamplingOptions {
  std::int32_t global_batch = 512;  ///< sequences per iteration, 1 to 2^20
  Tokens context = 0;               ///< longest sequence; 0: no limit
  OverLong over_long = OverLong::kTruncate;
  std::uint64_t seed = 1;
  /// Sequences are drawn at random from a window of so many, as data loaders do; 0 or 1: in order.
  std::int32_t shuffle_window = 0;
  /// How often a finite data set is read; 0: for ever. A last batch that is not full is dropped
  /// unless keep_last.
  std::int32_t epochs = 0;
  bool keep_last = false;
  /// Only sequences of these lengths (after truncation): a length regime. 0: no limit.
  Tokens shortest = 0;
  Tokens longest = 0;
};

/// Sequences of some lengths alone, and how they were come by.
struct LengthSample {
  GlobalBatch batch;           ///< in the order of the data; may be empty
  std::int64_t looked_at = 0;  ///< sequences, of all lengths and epochs
  bool whole_data = false;     ///< the data have no more
};

inline constexpr std::int64_t kMostInVain = 1'000'000;     ///< other lengths in a row
inline constexpr std::int64_t kMostLookedAt = 10'000'000;  ///< in all, by BatchSampler::sample

/// Deals out a data set in global batches, in one pass and with memory for the window alone.
class BatchSampler {
 public:
  /// Fails (bad input) on options out of range, on a data set that cannot be opened, and on one
  /// that cannot fill one batch (empty, or nothing of the wanted lengths in a million sequences).
  [[nodiscard]] static Result<BatchSampler> open(const Lengths& lengths,
                                                 const SamplingOptions& options);
  /// Sequences of options.shortest to options.longest tokens in the order of the data, at least
  /// one, until they have `tokens` tokens together or are `count`. Ends before if the data do, or
  /// after kMostInVain other sequences in a row or kMostLookedAt in all. Of the options, those
  /// about global batches and shuffling do not matter. Bad input where options are out of range or
  /// the data cannot be read.
  [[nodiscard]] static Result<LengthSample> sample(const Lengths& lengths,
                                                   const SamplingOptions& options, Tokens tokens,
                                                   std::int64_t count);
  BatchSampler(BatchSampler&&) noexcept;
  BatchSampler& operator=(BatchSampler&&) noexcept;
  ~BatchSampler();

  /// The next batch, or nothing after the last one.
  [[nodiscard]] Result<std::optional<GlobalBatch>> next();

  [[nodiscard]] const SkippedLines& skipped() const;

 private:
  struct State;
  explicit BatchSampler(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace stagecraft::data
