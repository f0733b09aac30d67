// ChunkFlow: chunks of one size, of which at most `keep` of a sequence keep their activations.
#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <vector>

#include <fmt/core.h>

#include "search/elastic/all.hpp"
#include "search/elastic/candidate.hpp"
#include "search/elastic/options.hpp"
#include "stagecraft/core/text.hpp"

namespace stagecraft::elastic {
namespace {

constexpr std::int64_t kMostChunks = 65'535;  // of a sequence: their numbers are 16 bit in an op
constexpr std::int64_t kMostUnits = 1 << 18;  // of a batch: planning takes a few seconds

// Before any chunk is made: chunks of the longest sequence, and of all tokens at best packed.
std::optional<Diagnostic> too_many_chunks(const data::GlobalBatch& batch, data::Tokens chunk) {
  const auto refuse = [&](std::string_view what, data::Tokens tokens, std::int64_t most) {
    return bad_input(fmt::format(
        "chunks of {} tokens cut {} into {} or more, expected at most {}: use chunks of {} tokens "
        "or more",
        chunk, what, with_thousands((tokens - 1) / chunk + 1), with_thousands(most),
        with_thousands((tokens - 1) / most + 1)));
  };
  if ((batch.tokens() - 1) / chunk >= kMostUnits) {
    return refuse("the batch", batch.tokens(), kMostUnits);
  }
  if ((batch.longest() - 1) / chunk >= kMostChunks) {
    return refuse("the longest sequence", batch.longest(), kMostChunks);
  }
  return std::nullopt;
}

// All layers of all but the last `keep` chunks of every sequence.
std::vector<std::int32_t> earlier_chunks(const UnitTable& table, std::int64_t keep) {
  std::vector<std::int32_t> layers(table.forward.size(), 0);
  for (std::int32_t p = 0; p < table.stages; ++p) {
    for (std::int32_t u = 0; u < table.units; ++u) {
      const std::int32_t slices = table.slices_of(table.microbatch[static_cast<std::size_t>(u)]);
      if (table.slice(u) < slices - keep) {
        layers[table.at(p, u)] = table.layers[static_cast<std::size_t>(p)];
      }
    }
  }
  return layers;
}

void offer_keep(Sweep& sweep, const Candidate& shape, const StageLists& lists, std::int64_t keep) {
  Candidate candidate = shape;
  candidate.layers = earlier_chunks(candidate.table, keep);
  candidate.lists = with_recompute(candidate.table, lists, candidate.layers);
  if (const auto misfit = misfit_of_lists(candidate)) {
    sweep.reject(*misfit);
    return;
  }
  candidate.note += fmt::format(", {} kept", keep);
  sweep.offer(std::move(candidate));
}

void offer_chunk(Sweep& sweep, data::Tokens chunk, std::int64_t keep) {
  const StrategyInput& input = sweep.input();
  if (const auto failure = too_many_chunks(input.batch, chunk)) {
    sweep.reject({*failure});
    return;
  }
  auto formation = data::chunk_evenly(input.batch, chunk);
  if (formation && sweep.passes_over(sweep.least_time(formation->units()))) {
    return;
  }
  auto shape = longest_first_candidate(input, std::move(formation));
  if (!shape) {
    sweep.reject(shape.failures());
    return;
  }
  if (sweep.passes_over(order_bound(shape->table))) {
    return;
  }
  shape->note = fmt::format("chunks of {} tokens", chunk);
  const StageLists lists = one_f_one_b_lists(shape->table, shape->groups);
  std::int32_t most = 1;
  for (std::int32_t m = 0; m < shape->table.microbatches(); ++m) {
    most = std::max(most, shape->table.slices_of(m));
  }
  if (keep > 0) {
    offer_keep(sweep, *shape, lists, keep);
    return;
  }
  for (std::int64_t k = 1; k < most; k *= 2) {
    offer_keep(sweep, *shape, lists, k);
  }
  offer_keep(sweep, *shape, lists, most);
}

// Fractions of the context, and multiples up to all tokens of the batch.
std::vector<data::Tokens> chunk_sizes(const StrategyInput& input) {
  const data::Tokens context = context_of(input);
  std::vector<data::Tokens> sizes = {context};
  const auto add = [&](data::Tokens size) {
    if (std::find(sizes.begin(), sizes.end(), size) == sizes.end()) {
      sizes.push_back(size);
    }
  };
  for (const std::int64_t thirtyseconds : {24, 16, 12, 8, 4, 2, 1}) {
    add((context * thirtyseconds + 31) / 32);
  }
  for (data::Tokens size = 2 * context; size / 2 < input.batch.tokens(); size *= 2) {
    add(std::min(size / 4 * 3, data::kLongestSequence));
    add(std::min(size, data::kLongestSequence));
  }
  return sizes;
}

Result<IterationPlan> plan(const StrategyInput& input) {
  const auto chunk = number_or_auto(input.options, "chunk", 1, data::kLongestSequence);
  const auto keep = number_or_auto(input.options, "keep", 1, kMostChunks);
  Diagnostics problems;
  collect_failures(chunk, problems);
  collect_failures(keep, problems);
  if (!problems.empty()) {
    return problems;
  }
  Sweep sweep(input);
  for (const data::Tokens size : sweep_of(*chunk, chunk_sizes(input))) {
    offer_chunk(sweep, size, *keep);
  }
  return finish("chunkflow", sweep);
}

constexpr std::array kOptions = {
    OptionSpec{.name = "chunk",
               .unit = "tokens",
               .default_value = "auto",
               .range = "auto | 1 to 2^31",
               .help =
                   "ChunkSize; auto: the best of the context's 3/4, 1/2, 3/8, 1/4, 1/8, 1/16 and "
                   "1/32, and multiples of it"},
    OptionSpec{.name = "keep",
               .unit = "chunks",
               .default_value = "auto",
               .range = "auto | 1 to 65535",
               .help = "K: chunks of a sequence that keep their activations; auto: the best of 1, "
                       "2, 4, ... and all"},
};

}  // namespace

const StrategyInfo& chunkflow_info() {
  static const StrategyInfo info = {
      .name = "chunkflow",
      .summary = "chunks of one size, earlier chunks of long sequences forwarded twice",
      .source = "Yuan et al., ChunkFlow, 2503.02356",
      .assumptions =
          "all but the last K chunks of a sequence recompute all layers, from the layer inputs "
          "(and "
          "keys and values) that are kept; 1F1B over chunks, longest first; chunk size and K are "
          "the best of a sweep by replay",
      .options = kOptions,
      .pipelined = true,
      .plan = plan,
  };
  return info;
}

}  // namespace stagecraft::elastic
