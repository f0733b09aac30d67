#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include <fmt/core.h>

#include "data/lengths/expression.hpp"
#include "data/lengths/files.hpp"
#include "data/lengths/normal.hpp"

using namespace stagecraft;
using data::Tokens;
using test::has;

namespace {

std::vector<Tokens> sample(std::string_view text, std::size_t count, std::uint64_t seed = 1) {
  const Result<data::Lengths> lengths = data::parse_lengths(text);
  REQUIRE_MESSAGE(lengths.ok(), to_string(lengths.failures()));
  CHECK_FALSE(lengths->finite);
  const Result<data::LengthSource> source = data::open_lengths(*lengths, seed);
  std::vector<Tokens> out(count);
  CHECK(*(*source)(out) == count);
  return out;
}

std::string failure(std::string_view text) {
  const Result<data::Lengths> lengths = data::parse_lengths(text);
  return lengths ? "" : to_string(lengths.failures());
}

double share(const std::vector<Tokens>& lengths, Tokens up_to) {
  return static_cast<double>(std::count_if(lengths.begin(), lengths.end(),
                                           [&](Tokens length) { return length <= up_to; })) /
         static_cast<double>(lengths.size());
}

double mean(const std::vector<Tokens>& lengths) {
  double sum = 0.0;
  for (const Tokens length : lengths) {
    sum += static_cast<double>(length);
  }
  return sum / static_cast<double>(lengths.size());
}

/// The probability of one length by definition: the slow, obvious way.
double mass(const data::Component& c, Tokens k) {
  const auto x = static_cast<double>(k);
  switch (c.shape) {
    case data::Shape::kFlat:
      return 1.0;
    case data::Shape::kGeometric:
      return std::exp(-c.a * static_cast<double>(k - c.low));
    case data::Shape::kLogNormal:
      return data::normal_cdf((std::log(x) - c.a) / c.b) -
             (k == 1 ? 0.0 : data::normal_cdf((std::log(x - 1.0) - c.a) / c.b));
    case data::Shape::kPareto:
      return (x <= c.b ? 0.0 : 1.0 - std::pow(c.b / x, c.a)) -
             (x - 1.0 <= c.b ? 0.0 : 1.0 - std::pow(c.b / (x - 1.0), c.a));
    case data::Shape::kZipf:
      return std::pow(x, -c.a);
  }
  return 0.0;
}

}  // namespace

TEST_SUITE("data") {
  TEST_CASE("lengths: counts of tokens") {
    CHECK(*data::parse_tokens("4096") == 4096);
    CHECK(*data::parse_tokens("48K") == 48 * 1024);
    CHECK(*data::parse_tokens("48Ki") == 48 * 1024);
    CHECK(*data::parse_tokens(" 1.5k ") == 1536);
    CHECK(*data::parse_tokens("2M") == 2 << 20);
    CHECK(*data::parse_tokens("2G") == data::kLongestSequence);
    for (const char* wrong :
         {"", "0", "-1", "1.5", "K", "48X", "48 K", "3G", "inf", "nan", "1e99"}) {
      CAPTURE(wrong);
      CHECK_FALSE(data::parse_tokens(wrong).ok());
    }
  }

  TEST_CASE("lengths: the inverse of the normal distribution inverts it") {
    // Two values of AS 241's own tests.
    CHECK(data::normal_quantile(0.25) == doctest::Approx(-0.6744897501960817).epsilon(1e-15));
    CHECK(data::normal_quantile(0.001) == doctest::Approx(-3.090232306167814).epsilon(1e-15));
    CHECK(data::normal_quantile(1e-20) == doctest::Approx(-9.262340089798408).epsilon(1e-15));
    for (double z = -30.0; z <= 8.0; z += 0.0625) {
      CAPTURE(z);
      const double p = data::normal_cdf(z);
      const double allowed = z > 5.0 ? 1e-2 : z > 0.0 ? 1e-9 : 1e-12 * std::abs(z) + 1e-14;
      if (p > 0.0 && p < 1.0) {
        CHECK(std::abs(data::normal_quantile(p) - z) <= allowed);
      }
    }
  }

  TEST_CASE("lengths: what is drawn has the probabilities of the definition") {
    for (const char* text :
         {"constant(7)", "uniform(3, 12)", "lognormal(median=6, sigma=0.8)", "zipf(1.3, max=40)",
          "zipf(exponent=1, min=5, max=30)", "zipf(0, max=8)", "pareto(scale=4, shape=1.5, max=64)",
          "lognormal(6, 0.8, min=20, max=60)", "pareto(4, 1.5, min=1K, max=1030)",
          "histogram(4 1, 8 2 mean 5.5, 16 1 mean 14)", "histogram(4 1 mean 1, 8 2 mean 8)",
          "histogram(2 0, 16 1 mean 15.9)", "histogram(16 3 mean 4, min=3, max=9)",
          "mix(3 uniform(1, 8), 1 uniform(5, 20))", "mix(3 uniform(1, 8), 1 uniform(5, 20), min=6)",
          "mix(1 mix(1 constant(2), 3 constant(3)), 1 constant(4))",
          "mix(1 lognormal(9, 1), 1 zipf(2), max=24)"}) {
      CAPTURE(text);
      const Result<data::Expression> expression = data::parse_expression(text, "");
      REQUIRE_MESSAGE(expression.ok(), to_string(expression.failures()));
      // A sum over all lengths stands for what `measure` computes in closed form.
      Tokens high = 0;
      double total = 0.0;
      for (const data::Component& c : expression->mixture) {
        high = std::max(high, std::min<Tokens>(c.high, 4096));
        total += c.weight;
      }
      std::vector<double> expected(static_cast<std::size_t>(high) + 1);
      for (const data::Component& c : expression->mixture) {
        double whole = 0.0;
        for (Tokens k = c.low; k <= std::min<Tokens>(c.high, 4096); ++k) {
          whole += mass(c, k);
        }
        for (Tokens k = c.low; k <= std::min<Tokens>(c.high, 4096); ++k) {
          expected[static_cast<std::size_t>(k)] += c.weight / total * mass(c, k) / whole;
        }
      }
      constexpr std::size_t kCount = 40'000;
      std::vector<double> drawn(expected.size());
      for (const Tokens length : sample(text, kCount)) {
        REQUIRE(length >= 1);
        if (length <= high) {
          drawn[static_cast<std::size_t>(length)] += 1.0 / kCount;
        }
      }
      for (std::size_t k = 0; k < expected.size(); ++k) {
        CAPTURE(k);
        // Five standard deviations of a binomial.
        CHECK(std::abs(drawn[k] - expected[k]) <=
              5.0 * std::sqrt(expected[k] * (1.0 - expected[k]) / kCount) + 1e-4);
      }
    }
  }

  TEST_CASE("lengths: closed-form measures are the sums of probabilities") {
    using data::Component;
    using data::Shape;
    for (const Component& c :
         {Component{Shape::kFlat, 0, 0, 3, 9000, 1},
          Component{Shape::kGeometric, 1e-3, 0, 5, 9000, 1},
          Component{Shape::kGeometric, -1e-3, 0, 5, 9000, 1},
          Component{Shape::kLogNormal, 7, 1.5, 1, 9000, 1},
          Component{Shape::kPareto, 1.5, 100, 1, 9000, 1},
          Component{Shape::kZipf, 1.2, 0, 3, 9000, 1}, Component{Shape::kZipf, 1.0, 0, 3, 9000, 1},
          Component{Shape::kZipf, 0.3, 0, 1, 9000, 1},
          Component{Shape::kZipf, 3.0, 0, 7, 9000, 1}}) {
      CAPTURE(static_cast<int>(c.shape));
      double all = 0.0;
      double part = 0.0;
      for (Tokens k = c.low; k <= c.high; ++k) {
        all += mass(c, k);
        part += k >= 200 && k <= 8000 ? mass(c, k) : 0.0;
      }
      CHECK(measure(c, 200, 8000) / measure(c, c.low, c.high) ==
            doctest::Approx(part / all).epsilon(1e-7));
    }
  }

  TEST_CASE("lengths: a bucket's density has the mean it is asked for") {
    Random random(3);
    for (int round = 0; round < 300; ++round) {
      const Tokens low = random.uniform(1, 1000);
      const Tokens high = low + random.uniform(0, 3000);
      const double wanted =
          static_cast<double>(low) +
          static_cast<double>(high - low) * static_cast<double>(random.uniform(0, 1000)) / 1000.0;
      const data::Component c = data::with_mean(low, high, wanted);
      double whole = 0.0;
      double sum = 0.0;
      for (Tokens k = c.low; k <= c.high; ++k) {
        const double p = c.shape == data::Shape::kGeometric
                             ? std::exp(-c.a * static_cast<double>(k - (c.a > 0 ? c.low : c.high)))
                             : 1.0;
        whole += p;
        sum += p * static_cast<double>(k);
      }
      CAPTURE(low);
      CAPTURE(high);
      CHECK(sum / whole == doctest::Approx(wanted).epsilon(1e-5));
    }
  }

  TEST_CASE("lengths: stand-ins meet the figures they claim") {
    constexpr std::size_t kCount = 1'000'000;
    const auto github = sample("github", kCount);
    CHECK(share(github, 2048) == doctest::Approx(0.592).epsilon(0.003));
    CHECK(1.0 - share(github, 65'536) == doctest::Approx(0.006).epsilon(0.05));
    CHECK(share(github, 16'384) > 0.5);
    CHECK(share(sample("commoncrawl", kCount), 2048) == doctest::Approx(0.699).epsilon(0.003));

    const auto wikipedia = sample("wikipedia", kCount);
    CHECK(mean(wikipedia) == doctest::Approx(1014).epsilon(0.01));
    constexpr double kSequences[] = {78.8, 10.8, 6.0, 2.8, 1.12, .35, .10, .023, .005};
    constexpr double kTokens[] = {24.9, 15.4, 16.7, 15.5, 12.3, 7.6, 4.5, 2.0, 1.1};
    std::array<double, 9> sequences{};
    std::array<double, 9> tokens{};
    double all = 0.0;
    for (const Tokens length : wikipedia) {
      std::size_t bin = 0;
      while (bin < 8 && length > (Tokens{1024} << bin)) {
        ++bin;
      }
      sequences[bin] += 1.0;
      tokens[bin] += static_cast<double>(length);
      all += static_cast<double>(length);
    }
    for (std::size_t bin = 0; bin < 9; ++bin) {
      CAPTURE(bin);
      // Five standard deviations of the count, and what the figures are rounded to.
      const double expected = kSequences[bin] / 100.0;
      const double spread = 5.0 * std::sqrt(expected / kCount) / expected;
      CHECK(sequences[bin] / kCount == doctest::Approx(expected).epsilon(spread + 0.002));
      CHECK(tokens[bin] / all == doctest::Approx(kTokens[bin] / 100.0).epsilon(spread + 0.01));
    }
    for (const data::NamedLengths& named : data::named_lengths()) {
      CHECK(sample(named.name, 100, 4) == sample(named.expression, 100, 4));
      CHECK(has(data::parse_lengths(named.name)->summary, named.name));
    }
  }

  TEST_CASE("lengths: the same seed gives the same lengths, whatever the size of blocks") {
    CHECK(sample("github", 1000, 7) == sample("github", 1000, 7));
    CHECK(sample("github", 1000, 7) != sample("github", 1000, 8));
    // Pinned: these must be the same on every machine.
    CHECK(sample("uniform(1, 1000)", 6, 1) == std::vector<Tokens>{567, 746, 972, 445, 445, 763});
    CHECK(sample("github", 6, 1) == std::vector<Tokens>{1856, 3930, 25675, 1163, 1162, 4269});
    CHECK(sample("wikipedia", 6, 1) == std::vector<Tokens>{476, 5210, 497, 1426, 538, 335});
    const auto lengths = data::parse_lengths("wikipedia");
    const auto source = data::open_lengths(*lengths, 1);
    std::vector<Tokens> one(1);
    for (const Tokens expected : sample("wikipedia", 50, 1)) {
      CHECK(*(*source)(one) == 1);
      CHECK(one.front() == expected);
    }
  }

  TEST_CASE("lengths: extremes of expressions draw lengths that are in bounds") {
    for (const char* text :
         {"lognormal(2G, 20)", "lognormal(1, 1e-6)", "pareto(1, 0.001)", "pareto(1G, 1000)",
          "zipf(20)", "zipf(0)", "zipf(1)", "zipf(0.5, min=1G)", "uniform(1, 2G)",
          "histogram(2G 1 mean 2)", "histogram(2G 1 mean 2147483647)", "lognormal(1K, 1, min=1M)",
          "lognormal(1M, 1, max=1K)", "histogram(1K 0, 2G 1e18)", "2G", "1"}) {
      CAPTURE(text);
      for (const Tokens length : sample(text, 2000)) {
        REQUIRE(length >= 1);
        REQUIRE(length <= data::kLongestSequence);
      }
    }
    CHECK(mean(sample("lognormal(1K, 1, min=1M)", 100)) > 1 << 20);
  }

  TEST_CASE("lengths: expressions in words") {
    const auto summary = [](std::string_view text) { return data::parse_lengths(text)->summary; };
    CHECK(summary("4K") == "all of 4K tokens");
    CHECK(summary("lognormal(1438, 1.52)") == "log-normal, median 1438, sigma 1.52");
    CHECK(summary("log-normal(median=1438, sigma=1.52, max=48K)") ==
          "log-normal, median 1438, sigma 1.52, up to 48K");
    CHECK(summary("uniform(2, 8K)") == "uniform, 2 to 8K");
    CHECK(summary(" github ( max = 64K )") == "stand-in for github, up to 64K");
    CHECK(summary("mix(90 github, 10 * uniform(32K, 128K))") ==
          "mixture of 90 % (stand-in for github) and 10 % (uniform, 32K to 128K)");
    CHECK(summary("histogram(1K 70, 2K 30)") == "histogram of 2 buckets");
  }

  TEST_CASE("lengths: what is wrong with an expression is said with its character") {
    struct Case {
      std::string_view text, message;
    };
    for (const Case& c : {
             Case{"uniform(1 8)", "expected ',' or ')' after an argument at character 11"},
             Case{"uniform(1, 8", "expected ',' or ')' after an argument at character 13"},
             Case{"uniform(8, 1)", "min 8 is above max 1 at character 1"},
             Case{"uniform(1)", "expected uniform: max is missing at character 10"},
             Case{"uniform(1, 2, 3)", "unexpected argument of uniform"},
             Case{"uniform(0, 2)", "min is out of range, expected 1 to 2147483648 at character 9"},
             Case{"uniform(1.5, 2)", "min is not a whole number of tokens at character 9"},
             Case{"lognormal(median=5, sigm=1)",
                  "unknown 'sigm', expected median, sigma, min, max"},
             Case{"lognormal(median=5, sigm=1)", "did you mean 'sigma'?"},
             Case{"lognormal(5, 1, sigma=2)", "sigma is given twice at character 17"},
             Case{"lognormal(5, 0)", "sigma is out of range"},
             Case{"lognormal(5, x)", "expected a number: sigma at character 14"},
             Case{"mix(1 githb)", "unknown 'githb', expected one of commoncrawl, github"},
             Case{"mix(1 githb)", "did you mean 'github'?"},
             Case{"mix()", "the mixture is empty"},
             Case{"mix(github)", "expected a number: the weight of a part"},
             Case{"mix(0 github)", "a weight is out of range"},
             Case{"mix(1 github, mean=4)", "unknown 'mean', expected min, max at character 15"},
             Case{"histogram()", "the histogram is empty"},
             Case{"histogram(1K 0)", "the histogram is empty"},
             Case{"histogram(2K 1, 1K 1)", "the bucket ends at 1024, expected more than 2048"},
             Case{"histogram(1K 1 mean 2K)", "a mean of 2048 lies outside its bucket"},
             Case{"histogram(1K 1 men 20)", "unexpected 'men', expected 'mean'"},
             Case{"histogram(1K)", "expected a number: the share of the bucket at character 13"},
             Case{"histogram(1K -1)", "a share of -1 is out of range"},
             Case{"histogram(file=)", "expected the name of a file"},
             Case{"histogram(file=\"a)", "the name of the file is not closed"},
             Case{"histogram(file=none.csv)", "none.csv: error: cannot read the file"},
             Case{"github(max=0)", "max is out of range"},
             Case{"github(sigma=2)", "unknown 'sigma', expected min, max"},
             Case{"github) ", "neither a file"},
             Case{"github()x", "unexpected 'x', expected the end at character 9"},
             Case{"constant(5, min=9)", "no lengths lie between 9 and 2147483648"},
             Case{"4Q", "neither a file"},
             Case{"unifrm(1, 2)", "did you mean 'uniform'?"},
             Case{"uniform", "uniform takes arguments, see `stagecraft list data`"},
         }) {
      CAPTURE(c.text);
      const std::string text = failure(c.text);
      CAPTURE(text);
      CHECK(has(text, c.message));
    }
    std::string deep;
    for (int i = 0; i < 100'000; ++i) {
      deep += "mix(1 ";
    }
    CHECK(has(failure(deep), "mixtures within mixtures deeper than 16"));
  }

  TEST_CASE("lengths: histograms from a file") {
    const test::Folder folder;
    const std::string path =
        folder.write("h.csv", "up_to,count,mean\n# bins\n1K, 70, 300\r\n2K,20\n\n8K,10,3K\n");
    const auto parse = [&](const std::string& file) {
      return data::parse_lengths("histogram(file=\"" + file + "\")");
    };
    const auto lengths = parse(path);
    REQUIRE_MESSAGE(lengths.ok(), to_string(lengths.failures()));
    const auto from_file = sample("histogram(file=" + path + ", max=4K)", 500);
    CHECK(from_file == sample("histogram(1K 70 mean 300, 2K 20, 8K 10 mean 3K, max=4K)", 500));
    data::FileOptions inside;
    inside.directory = folder.path("");
    CHECK(data::parse_lengths("histogram(file=h.csv)", inside).ok());
    struct Case {
      std::string_view text, message;
    };
    for (const Case& c :
         {Case{"1K,70\n2K,x\n", "h.csv:2:4: error: 'x' is not a number"},
          Case{"1K\n", "h.csv:1:1: error: expected up_to,count"},
          Case{"1K,1,2,3\n", "expected up_to,count"},
          Case{"2K,1\n1K,1\n",
               ":2:1: error: the bucket "
               "ends at 1024"},
          Case{"1.5,1\n", "is not a count of tokens"}, Case{"", "the histogram holds no sequence"},
          Case{"1K,0\n", "the histogram holds no sequence"}, Case{"1K,1,5K\n", "lies outside"}}) {
      CAPTURE(c.text);
      folder.write("h.csv", c.text);
      const auto wrong = parse(path);
      REQUIRE_FALSE(wrong.ok());
      CHECK(has(to_string(wrong.failures()), c.message));
    }
  }

  TEST_CASE("lengths: random changes of expressions never crash the parser") {
    Random random(23);
    const std::string good[] = {"mix(90 github(max=64K), 10 * uniform(32K, 128K), min=3)",
                                "histogram(1K 70 mean 300, 2K 20, 8K 10 mean 3K, max=4K)",
                                "lognormal(median=1438, sigma=1.52)", "zipf(1.2, max=64K)"};
    int right = 0;
    for (int round = 0; round < 5000; ++round) {
      std::string text = good[random.uniform(0, 3)];
      for (std::int64_t change = random.uniform(1, 3); change > 0; --change) {
        const auto at = static_cast<std::size_t>(random.uniform(0, std::ssize(text) - 1));
        if (random.chance(1, 2)) {
          text[at] = good[0][at % good[0].size()];
        } else {
          text.insert(at, 1, static_cast<char>(random.uniform(1, 255)));
        }
      }
      const auto expression = data::parse_expression(text, "/nonexistent");
      right += expression.ok() ? 1 : 0;
      if (expression) {
        const data::MixtureSampler sampler(expression->mixture);
        const Tokens length = sampler.draw(random);
        REQUIRE(length >= 1);
        REQUIRE(length <= data::kLongestSequence);
      }
    }
    CHECK(right > 50);
  }
}
