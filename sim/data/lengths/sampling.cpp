#include "stagecraft/data/sampling.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/core.h>

#include "data/lengths/source.hpp"
#include "stagecraft/core/hash.hpp"
#include "stagecraft/core/random.hpp"
#include "stagecraft/core/text.hpp"

namespace stagecraft::data {
namespace {

constexpr std::int32_t kLargestBatch = 1 << 20;
constexpr std::int32_t kLargestWindow = 1 << 26;

/// Independent random numbers of one seed: lengths, and shuffling in every epoch.
std::uint64_t seed_of(std::uint64_t seed, std::uint64_t purpose, std::int64_t epoch) {
  Hash hash;
  hash.add(seed);
  hash.add(purpose);
  hash.add(epoch);
  return hash.value();
}

void check_range(Diagnostics& failures, std::string_view name, std::int64_t value,
                 std::int64_t least, std::int64_t most) {
  if (value < least || value > most) {
    failures.push_back(bad_input(fmt::format("{} is {}, expected {} to {}", name,
                                             with_thousands(value), least, with_thousands(most))));
  }
}

Diagnostics wrong_options(const SamplingOptions& o, bool read_once) {
  Diagnostics failures;
  check_range(failures, "the global batch", o.global_batch, 1, kLargestBatch);
  check_range(failures, "the context", o.context, 0, kLongestSequence);
  check_range(failures, "the shuffle window", o.shuffle_window, 0, kLargestWindow);
  check_range(failures, "the number of epochs", o.epochs, 0, 1 << 30);
  check_range(failures, "the shortest length", o.shortest, 0, kLongestSequence);
  check_range(failures, "the longest length", o.longest, 0, kLongestSequence);
  if (o.longest > 0 && o.shortest > o.longest) {
    failures.push_back(bad_input(
        fmt::format("the shortest length {} is above the longest, {}", o.shortest, o.longest)));
  }
  if (o.context > 0 && o.shortest > o.context) {
    failures.push_back(bad_input(
        fmt::format("the shortest length {} is above the context, {}", o.shortest, o.context)));
  }
  if (read_once && o.epochs > 1) {
    failures.push_back(
        bad_input(fmt::format("standard input or a pipe can be read once, expected 1 epoch, not {}",
                              o.epochs),
                  "write the lengths to a file first"));
  }
  return failures;
}

}  // namespace

Tokens GlobalBatch::tokens() const {
  Tokens sum = 0;
  for (const Sequence& sequence : sequences) {
    sum += sequence.tokens;
  }
  return sum;
}

Tokens GlobalBatch::longest() const {
  Tokens most = 0;
  for (const Sequence& sequence : sequences) {
    most = std::max(most, sequence.tokens);
  }
  return most;
}

struct BatchSampler::State {
  Lengths lengths;
  SamplingOptions options;
  std::int32_t epochs = 0;  ///< 0: for ever
  SkippedLines skipped;
  LengthSource stream;
  std::array<Tokens, 4096> block{};
  std::size_t block_size = 0, block_at = 0;
  std::int64_t epoch = 0;
  std::int64_t next_id = 0;
  std::int64_t in_vain = 0;  ///< sequences gone over since the last that was wanted
  std::int64_t taken_of_epoch = 0;
  bool ended = false;
  std::vector<Sequence> window;
  Random shuffle{0};
  std::int64_t batches = 0;
  std::optional<GlobalBatch> first;  ///< drawn at open, to know that there is one

  /// Checks the options and opens the first epoch.
  static Result<std::unique_ptr<State>> start(const Lengths& lengths,
                                              const SamplingOptions& options);

  Diagnostics open_epoch() {
    // Only the first epoch counts what it skips: later ones read the same lines.
    Result<LengthSource> opened =
        open_lengths(lengths, seed_of(options.seed, 1, 0), epoch == 0 ? &skipped : nullptr);
    if (!opened) {
      return opened.failures();
    }
    stream = std::move(*opened);
    shuffle = Random(seed_of(options.seed, 2, epoch));
    block_size = block_at = 0;
    taken_of_epoch = 0;
    return {};
  }

  /// The next sequence of the epoch, wanted or not; nothing at the epoch's end.
  Result<std::optional<Sequence>> look() {
    if (block_at == block_size) {
      const Result<std::size_t> got = stream(block);
      if (!got) {
        return got.failures();
      }
      block_size = *got;
      block_at = 0;
      if (block_size == 0) {
        return std::optional<Sequence>{};
      }
    }
    return std::optional<Sequence>{{next_id++, block[block_at++]}};
  }

  /// The next sequence of the epoch that is wanted; nothing at the epoch's end.
  Result<std::optional<Sequence>> read() {
    for (;;) {
      Result<std::optional<Sequence>> sequence = look();
      if (!sequence) {
        return sequence;
      }
      std::optional<Sequence>& found = *sequence;
      if (!found.has_value() || take(*found)) {
        return sequence;
      }
      if (in_vain >= kMostInVain) {
        return bad_input(fmt::format("none of {} sequences {}", with_thousands(in_vain), wanted()));
      }
    }
  }

  /// Truncates it; false if it is not wanted. Counts both.
  bool take(Sequence& sequence) {
    const bool over_long = options.context > 0 && sequence.tokens > options.context;
    if (over_long && options.over_long == OverLong::kTruncate) {
      sequence.tokens = options.context;
    }
    const bool taken = !(over_long && options.over_long == OverLong::kDrop) &&
                       sequence.tokens >= options.shortest &&
                       (options.longest == 0 || sequence.tokens <= options.longest);
    in_vain = taken ? 0 : in_vain + 1;
    taken_of_epoch += taken ? 1 : 0;
    return taken;
  }

  [[nodiscard]] std::string wanted() const {
    Tokens most = options.longest;
    if (options.context > 0 && options.over_long == OverLong::kDrop) {
      most = most == 0 ? options.context : std::min(most, options.context);
    }
    const Tokens least = std::max<Tokens>(options.shortest, 1);
    return most > 0 ? fmt::format("has {} to {} tokens", least, most)
                    : fmt::format("has {} tokens or more", least);
  }

  /// The next sequence through the window and from epoch to epoch; nothing after the last epoch.
  Result<std::optional<Sequence>> draw() {
    for (;;) {
      const auto wide = static_cast<std::size_t>(std::max(options.shuffle_window, 1));
      while (!ended && window.size() < wide) {
        const Result<std::optional<Sequence>> sequence = read();
        if (!sequence) {
          return sequence.failures();
        }
        const std::optional<Sequence>& found = *sequence;
        ended = !found.has_value();
        if (found.has_value()) {
          window.push_back(*found);
        }
      }
      if (!window.empty()) {
        const auto chosen =
            window.size() == 1
                ? std::size_t{0}
                : static_cast<std::size_t>(shuffle.uniform(0, std::ssize(window) - 1));
        const Sequence sequence = window[chosen];
        window[chosen] = window.back();
        window.pop_back();
        return std::optional<Sequence>{sequence};
      }
      // An epoch is dealt out whole before the next one begins.
      if (epochs > 0 && epoch + 1 >= epochs) {
        return std::optional<Sequence>{};
      }
      if (taken_of_epoch == 0) {
        return bad_input(next_id == 0 ? std::string("the data set is empty")
                                      : fmt::format("no sequence of the data set {}", wanted()));
      }
      ++epoch;
      ended = false;
      if (const Diagnostics failures = open_epoch(); !failures.empty()) {
        return failures;
      }
    }
  }

  /// True if an epoch follows that has anything to give; it is not opened yet.
  [[nodiscard]] bool epoch_follows() const {
    return (epochs == 0 || epoch + 1 < epochs) && taken_of_epoch > 0;
  }

  /// See BatchSampler::sample.
  Result<LengthSample> sample(Tokens tokens, std::int64_t count) {
    LengthSample result;
    Tokens sum = 0;
    while (std::ssize(result.batch.sequences) < count && (sum == 0 || sum < tokens) &&
           in_vain < kMostInVain && next_id < kMostLookedAt) {
      Result<std::optional<Sequence>> sequence = look();
      if (!sequence) {
        return sequence.failures();
      }
      std::optional<Sequence>& found = *sequence;
      if (found.has_value()) {
        if (take(*found)) {
          sum += found->tokens;
          result.batch.sequences.push_back(*found);
        }
        continue;
      }
      if (!epoch_follows()) {
        result.whole_data = true;
        break;
      }
      ++epoch;
      if (Diagnostics failures = open_epoch(); !failures.empty()) {
        return failures;
      }
    }
    result.looked_at = next_id;
    return result;
  }

  Result<std::optional<GlobalBatch>> next_batch() {
    GlobalBatch batch;
    batch.index = batches;
    const auto size = static_cast<std::size_t>(options.global_batch);
    while (batch.sequences.size() < size) {
      const Result<std::optional<Sequence>> sequence = draw();
      if (!sequence) {
        return sequence.failures();
      }
      const std::optional<Sequence>& drawn = *sequence;
      if (!drawn.has_value()) {
        break;
      }
      batch.sequences.push_back(*drawn);
    }
    left_over = std::ssize(batch.sequences);
    if (batch.sequences.empty() || (batch.sequences.size() < size && !options.keep_last)) {
      return std::optional<GlobalBatch>{};
    }
    ++batches;
    return std::optional<GlobalBatch>{std::move(batch)};
  }

  std::int64_t left_over = 0;  ///< sequences of the last batch that was drawn
};

BatchSampler::BatchSampler(std::unique_ptr<State> state) : state_(std::move(state)) {}
BatchSampler::BatchSampler(BatchSampler&&) noexcept = default;
BatchSampler& BatchSampler::operator=(BatchSampler&&) noexcept = default;
BatchSampler::~BatchSampler() = default;

Result<std::unique_ptr<BatchSampler::State>> BatchSampler::State::start(
    const Lengths& lengths, const SamplingOptions& options) {
  STAGECRAFT_CHECK(lengths.source != nullptr, "lengths come from parse_lengths");
  const bool read_once = !can_be_read_again(lengths);
  if (Diagnostics failures = wrong_options(options, read_once); !failures.empty()) {
    return failures;
  }
  auto state = std::make_unique<State>();
  state->lengths = lengths;
  state->options = options;
  state->epochs = read_once ? 1 : options.epochs;
  if (Diagnostics failures = state->open_epoch(); !failures.empty()) {
    return failures;
  }
  return state;
}

Result<BatchSampler> BatchSampler::open(const Lengths& lengths, const SamplingOptions& options) {
  Result<std::unique_ptr<State>> started = State::start(lengths, options);
  if (!started) {
    return started.failures();
  }
  std::unique_ptr<State> state = std::move(started).value();
  Result<std::optional<GlobalBatch>> first = state->next_batch();
  if (!first) {
    return first.failures();
  }
  if (!first->has_value()) {
    if (state->next_id == 0) {
      return bad_input(fmt::format("{}: the data set is empty", lengths.text));
    }
    return bad_input(
        state->left_over == 0
            ? fmt::format("{}: no sequence of the data set {}", lengths.text, state->wanted())
            : fmt::format("{}: {} sequences do not fill a global batch of {}", lengths.text,
                          state->left_over, options.global_batch),
        state->left_over == 0 ? ""
                              : "expected a smaller training.global_batch or more data.epochs");
  }
  state->first = std::move(*first);
  return BatchSampler(std::move(state));
}

Result<std::optional<GlobalBatch>> BatchSampler::next() {
  if (state_->first) {
    return std::exchange(state_->first, std::nullopt);
  }
  return state_->next_batch();
}

const SkippedLines& BatchSampler::skipped() const {
  return state_->skipped;
}

Result<LengthSample> BatchSampler::sample(const Lengths& lengths, const SamplingOptions& options,
                                          Tokens tokens, std::int64_t count) {
  Result<std::unique_ptr<State>> state = State::start(lengths, options);
  return state ? (*state)->sample(tokens, count) : Result<LengthSample>(state.failures());
}

}  // namespace stagecraft::data
