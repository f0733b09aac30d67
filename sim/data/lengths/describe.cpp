#include "stagecraft/data/describe.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "stagecraft/core/check.hpp"

namespace stagecraft::data {
namespace {

constexpr Tokens kExact = Tokens{1} << 20;
// Beyond, 1024 bins per power of two, two numbers each: sequences and tokens.
constexpr int kBinBits = 10;
constexpr int kFirstOctave = 20;
constexpr std::size_t kBins = (31 - kFirstOctave + 1) * (std::size_t{1} << kBinBits);

std::size_t bin_of(Tokens length) {
  const auto value = static_cast<std::uint64_t>(length);
  const int octave = static_cast<int>(std::bit_width(value)) - 1;
  const std::uint64_t inner = (value >> (octave - kBinBits)) & ((1U << kBinBits) - 1U);
  return (static_cast<std::size_t>(octave - kFirstOctave) << kBinBits) + inner;
}

/// A bin of lengths, or all sequences of one length.
struct Bin {
  Tokens longest = 0;  ///< that may lie in it
  std::int64_t sequences = 0;
  Tokens tokens = 0;

  /// What stands for all lengths in it.
  [[nodiscard]] Tokens typical() const {
    return static_cast<Tokens>(
        std::llround(static_cast<double>(tokens) / static_cast<double>(sequences)));
  }
};

std::vector<Bin> bins_of(const std::vector<std::int64_t>& exact,
                         const std::vector<std::int64_t>& coarse) {
  std::vector<Bin> bins;
  for (std::size_t length = 0; length < exact.size(); ++length) {
    if (exact[length] > 0) {
      const auto tokens = static_cast<Tokens>(length);
      bins.push_back({tokens, exact[length], exact[length] * tokens});
    }
  }
  for (std::size_t i = 0; 2 * i < coarse.size(); ++i) {
    if (coarse[2 * i] > 0) {
      const auto octave = static_cast<int>(i >> kBinBits) + kFirstOctave;
      const auto inner = static_cast<Tokens>(i & ((std::size_t{1} << kBinBits) - 1));
      const Tokens width = Tokens{1} << (octave - kBinBits);
      bins.push_back(
          {(Tokens{1} << octave) + (inner + 1) * width - 1, coarse[2 * i], coarse[2 * i + 1]});
    }
  }
  return bins;
}

/// The least whole number that is not below share x total, and at least 1.
std::int64_t needed(double share, std::int64_t total) {
  const double exact = share * static_cast<double>(total);
  // 0.9 x 10 must be 9 although 0.9 is no binary fraction.
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(std::ceil(exact * (1.0 - 1e-12))));
}

std::vector<LengthQuantile> quantiles_of(const std::vector<Bin>& bins, std::int64_t sequences,
                                         Tokens tokens) {
  constexpr std::array kShares = {0.01, 0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95, 0.99, 0.999};
  std::vector<LengthQuantile> quantiles;
  quantiles.reserve(kShares.size());
  for (const double share : kShares) {
    quantiles.push_back({share, 0, 0});
  }
  std::int64_t sequences_seen = 0;
  Tokens tokens_seen = 0;
  std::size_t by_sequence = 0;
  std::size_t by_token = 0;
  for (const Bin& bin : bins) {
    sequences_seen += bin.sequences;
    tokens_seen += bin.tokens;
    for (;
         by_sequence < kShares.size() && sequences_seen >= needed(kShares[by_sequence], sequences);
         ++by_sequence) {
      quantiles[by_sequence].of_sequences = bin.typical();
    }
    for (; by_token < kShares.size() && tokens_seen >= needed(kShares[by_token], tokens);
         ++by_token) {
      quantiles[by_token].of_tokens = bin.typical();
    }
  }
  return quantiles;
}

/// `ends`: ascending, the last one not below the longest bin. Buckets before the first sequence are
/// left out but for what they say about where the first one begins.
std::vector<LengthBucket> buckets_of(const std::vector<Bin>& bins, const std::vector<Tokens>& ends,
                                     Tokens above) {
  std::vector<LengthBucket> buckets;
  for (const Tokens end : ends) {
    buckets.push_back({above, end, 0, 0});
    above = end;
  }
  std::size_t i = 0;
  for (const Bin& bin : bins) {
    const Tokens length = bin.typical();
    while (length > buckets[i].up_to) {
      ++i;
      STAGECRAFT_CHECK(i < buckets.size(), "the last bucket holds the longest sequence");
    }
    buckets[i].sequences += bin.sequences;
    buckets[i].tokens += bin.tokens;
  }
  return buckets;
}

Tokens power_from(Tokens length) {
  return static_cast<Tokens>(std::bit_ceil(static_cast<std::uint64_t>(length)));
}

std::vector<LengthBucket> power_buckets(const std::vector<Bin>& bins, Tokens shortest,
                                        Tokens longest) {
  constexpr Tokens kFirst = 1024;
  const Tokens first =
      longest > kFirst ? std::max(kFirst, power_from(shortest)) : power_from(shortest);
  std::vector<Tokens> ends;
  for (Tokens end = first; ends.empty() || ends.back() < longest; end *= 2) {
    ends.push_back(end);
  }
  const bool from_zero = (first == kFirst && longest > kFirst) || first == 1;
  return buckets_of(bins, ends, from_zero ? 0 : first / 2);
}

std::vector<LengthBucket> curve_buckets(const std::vector<Bin>& bins, Tokens shortest,
                                        Tokens longest) {
  std::vector<Tokens> ends;
  Tokens above = 0;
  for (int step = 0; ends.empty() || ends.back() < longest; ++step) {
    const Tokens end = std::llround(std::ldexp(std::exp2((step % 8) / 8.0), step / 8));
    if (end < shortest) {
      above = end;
    } else if (ends.empty() || end > ends.back()) {  // several steps round to one length below 12
      ends.push_back(end);
    }
  }
  return buckets_of(bins, ends, above);
}

}  // namespace

LengthCounter::LengthCounter(Tokens context) : context_(context) {
  STAGECRAFT_CHECK(context >= 0 && context <= kLongestSequence, "a context is a length or 0");
}

void LengthCounter::add(Tokens length) {
  STAGECRAFT_CHECK(length >= 1 && length <= kLongestSequence, "a length is 1 to 2^31");
  if (context_ > 0 && length > context_) {
    ++truncated_;
    cut_ += length - context_;
    length = context_;
  }
  shortest_ = sequences_ == 0 ? length : std::min(shortest_, length);
  longest_ = std::max(longest_, length);
  ++sequences_;
  tokens_ += length;
  const auto value = static_cast<long double>(length);
  squares_ += value * value;
  if (length <= kExact) {
    const auto index = static_cast<std::size_t>(length);
    if (index >= exact_.size()) {
      exact_.resize(std::min(std::bit_ceil(index + 1), static_cast<std::size_t>(kExact) + 1));
    }
    ++exact_[index];
    return;
  }
  coarse_.resize(2 * kBins);
  const std::size_t bin = bin_of(length);
  ++coarse_[2 * bin];
  coarse_[2 * bin + 1] += length;
}

LengthSummary LengthCounter::summary() const {
  LengthSummary result;
  result.sequences = sequences_;
  result.tokens = tokens_;
  result.shortest = shortest_;
  result.longest = longest_;
  result.truncated = truncated_;
  result.tokens_cut = cut_;
  if (sequences_ == 0) {
    return result;
  }
  const auto count = static_cast<long double>(sequences_);
  const long double mean = static_cast<long double>(tokens_) / count;
  result.mean = static_cast<double>(mean);
  result.deviation = static_cast<double>(std::sqrt(std::max(squares_ / count - mean * mean, 0.0L)));
  const std::vector<Bin> bins = bins_of(exact_, coarse_);
  result.quantiles = quantiles_of(bins, sequences_, tokens_);
  result.buckets = power_buckets(bins, shortest_, longest_);
  result.curve = curve_buckets(bins, shortest_, longest_);
  return result;
}

Result<LengthSummary> describe_lengths(const LengthSource& source, Tokens context,
                                       std::int64_t most) {
  LengthCounter counter(context);
  std::array<Tokens, 4096> block{};
  for (std::int64_t seen = 0; most == 0 || seen < most;) {
    const auto left =
        most == 0 ? std::ssize(block) : std::min<std::int64_t>(std::ssize(block), most - seen);
    const Result<std::size_t> got =
        source(std::span<Tokens>(block).first(static_cast<std::size_t>(left)));
    if (!got) {
      return got.failures();
    }
    if (*got == 0) {
      break;
    }
    for (std::size_t i = 0; i < *got; ++i) {
      counter.add(block[i]);
    }
    seen += static_cast<std::int64_t>(*got);
  }
  return counter.summary();
}

}  // namespace stagecraft::data
