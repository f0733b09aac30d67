#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "data/lengths/files.hpp"
#include "stagecraft/core/random.hpp"
#include "stagecraft/data/describe.hpp"

using namespace stagecraft;
using data::LengthBucket;
using data::LengthSummary;
using data::Tokens;

namespace {

LengthSummary described(const std::vector<Tokens>& lengths, Tokens context = 0) {
  data::LengthCounter counter(context);
  for (const Tokens length : lengths) {
    counter.add(length);
  }
  return counter.summary();
}

void check_buckets(const std::vector<LengthBucket>& buckets, const std::vector<Tokens>& lengths,
                   bool exact) {
  Tokens above = buckets.front().above;
  std::int64_t sequences = 0;
  Tokens tokens = 0;
  for (const LengthBucket& bucket : buckets) {
    CHECK(bucket.above == above);
    CHECK(bucket.up_to > above);
    std::int64_t count = 0;
    Tokens sum = 0;
    for (const Tokens length : lengths) {
      const bool inside = length > bucket.above && length <= bucket.up_to;
      count += inside ? 1 : 0;
      sum += inside ? length : 0;
    }
    if (exact) {
      CHECK(bucket.sequences == count);
      CHECK(bucket.tokens == sum);
    }
    sequences += bucket.sequences;
    tokens += bucket.tokens;
    above = bucket.up_to;
  }
  CHECK(sequences == std::ssize(lengths));
  CHECK(tokens == std::accumulate(lengths.begin(), lengths.end(), Tokens{0}));
  CHECK(buckets.back().sequences > 0);
}

}  // namespace

TEST_SUITE("data") {
  TEST_CASE("describe: figures of random lengths are those of a sorted list") {
    Random random(11);
    for (int round = 0; round < 40; ++round) {
      const bool exact = round % 2 == 0;
      std::vector<Tokens> lengths(static_cast<std::size_t>(random.uniform(1, 3000)));
      for (Tokens& length : lengths) {
        length = random.uniform(1, Tokens{1} << random.uniform(0, exact ? 20 : 31));
      }
      const LengthSummary s = described(lengths);
      std::sort(lengths.begin(), lengths.end());
      const auto n = static_cast<double>(lengths.size());
      const Tokens total = std::accumulate(lengths.begin(), lengths.end(), Tokens{0});
      CHECK(s.sequences == std::ssize(lengths));
      CHECK(s.tokens == total);
      CHECK(s.shortest == lengths.front());
      CHECK(s.longest == lengths.back());
      CHECK(s.mean == doctest::Approx(static_cast<double>(total) / n));
      double squares = 0.0;
      for (const Tokens length : lengths) {
        squares += std::pow(static_cast<double>(length) - s.mean, 2);
      }
      CHECK(s.deviation == doctest::Approx(std::sqrt(squares / n)).epsilon(1e-6));
      REQUIRE(s.quantiles.size() == 10);
      for (const data::LengthQuantile& q : s.quantiles) {
        const auto rank = static_cast<std::size_t>(std::ceil(q.share * n - 1e-9));
        const Tokens by_sequence = lengths[std::max<std::size_t>(rank, 1) - 1];
        Tokens sum = 0;
        std::size_t i = 0;
        while (static_cast<double>(sum += lengths[i]) <
               q.share * static_cast<double>(total) - 1e-3) {
          ++i;
        }
        const double allowed = exact ? 0.0 : 1e-3;
        CHECK(std::abs(static_cast<double>(q.of_sequences - by_sequence)) <=
              allowed * static_cast<double>(by_sequence));
        CHECK(std::abs(static_cast<double>(q.of_tokens - lengths[i])) <=
              allowed * static_cast<double>(lengths[i]));
      }
      check_buckets(s.buckets, lengths, exact);
      check_buckets(s.curve, lengths, exact);
    }
  }

  TEST_CASE("describe: buckets begin where lengths do") {
    const auto bounds = [](const std::vector<Tokens>& lengths) {
      const auto buckets = described(lengths).buckets;
      return std::pair{buckets.front().above, buckets.front().up_to};
    };
    CHECK(bounds({1, 5000}) == std::pair<Tokens, Tokens>{0, 1024});
    CHECK(bounds({1024, 5000}) == std::pair<Tokens, Tokens>{0, 1024});
    CHECK(bounds({1025, 5000}) == std::pair<Tokens, Tokens>{1024, 2048});
    CHECK(bounds({100'000, 200'000}) == std::pair<Tokens, Tokens>{65'536, 131'072});
    CHECK(bounds({100, 1000}) == std::pair<Tokens, Tokens>{64, 128});
    CHECK(bounds({1}) == std::pair<Tokens, Tokens>{0, 1});
    CHECK(described({1, 5000}).buckets.back().up_to == 8192);
    CHECK(described({1}).curve.size() == 1);
    CHECK(described({data::kLongestSequence}).buckets.back().up_to == data::kLongestSequence);
    CHECK(described({data::kLongestSequence}).curve.back().up_to == data::kLongestSequence);
    // Eight per power of two, empty ones between.
    CHECK(described({1025, 4096}).curve.size() == 16);
  }

  TEST_CASE("describe: a context cuts, and says what it costs") {
    const LengthSummary s = described({10, 20, 30, 40}, 25);
    CHECK(s.tokens == 80);
    CHECK(s.longest == 25);
    CHECK(s.truncated == 2);
    CHECK(s.tokens_cut == 20);
    CHECK(described({25}, 25).truncated == 0);
    CHECK(described({7, 7, 7}).deviation == 0.0);
  }

  TEST_CASE("describe: nothing at all") {
    const LengthSummary s = described({});
    CHECK(s.sequences == 0);
    CHECK(s.quantiles.empty());
    CHECK(s.buckets.empty());
  }

  TEST_CASE("describe: a stream, to its end or a part of it") {
    const test::Folder folder;
    std::string text;
    for (int i = 1; i <= 10'000; ++i) {
      text += std::to_string(i) + "\n";
    }
    const auto lengths = data::parse_lengths(folder.write("a.txt", text));
    const auto part = [&](std::int64_t most) {
      return data::describe_lengths(*data::open_lengths(*lengths, 1), 0, most);
    };
    CHECK(part(0)->sequences == 10'000);
    CHECK(part(5000)->longest == 5000);
    CHECK(part(20'000)->sequences == 10'000);
    const auto bad = data::parse_lengths(folder.write("b.txt", "1\nx\n"));
    CHECK_FALSE(data::describe_lengths(*data::open_lengths(*bad, 1), 0, 0).ok());
    CHECK(data::describe_lengths(*data::open_lengths(*bad, 1), 0, 1).ok());
  }
}
