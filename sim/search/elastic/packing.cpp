#include "search/elastic/packing.hpp"

#include <algorithm>

#include "search/elastic/candidate.hpp"
#include "search/elastic/options.hpp"

namespace stagecraft::elastic {

Result<std::int64_t> packing_option(const StrategyInput& input) {
  return number_or_auto(input.options, kPackingOption.name, input.batch.longest(),
                        data::kLongestSequence);
}

std::vector<data::Tokens> packing_budgets(const StrategyInput& input, data::Tokens given) {
  if (given > 0) {
    return {given};
  }
  const data::Tokens context = context_of(input);
  const data::Tokens least = input.batch.longest();
  const data::Tokens most =
      std::clamp<data::Tokens>(input.batch.tokens(), least, data::kLongestSequence);
  std::vector<data::Tokens> budgets;
  const auto add = [&](data::Tokens tokens) {
    const data::Tokens budget = std::clamp(tokens, least, most);
    if (std::find(budgets.begin(), budgets.end(), budget) == budgets.end()) {
      budgets.push_back(budget);
    }
  };
  add(context);
  for (const std::int64_t eighths : {7, 6, 5, 4, 3, 2}) {
    add((context * eighths + 7) / 8);
  }
  add((context * 5 + 3) / 4);
  add((context * 3 + 1) / 2);
  for (data::Tokens tokens = 2 * context; tokens / 2 < most; tokens *= 2) {
    add(tokens);
    add(tokens / 2 * 3);
  }
  return budgets;
}

}  // namespace stagecraft::elastic
