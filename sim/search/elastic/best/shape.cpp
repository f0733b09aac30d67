#include "search/elastic/best/shape.hpp"

#include <algorithm>
#include <utility>

#include <fmt/core.h>

#include "search/elastic/elastic_plan.hpp"

namespace stagecraft::elastic {
namespace {

constexpr std::int32_t kMostWideSlices = 12;  // K that are tried with thresholds above 1

}  // namespace

Shape make_shape(data::Formation formation, CostRule rule, UnitTable table, std::string name) {
  const Time bound = order_bound(table);
  return {std::move(formation), rule, std::move(table), {}, bound, std::move(name)};
}

std::vector<Shape> make_shapes(Sweep& sweep) {
  const StrategyInput& input = sweep.input();
  std::vector<Shape> shapes;
  ElasticChoice choice;
  const data::Tokens most = most_tokens_of_slice(input.profile, input.layout);
  if (most < 1) {
    return shapes;
  }
  for (const double threshold : {1.0, 1.5, 2.0, 3.0}) {
    choice.token_threshold = threshold;
    for (const std::int32_t k : slice_numbers(input)) {
      if (threshold > 1.0 && k > kMostWideSlices) {
        break;
      }
      choice.slices = k;
      if (auto chunks = elastic_chunks(sweep, choice, most)) {
        shapes.push_back(
            make_shape(std::move(chunks->formation), CostRule::kPlain, std::move(chunks->table),
                       fmt::format("balanced chunks, K = {}, threshold {}", k, threshold)));
      }
    }
  }
  const data::Tokens context = context_of(input);
  for (const std::int64_t eighths : {8, 9, 10, 12, 16, 24, 32}) {
    const data::Tokens tokens = std::max(input.batch.longest(), context / 8 * eighths);
    if (tokens > most) {
      break;
    }
    auto formation = data::pack_best_fit(input.batch, tokens);
    if (!formation) {
      continue;
    }
    if (auto table = longest_first_table(input.profile, input.layout, *formation)) {
      shapes.push_back(make_shape(std::move(formation).value(), CostRule::kPlain,
                                  std::move(table).value(),
                                  fmt::format("packed to {} tokens", tokens)));
    }
  }
  std::stable_sort(shapes.begin(), shapes.end(),
                   [](const Shape& a, const Shape& b) { return a.bound < b.bound; });
  return shapes;
}

}  // namespace stagecraft::elastic
