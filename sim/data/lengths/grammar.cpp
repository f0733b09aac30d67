#include "data/lengths/grammar.hpp"

#include <algorithm>

#include "data/lengths/cursor.hpp"
#include "data/lengths/expression.hpp"
#include "data/lengths/numbers.hpp"
#include "stagecraft/core/text.hpp"

namespace stagecraft::data {
namespace {

constexpr ExpressionFunction kFunctions[] = {
    {"constant", {{{"tokens", true, 1, kLongestReal}, {}}}},
    {"uniform", {{{"min", true, 1, kLongestReal}, {"max", true, 1, kLongestReal}}}},
    {"lognormal", {{{"median", false, 1, kLongestReal}, {"sigma", false, 1e-6, 20}}}},
    {"zipf", {{{"exponent", false, 0, 20}, {}}}},
    {"pareto", {{{"scale", false, 1, kLongestReal}, {"shape", false, 1e-3, 1e3}}}},
    {"histogram", {}},
    {"mix", {}}};

}  // namespace

const ExpressionFunction* find_function(std::string_view name) {
  const auto* found = std::find_if(std::begin(kFunctions), std::end(kFunctions),
                                   [&](const ExpressionFunction& f) { return f.name == name; });
  return found == std::end(kFunctions) ? nullptr : found;
}

const NamedLengths* find_named(std::string_view name) {
  const auto all = named_lengths();
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const NamedLengths& n) { return n.name == name; });
  return found == all.end() ? nullptr : &*found;
}

std::vector<std::string_view> all_names() {
  std::vector<std::string_view> names;
  for (const NamedLengths& named : named_lengths()) {
    names.push_back(named.name);
  }
  for (const ExpressionFunction& function : kFunctions) {
    names.push_back(function.name);
  }
  return names;
}

std::string_view nearest_expression(std::string_view word) {
  return nearest_name(word, all_names());
}

bool is_expression(std::string_view text) {
  std::string_view rest = trimmed(text);
  if (take_number(rest)) {
    return rest.empty();
  }
  const std::string_view word = word_at(rest);
  rest = trimmed(rest.substr(word.size()));
  const bool known =
      word == "log-normal" || find_function(word) != nullptr || find_named(word) != nullptr;
  return known && (rest.starts_with('(') || (rest.empty() && find_named(word) != nullptr));
}

std::string_view lengths_grammar() {
  return R"(4K                               all of 4096 tokens
constant(4K)                     the same
uniform(1, 8K)                   every length from 1 to 8192 alike
lognormal(median=1438, sigma=1.52)
zipf(exponent=1.2, max=64K)      P(length) ~ length^-exponent
pareto(scale=512, shape=1.5)     P(longer than x) = (scale / x)^shape, from scale on
histogram(1K 70, 2K 20, 8K 10 mean 3K)
                                 buckets: (0, 1K], (1K, 2K] ... with shares of the sequences; where
                                 the mean in a bucket is known the density has it, else it is flat
histogram(file=buckets.csv)      lines up_to,count or up_to,count,mean; with or without a header
mix(90 github, 10 uniform(32K, 128K))
                                 parts with weights before them, any expressions
github                           a stand-in: commoncrawl, github, wikipedia

Names of arguments may be left out. min= and max= cut any of them: mix(..., max=128K), github(max=48K);
what lies outside is not drawn. K, M and G are powers of 1024 (so are Ki, Mi, Gi), as in 48K of context.
Anything else is a file: lines with one length each, a column of CSV or TSV, a field of JSON Lines (a
number, or an array of token ids, whose size counts), each also compressed by gzip; - is standard input.
A file whose name looks like an expression: write ./github. Parquet has to be converted first.
)";
}

}  // namespace stagecraft::data
