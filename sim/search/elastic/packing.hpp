// Token budgets of packed micro-batches: what baselines that pack whole sequences try.
#pragma once

#include <vector>

#include "stagecraft/search/elastic.hpp"

namespace stagecraft::elastic {

inline constexpr OptionSpec kPackingOption = {
    .name = "tokens",
    .unit = "tokens",
    .default_value = "auto",
    .range = "auto | the longest sequence to 2^31",
    .help =
        "most tokens of a packed micro-batch; auto: the best of the context, eighths of it from "
        "1/4 on and multiples of it, none below the longest sequence"};

/// The option's number, or 0 for auto.
[[nodiscard]] Result<std::int64_t> packing_option(const StrategyInput& input);

/// The budget if one is given (above 0), or else those of a sweep: the context first, then falling
/// ones, then rising ones up to all tokens of the batch.
[[nodiscard]] std::vector<data::Tokens> packing_budgets(const StrategyInput& input,
                                                        data::Tokens given);

}  // namespace stagecraft::elastic
