// Reads expressions for lengths; their grammar stands in lengths_grammar().
#include "data/lengths/expression.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>

#include <fmt/core.h>

#include "data/lengths/cursor.hpp"
#include "data/lengths/grammar.hpp"
#include "data/lengths/histogram.hpp"
#include "data/lengths/numbers.hpp"
#include "data/lengths/words.hpp"
#include "stagecraft/core/text.hpp"

namespace stagecraft::data {
namespace {

constexpr int kDeepest = 16;
constexpr std::size_t kMostComponents = 65'536;

std::string bounds_text(Tokens low, Tokens high) {
  if (low > 1 && high < kLongestSequence) {
    return fmt::format(", {} to {}", tokens_text(low), tokens_text(high));
  }
  return low > 1                   ? fmt::format(", from {}", tokens_text(low))
         : high < kLongestSequence ? fmt::format(", up to {}", tokens_text(high))
                                   : std::string();
}

/// Values of parameters, NaN where none is given.
struct Values {
  std::array<double, 2> own = {std::nan(""), std::nan("")};
  Tokens low = 1, high = kLongestSequence;
};

class Parser : private Cursor {
 public:
  Parser(std::string_view text, const std::string& directory)
      : Cursor(text), directory_(directory) {}

  Result<Expression> parse() {
    Expression result;
    if (!expression(result, 0)) {
      return failure_;
    }
    skip_blanks();
    if (!rest_.empty()) {
      fail(position(), fmt::format("unexpected {}, expected the end", in_quotes(rest_)));
      return failure_;
    }
    return result;
  }

 private:
  bool bound(std::string_view key, Values& values) {
    double value = 0.0;
    if (!value_of(kBounds[key == "min" ? 0 : 1], value)) {
      return false;
    }
    (key == "min" ? values.low : values.high) = static_cast<Tokens>(value);
    return true;
  }

  /// Arguments of a distribution with parameters, after the parenthesis, which they close.
  bool arguments(const ExpressionFunction& function, Values& values) {
    std::size_t next = 0;
    for (bool first = true; !take(')'); first = false) {
      if (!first && !expect(',', "or ')' after an argument")) {
        return false;
      }
      skip_blanks();
      const std::size_t at = position();
      const std::string_view key = take_key();
      std::size_t index = next;
      if (!key.empty()) {
        for (index = 0; index < 2 && function.parameters[index].name != key;) {
          ++index;
        }
        if (index == 2 && (key == "min" || key == "max")) {
          if (!bound(key, values)) {
            return false;
          }
          continue;
        }
      }
      if (index == 2 || function.parameters[index].name.empty()) {
        return key.empty() ? fail(at, fmt::format("unexpected argument of {}, expected ')' or "
                                                  "a bound such as max=64K",
                                                  function.name))
                           : unknown_key(at, key, keys_of(function));
      }
      if (!std::isnan(values.own[index])) {
        return fail(at, fmt::format("{} is given twice", function.parameters[index].name));
      }
      if (!value_of(function.parameters[index], values.own[index])) {
        return false;
      }
      next = index + 1;
    }
    for (std::size_t i = 0; i < 2; ++i) {
      if (!function.parameters[i].name.empty() && std::isnan(values.own[i])) {
        return fail(position() - 1, fmt::format("expected {}: {} is missing", function.name,
                                                function.parameters[i].name));
      }
    }
    return true;
  }

  static std::vector<std::string_view> keys_of(const ExpressionFunction& function) {
    std::vector<std::string_view> keys;
    for (const ExpressionParameter& parameter : function.parameters) {
      if (!parameter.name.empty()) {
        keys.push_back(parameter.name);
      }
    }
    for (const ExpressionParameter& parameter : kBounds) {
      if (std::find(keys.begin(), keys.end(), parameter.name) == keys.end()) {
        keys.push_back(parameter.name);
      }
    }
    return keys;
  }

  static Expression simple(const ExpressionFunction& function, Values& values) {
    Component c;
    const auto [a, b] = values.own;
    std::string summary;
    if (function.name == "constant") {
      c.low = c.high = static_cast<Tokens>(a);
      summary = fmt::format("all of {} tokens", tokens_text(c.low));
    } else if (function.name == "uniform") {
      values.low = static_cast<Tokens>(a);
      values.high = static_cast<Tokens>(b);
      summary = "uniform";
    } else if (function.name == "lognormal") {
      c = {Shape::kLogNormal, std::log(a), b};
      summary = fmt::format("log-normal, median {}, sigma {}", a, b);
    } else if (function.name == "zipf") {
      c = {Shape::kZipf, a, 0.0};
      summary = fmt::format("Zipf, exponent {}", a);
    } else {
      c = {Shape::kPareto, b, a};
      summary = fmt::format("Pareto, scale {}, shape {}", a, b);
    }
    return {{c}, summary};
  }

  bool bucket(HistogramBucket& out, Tokens above) {
    skip_blanks();
    const std::size_t at = position();
    double up_to = 0.0;
    if (!value_of({"the end of a bucket", true, 1, kLongestReal}, up_to) ||
        !number(out.share, "the share of the bucket")) {
      return false;
    }
    out.up_to = static_cast<Tokens>(up_to);
    skip_blanks();
    if (const std::string_view word = word_at(rest_); word == "mean") {
      rest_.remove_prefix(word.size());
      out.mean = 0.0;
      if (!number(*out.mean, "the mean length in the bucket")) {
        return false;
      }
    } else if (!word.empty()) {
      return fail(position(),
                  fmt::format("unexpected {}, expected 'mean', ',' or ')'", in_quotes(word)));
    }
    const std::string problem = bucket_problem(out, above);
    return problem.empty() || fail(at, problem);
  }

  bool histogram_file(std::vector<HistogramBucket>& buckets) {
    const std::size_t at = position();
    std::string_view name;
    if (rest_.starts_with('"')) {
      rest_.remove_prefix(1);
      const std::size_t end = rest_.find('"');
      if (end == std::string_view::npos) {
        return fail(at, "the name of the file is not closed, expected '\"'");
      }
      name = rest_.substr(0, end);
      rest_.remove_prefix(end + 1);
    } else {
      name = rest_.substr(0, std::min(rest_.find_first_of(",)"), rest_.size()));
      rest_.remove_prefix(name.size());
      name = trimmed(name);
    }
    if (name.empty()) {
      return fail(at, "expected the name of a file");
    }
    Result<std::vector<HistogramBucket>> read =
        read_histogram((std::filesystem::path(directory_) / name).string());
    if (!read) {
      failure_ = read.failures().front();
      return false;
    }
    buckets = std::move(*read);
    return true;
  }

  bool histogram(Expression& out, Values& values, std::size_t start) {
    std::vector<HistogramBucket> buckets;
    bool from_file = false;
    for (bool first = true; !take(')'); first = false) {
      if (!first && !expect(',', "or ')' after a bucket")) {
        return false;
      }
      skip_blanks();
      const std::size_t at = position();
      const std::string_view key = take_key();
      bool right = true;
      if (key == "file" && first) {
        from_file = true;
        right = histogram_file(buckets);
      } else if (key == "min" || key == "max") {
        right = bound(key, values);
      } else if (!key.empty() || from_file) {
        right = key.empty() ? fail(at, "expected ')' or a bound after the file")
                            : unknown_key(at, key, {"file", "min", "max"});
      } else if (buckets.size() == kMostBuckets) {
        right = fail(at, fmt::format("more than {} buckets", kMostBuckets));
      } else {
        buckets.emplace_back();
        right = bucket(buckets.back(), buckets.size() > 1 ? buckets[buckets.size() - 2].up_to : 0);
      }
      if (!right) {
        return false;
      }
    }
    out.mixture = histogram_mixture(buckets);
    out.summary = fmt::format("histogram of {} buckets", buckets.size());
    return !out.mixture.empty() ||
           fail(start, "the histogram is empty, expected buckets such as 1K 70, 2K 30");
  }

  bool mix(Expression& out, Values& values, int depth, std::size_t start) {
    std::vector<std::pair<double, std::string>> parts;
    double total = 0.0;
    for (bool first = true; !take(')'); first = false) {
      if (!first && !expect(',', "or ')' after a part of the mixture")) {
        return false;
      }
      skip_blanks();
      const std::size_t at = position();
      if (const std::string_view key = take_key(); !key.empty()) {
        if (key != "min" && key != "max") {
          return unknown_key(at, key, {"min", "max"});
        }
        if (!bound(key, values)) {
          return false;
        }
        continue;
      }
      double weight = 0.0;
      Expression part;
      if (!number(weight, "the weight of a part, before it")) {
        return false;
      }
      if (!(weight > 0.0 && weight <= 1e18)) {
        return fail(at, "a weight is out of range, expected above 0 to 1e18");
      }
      take('*');
      if (!expression(part, depth + 1)) {
        return false;
      }
      double whole = 0.0;
      for (const Component& component : part.mixture) {
        whole += component.weight;
      }
      for (Component component : part.mixture) {
        component.weight *= weight / whole;
        out.mixture.push_back(component);
      }
      if (out.mixture.size() > kMostComponents) {
        return fail(at, fmt::format("more than {} parts", kMostComponents));
      }
      total += weight;
      parts.emplace_back(weight, part.summary);
    }
    for (const auto& [weight, summary] : parts) {
      out.summary += fmt::format("{}{:.3g} % ({})", out.summary.empty() ? "mixture of " : " and ",
                                 100.0 * weight / total, summary);
    }
    return !parts.empty() ||
           fail(start, "the mixture is empty, expected parts such as 90 github, 10 uniform(1, 8K)");
  }

  bool named(const NamedLengths& found, Expression& out, Values& values) {
    Parser inner(found.expression, directory_);
    Result<Expression> stand_in = inner.parse();
    STAGECRAFT_CHECK(stand_in.ok(), "a stand-in's expression is right");
    out.mixture = std::move(stand_in->mixture);
    out.summary = fmt::format("stand-in for {}", found.name);
    constexpr ExpressionFunction kNoParameters = {"a stand-in", {}};
    return !take('(') || arguments(kNoParameters, values);
  }

  bool expression(Expression& out, int depth) {
    skip_blanks();
    const std::size_t start = position();
    if (depth > kDeepest) {
      return fail(start, fmt::format("mixtures within mixtures deeper than {}", kDeepest));
    }
    const std::string_view word = word_at(rest_);
    Values values;
    if (word.empty()) {
      if (rest_.empty() || (rest_.front() != '-' && rest_.front() != '.' &&
                            (rest_.front() < '0' || rest_.front() > '9'))) {
        return fail(start, "expected a number, a distribution or the name of a stand-in");
      }
      const ExpressionFunction& constant = *find_function("constant");
      if (!value_of(constant.parameters[0], values.own[0])) {
        return false;
      }
      out = simple(constant, values);
      return true;
    }
    rest_.remove_prefix(word.size());
    const ExpressionFunction* function = find_function(word == "log-normal" ? "lognormal" : word);
    const NamedLengths* stand_in = find_named(word);
    if (function == nullptr && stand_in == nullptr) {
      const std::string_view near = nearest_expression(word);
      return fail(
          start,
          fmt::format("unknown {}, expected one of {}", in_quotes(word), join(all_names(), ", ")),
          near.empty() ? "" : fmt::format("did you mean '{}'?", near));
    }
    bool right = true;
    if (stand_in != nullptr) {
      right = named(*stand_in, out, values);
    } else if (!expect('(', fmt::format("after {}", word))) {
      return false;
    } else if (function->name == "histogram") {
      right = histogram(out, values, start);
    } else if (function->name == "mix") {
      right = mix(out, values, depth, start);
    } else {
      right = arguments(*function, values);
      out = right ? simple(*function, values) : Expression{};
    }
    return right&& restrict(out, values, start);
  }

  bool restrict(Expression& out, const Values& values, std::size_t start) {
    if (values.low > values.high) {
      return fail(start, fmt::format("min {} is above max {}", values.low, values.high));
    }
    out.mixture = restricted(out.mixture, values.low, values.high);
    out.summary += bounds_text(values.low, values.high);
    return !out.mixture.empty() ||
           fail(start, fmt::format("no lengths lie between {} and {}", values.low, values.high));
  }

  const std::string& directory_;
};

}  // namespace

Result<Expression> parse_expression(std::string_view text, const std::string& directory) {
  return Parser(text, directory).parse();
}

}  // namespace stagecraft::data
