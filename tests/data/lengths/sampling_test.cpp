#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include <fmt/core.h>

#include "data/lengths/files.hpp"
#include "stagecraft/data/sampling.hpp"

using namespace stagecraft;
using data::BatchSampler;
using data::GlobalBatch;
using data::SamplingOptions;
using data::Sequence;
using data::Tokens;
using test::has;

namespace {

data::Lengths parsed(std::string_view text, const data::FileOptions& options = {}) {
  Result<data::Lengths> lengths = data::parse_lengths(text, options);
  REQUIRE_MESSAGE(lengths.ok(), to_string(lengths.failures()));
  return std::move(*lengths);
}

/// At most `most` batches.
std::vector<GlobalBatch> batches(const data::Lengths& lengths, const SamplingOptions& options,
                                 std::size_t most = 1000) {
  Result<BatchSampler> sampler = BatchSampler::open(lengths, options);
  REQUIRE_MESSAGE(sampler.ok(), to_string(sampler.failures()));
  std::vector<GlobalBatch> all;
  while (all.size() < most) {
    Result<std::optional<GlobalBatch>> batch = sampler->next();
    REQUIRE(batch.ok());
    if (!batch->has_value()) {
      break;
    }
    CHECK((*batch)->index == std::ssize(all));
    all.push_back(std::move(**batch));
  }
  return all;
}

std::string failure(const data::Lengths& lengths, const SamplingOptions& options) {
  const Result<BatchSampler> sampler = BatchSampler::open(lengths, options);
  return sampler ? "" : to_string(sampler.failures());
}

std::string numbers(int count) {
  std::string text;
  for (int i = 1; i <= count; ++i) {
    text += fmt::format("{}\n", i);
  }
  return text;
}

SamplingOptions of_batch(std::int32_t size, std::int32_t epochs = 1) {
  SamplingOptions options;
  options.global_batch = size;
  options.epochs = epochs;
  return options;
}

}  // namespace

TEST_SUITE("data") {
  TEST_CASE("sampling: sequences of some lengths until there are enough tokens") {
    const test::Folder folder;
    const data::Lengths ten = parsed(folder.write("ten.txt", numbers(10)));
    SamplingOptions options = of_batch(4, 0);
    options.shortest = 4;
    options.longest = 6;
    const auto sampled = [&](const data::Lengths& lengths, Tokens tokens, std::int64_t count) {
      const Result<data::LengthSample> sample =
          BatchSampler::sample(lengths, options, tokens, count);
      REQUIRE_MESSAGE(sample.ok(), to_string(sample.failures()));
      return *sample;
    };
    data::LengthSample sample = sampled(ten, 9, 100);
    CHECK(sample.batch.sequences == std::vector<Sequence>{{3, 4}, {4, 5}});
    CHECK(sample.looked_at == 5);
    CHECK(!sample.whole_data);
    // At least one, at most `count`, from epoch to epoch.
    CHECK(sampled(ten, 0, 100).batch.sequences == std::vector<Sequence>{{3, 4}});
    CHECK(sampled(ten, 1'000, 5).batch.sequences ==
          std::vector<Sequence>{{3, 4}, {4, 5}, {5, 6}, {13, 4}, {14, 5}});
    options.epochs = 1;
    sample = sampled(ten, 1'000, 100);
    CHECK(sample.batch.tokens() == 15);
    CHECK(sample.looked_at == 10);
    CHECK(sample.whole_data);
    // Nothing in the whole data, and nothing in a million sequences of endless data.
    options.epochs = 0;
    options.shortest = 11;
    options.longest = 0;
    sample = sampled(ten, 10, 100);
    CHECK(sample.batch.sequences.empty());
    CHECK(sample.looked_at == 10);
    CHECK(sample.whole_data);
    sample = sampled(parsed("constant(10)"), 10, 100);
    CHECK(sample.batch.sequences.empty());
    CHECK(sample.looked_at == data::kMostInVain);
    CHECK(!sample.whole_data);
    // A few of them in ten million.
    options.shortest = 2;
    sample = sampled(parsed("mix(99999 constant(1), 1 constant(2))"), 1'000'000, 1'000'000);
    CHECK(sample.looked_at <= data::kMostLookedAt);
    CHECK(sample.batch.sequences.size() > 0);
    CHECK(sample.batch.sequences.size() < 1'000);
    CHECK(!sample.whole_data);
  }

  TEST_CASE("sampling: a sample of lengths fails where the data cannot be read") {
    const test::Folder folder;
    const data::Lengths lengths = parsed(folder.write("x.txt", "1\n2\nx\n"));
    SamplingOptions options = of_batch(1);
    options.shortest = 2;
    CHECK(BatchSampler::sample(lengths, options, 2, 10).ok());
    const Result<data::LengthSample> sample = BatchSampler::sample(lengths, options, 3, 10);
    REQUIRE(!sample.ok());
    CHECK(has(to_string(sample.failures()), "x.txt:3:1: error: 'x' is not a whole number"));
    options.global_batch = 0;
    CHECK(!BatchSampler::sample(lengths, options, 2, 10).ok());
  }

  TEST_CASE("sampling: batches in order; the last one is dropped or kept") {
    const test::Folder folder;
    const data::Lengths ten = parsed(folder.write("ten.txt", numbers(10)));
    SamplingOptions options = of_batch(4);
    auto all = batches(ten, options);
    REQUIRE(all.size() == 2);
    CHECK(all[1].sequences == std::vector<Sequence>{{4, 5}, {5, 6}, {6, 7}, {7, 8}});
    CHECK(all[1].tokens() == 26);
    CHECK(all[1].longest() == 8);
    options.keep_last = true;
    all = batches(ten, options);
    REQUIRE(all.size() == 3);
    CHECK(all[2].sequences == std::vector<Sequence>{{8, 9}, {9, 10}});
    // Epochs follow each other within a batch; places are counted on.
    options = of_batch(4, 2);
    all = batches(ten, options);
    REQUIRE(all.size() == 5);
    CHECK(all[2].sequences == std::vector<Sequence>{{8, 9}, {9, 10}, {10, 1}, {11, 2}});
    CHECK(batches(ten, of_batch(4, 0), 100).size() == 100);
    CHECK(GlobalBatch{}.longest() == 0);
  }

  TEST_CASE("sampling: over-long sequences are truncated or dropped; regimes are picked after it") {
    const test::Folder folder;
    const data::Lengths ten = parsed(folder.write("ten.txt", numbers(10)));
    SamplingOptions options = of_batch(10);
    options.context = 7;
    CHECK(batches(ten, options).at(0).tokens() == 28 + 21);
    options.over_long = data::OverLong::kDrop;
    CHECK(has(failure(ten, options), "7 sequences do not fill a global batch of 10"));
    options.global_batch = 7;
    CHECK(batches(ten, options).at(0).longest() == 7);
    options = of_batch(3);
    options.shortest = 4;
    options.longest = 6;
    CHECK(batches(ten, options).at(0).sequences == std::vector<Sequence>{{3, 4}, {4, 5}, {5, 6}});
    options = of_batch(5);
    options.context = 6;
    options.shortest = 6;  // of the context's length, mostly by truncation
    CHECK(batches(ten, options).at(0).sequences ==
          std::vector<Sequence>{{5, 6}, {6, 6}, {7, 6}, {8, 6}, {9, 6}});
  }

  TEST_CASE("sampling: every epoch deals out each sequence once, in an order of its own") {
    const test::Folder folder;
    const data::Lengths set = parsed(folder.write("a.txt", numbers(300)));
    for (const std::int32_t window : {2, 7, 64, 300, 10'000}) {
      CAPTURE(window);
      SamplingOptions options = of_batch(100, 2);
      options.shuffle_window = window;
      const auto all = batches(set, options);
      REQUIRE(all.size() == 6);
      std::vector<Tokens> epochs[2];
      for (std::size_t b = 0; b < 6; ++b) {
        for (const Sequence& sequence : all[b].sequences) {
          CHECK(sequence.id % 300 + 1 == sequence.tokens);
          CHECK(sequence.id / 300 == static_cast<std::int64_t>(b / 3));
          // The window bounds how early a sequence can come.
          epochs[b / 3].push_back(sequence.tokens);
          CHECK(sequence.tokens <= std::ssize(epochs[b / 3]) + window - 1);
        }
      }
      CHECK(epochs[0] != epochs[1]);
      for (auto& epoch : epochs) {
        CHECK(std::set<Tokens>(epoch.begin(), epoch.end()).size() == 300);
      }
      // The same again; another seed, another order.
      const auto again = batches(set, options);
      CHECK(again[3].sequences == all[3].sequences);
      options.seed = 2;
      CHECK(batches(set, options)[0].sequences != all[0].sequences);
    }
  }

  TEST_CASE("sampling: a window as wide as the set shuffles evenly") {
    const test::Folder folder;
    const data::Lengths set = parsed(folder.write("a.txt", numbers(4)));
    std::array<int, 4> first{};
    SamplingOptions options = of_batch(4);
    options.shuffle_window = 4;
    for (std::uint64_t seed = 0; seed < 800; ++seed) {
      options.seed = seed;
      ++first[static_cast<std::size_t>(batches(set, options)[0].sequences[0].id)];
    }
    for (const int count : first) {
      CHECK(count > 140);  // 200 expected, standard deviation 12
      CHECK(count < 260);
    }
  }

  TEST_CASE("sampling: what is synthetic has no end and depends on the seed alone") {
    const data::Lengths github = parsed("github");
    SamplingOptions options = of_batch(64, 0);
    options.context = 48 * 1024;
    options.shuffle_window = 100;
    const auto a = batches(github, options, 5);
    CHECK(a.size() == 5);
    CHECK(batches(github, options, 5)[4].sequences == a[4].sequences);
    // The lengths are the same whatever the window: only their order is not.
    options.shuffle_window = 0;
    const auto b = batches(github, options, 5);
    std::vector<Tokens> in_order;
    for (const GlobalBatch& batch : b) {
      for (const Sequence& sequence : batch.sequences) {
        in_order.push_back(sequence.tokens);
      }
    }
    for (const GlobalBatch& batch : a) {
      for (const Sequence& sequence : batch.sequences) {
        if (sequence.id < std::ssize(in_order)) {
          CHECK(in_order[static_cast<std::size_t>(sequence.id)] == sequence.tokens);
        }
      }
    }
  }

  TEST_CASE("sampling: options out of range and sets that fill no batch are refused") {
    const test::Folder folder;
    const data::Lengths ten = parsed(folder.write("ten.txt", numbers(10)));
    const data::Lengths github = parsed("github");
    const auto with = [](auto&& change) {
      SamplingOptions options = of_batch(4);
      change(options);
      return options;
    };
    CHECK(has(failure(ten, of_batch(0)), "the global batch is 0, expected 1 to 1 048 576"));
    CHECK(has(failure(ten, of_batch((1 << 20) + 1)), "the global batch is"));
    CHECK(has(failure(ten, of_batch(4, -1)), "the number of epochs is -1"));
    CHECK(has(failure(ten, with([](auto& o) { o.context = -1; })), "the context is -1"));
    CHECK(has(failure(ten, with([](auto& o) { o.shuffle_window = -1; })), "the shuffle window"));
    CHECK(has(failure(ten, with([](auto& o) {
                        o.shortest = 5;
                        o.longest = 4;
                      })),
              "the shortest length 5 is above the longest, 4"));
    CHECK(has(failure(ten, with([](auto& o) {
                        o.shortest = 5;
                        o.context = 4;
                      })),
              "the shortest length 5 is above the context, 4"));
    CHECK(has(failure(ten, of_batch(11)), "10 sequences do not fill a global batch of 11"));
    CHECK(has(failure(ten, with([](auto& o) { o.shortest = 11; })),
              "no sequence of the data set "
              "has 11 tokens or more"));
    CHECK(has(failure(ten, with([](auto& o) {
                        o.shortest = 11;
                        o.epochs = 0;
                      })),
              "no sequence of the data set has 11 tokens or more"));
    CHECK(has(failure(parsed(folder.write("none.txt", "#\n")), of_batch(1, 0)), "is empty"));
    CHECK(has(failure(parsed(folder.path("none.txt")), of_batch(1)), "is empty"));
    CHECK(has(failure(github, with([](auto& o) { o.shortest = data::kLongestSequence; })),
              "none of 1 000 000 sequences has 2147483648 tokens or more"));
    SamplingOptions kept = of_batch(11);
    kept.keep_last = true;
    CHECK(batches(ten, kept).at(0).sequences.size() == 10);
  }

  TEST_CASE("sampling: a bad line fails the batch it stands in, or is skipped and counted once") {
    const test::Folder folder;
    const std::string path = folder.write("a.txt", "1\n2\n3\n4\nx\n5\n6\n");
    Result<BatchSampler> sampler = BatchSampler::open(parsed(path), of_batch(2));
    REQUIRE(sampler.ok());
    CHECK((*sampler->next())->tokens() == 3);
    CHECK((*sampler->next())->tokens() == 7);
    const auto wrong = sampler->next();
    REQUIRE_FALSE(wrong.ok());
    CHECK(wrong.failures().front().place.line == 5);

    data::FileOptions skip;
    skip.skip_malformed = true;
    Result<BatchSampler> skipping = BatchSampler::open(parsed(path, skip), of_batch(2, 3));
    REQUIRE(skipping.ok());
    int count = 0;
    while ((*skipping->next()).has_value()) {
      ++count;
    }
    CHECK(count == 9);
    CHECK(skipping->skipped().count == 1);
    CHECK(skipping->skipped().first.at(0).place.line == 5);
  }
}
