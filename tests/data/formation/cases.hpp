// Batches and helpers for the tests of micro-batch formation.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "stagecraft/core/random.hpp"
#include "stagecraft/data/formation.hpp"

namespace stagecraft::test {

[[nodiscard]] data::GlobalBatch batch_of(const std::vector<data::Tokens>& lengths);
[[nodiscard]] data::Tokens tokens_of(const data::GlobalBatch& batch);
[[nodiscard]] data::Tokens longest_of(const data::GlobalBatch& batch);

/// Log-normal lengths as of web text: median 930, sigma 1.52, cut at `longest`.
[[nodiscard]] data::GlobalBatch web_like(Random& random, int count, data::Tokens longest = 49152);

/// A batch of one of several kinds: skewed, uniform, all equal, one huge, all of 1 token, few.
[[nodiscard]] data::GlobalBatch any_batch(Random& random, int most);

/// Costs of any shape: linear only, quadratic only, both.
[[nodiscard]] TokenCosts any_costs(Random& random);

/// FlexSP's constants of a 7B model in ms per token^2 and per token on one GPU.
inline constexpr TokenCosts kSevenBillion{0.18396, 5.128e-6};

/// "[0:0+5/8 1:0+3] [...]; ...": pieces as sequence:begin+tokens, /padded where there is padding.
[[nodiscard]] std::string text_of(const data::Formation& formation);

/// All messages of the verifier.
[[nodiscard]] std::string faults_of(const data::GlobalBatch& batch,
                                    const data::Formation& formation,
                                    const data::FormationLimits& limits = {});

}  // namespace stagecraft::test
