// The paper's loop scans all buckets for every sequence and again whenever the target is relaxed.
// Here every bucket waits in one of three heaps: for room (by tokens), for time (by time), or ready
// (by time per token). Because sequences come longest first and the target only rises, the tokens
// and the time that a bucket may have to take the next sequence never fall; so a bucket moves only
// onwards until it takes a sequence, and every sequence sets one bucket back: O(n log n).
//
// Ours where the paper is silent:
// - The order of buckets is kept up to date; among equals the older bucket comes first.
// - Joining a slice costs a sequence no `fixed` of its own; a new bucket costs it.
// - The target is relaxed to the least time among the buckets with room for the sequence. The paper
//   says among all: a full bucket could then set a target that helps nobody, for ever.
#include "data/formation/balanced_buckets.hpp"

#include <functional>
#include <queue>
#include <utility>

#include "stagecraft/core/check.hpp"

namespace stagecraft::data {
namespace {

using Index = std::size_t;

/// The least key first, the lower index among equals.
template <typename Key>
class Heap {
 public:
  void push(Key key, Index bucket) { heap_.emplace(key, bucket); }
  [[nodiscard]] bool empty() const { return heap_.empty(); }
  [[nodiscard]] Key least() const { return heap_.top().first; }
  Index pop() {
    const Index bucket = heap_.top().second;
    heap_.pop();
    return bucket;
  }

 private:
  using Entry = std::pair<Key, Index>;
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> heap_;
};

class Filler {
 public:
  Filler(std::vector<Bucket>& buckets, double fixed, double target, Tokens threshold)
      : buckets_(buckets), fixed_(fixed), target_(target), threshold_(threshold) {
    for (Index i = 0; i < buckets_.size(); ++i) {
      no_room_.push(buckets_[i].tokens, i);
    }
  }

  void add(const Short& next) {
    while (!no_room_.empty() && no_room_.least() + next.tokens <= threshold_) {
      const Index bucket = no_room_.pop();
      no_time_.push(buckets_[bucket].time, bucket);
    }
    if (no_time_.empty() && ready_.empty()) {  // no bucket has room
      buckets_.push_back({fixed_ + next.time, next.tokens, {next.sequence}});
      no_room_.push(next.tokens, buckets_.size() - 1);
      return;
    }
    make_ready(next);
    if (ready_.empty()) {
      target_ = no_time_.least() + next.time;
      make_ready(next);
    }
    const Index chosen = ready_.pop();
    Bucket& bucket = buckets_[chosen];
    bucket.time += next.time;
    bucket.tokens += next.tokens;
    bucket.sequences.push_back(next.sequence);
    no_room_.push(bucket.tokens, chosen);
  }

 private:
  void make_ready(const Short& next) {
    while (!no_time_.empty() && no_time_.least() + next.time <= target_) {
      const Index bucket = no_time_.pop();
      ready_.push(buckets_[bucket].time / static_cast<double>(buckets_[bucket].tokens), bucket);
    }
  }

  std::vector<Bucket>& buckets_;
  double fixed_;
  double target_;
  Tokens threshold_;
  Heap<Tokens> no_room_;  ///< or not yet known to have room
  Heap<double> no_time_;
  Heap<double> ready_;
};

}  // namespace

void fill_buckets(std::vector<Bucket>& buckets, std::span<const Short> shorts, double fixed,
                  double target, Tokens threshold) {
  Filler filler(buckets, fixed, target, threshold);
  for (Index i = 0; i < shorts.size(); ++i) {
    STAGECRAFT_CHECK(i == 0 || shorts[i].tokens <= shorts[i - 1].tokens,
                     "short sequences come longest first");
    filler.add(shorts[i]);
  }
}

}  // namespace stagecraft::data
