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

void offer(Sweep& sweep, const Candidate& shape, const StageLists& lists, data::Tokens chunk,
           std::int64_t keep) {
  Candidate candidate = shape;
  candidate.layers = earlier_chunks(candidate.table, keep);
  candidate.lists = with_recompute(candidate.table, lists, candidate.layers);
  const UnitTable& table = candidate.table;
  const std::vector<Bytes> peaks = list_peaks(table, candidate.lists, candidate.layers);
  for (std::int32_t p = 0; p < table.stages; ++p) {
    const auto s = static_cast<std::size_t>(p);
    if (peaks[s] > table.room[s]) {
      sweep.reject(Misfit{p, peaks[s] + table.resident[s], table.room[s] + table.resident[s]});
      return;
    }
  }
  candidate.note = fmt::format("chunks of {} tokens, {} kept", chunk, keep);
  sweep.offer(std::move(candidate));
}

void offer_chunk(Sweep& sweep, data::Tokens chunk, std::int64_t keep) {
  const StrategyInput& input = sweep.input();
  if (const auto failure = too_many_chunks(input.batch, chunk)) {
    sweep.reject({*failure});
    return;
  }
  auto formation = data::chunk_evenly(input.batch, chunk);
  if (!formation) {
    sweep.reject(formation.failures());
    return;
  }
  sort_longest_first(input.profile, input.layout, *formation);
  auto table = unit_table(input.profile, input.layout, *formation);
  if (!table) {
    sweep.reject(table.failures());
    return;
  }
  Candidate shape;
  shape.formation = std::move(formation).value();
  shape.table = std::move(table).value();
  shape.groups = {shape.table.microbatches()};
  const StageLists lists = one_f_one_b_lists(shape.table, shape.groups);
  std::int32_t slices = 1;
  for (std::int32_t m = 0; m < shape.table.microbatches(); ++m) {
    slices = std::max(slices, shape.table.slices_of(m));
  }
  if (keep > 0) {
    offer(sweep, shape, lists, chunk, keep);
    return;
  }
  for (std::int64_t k = 1; k < slices; k *= 2) {
    offer(sweep, shape, lists, chunk, k);
  }
  offer(sweep, shape, lists, chunk, slices);
}

Result<IterationPlan> plan(const StrategyInput& input) {
  const auto chunk = number_or_auto(input.options, "chunk", 1, data::kLongestSequence);
  const auto keep = number_or_auto(input.options, "keep", 1, kMostChunks);
  if (!chunk) {
    return chunk.failures();
  }
  if (!keep) {
    return keep.failures();
  }
  const data::Tokens context = context_of(input);
  Sweep sweep(input);
  data::Tokens last = 0;
  for (const std::int64_t n : {1, 2, 4, 8, 16, 32}) {
    const data::Tokens size = *chunk > 0 ? *chunk : (context + n - 1) / n;
    if (size != last) {
      offer_chunk(sweep, size, *keep);
    }
    last = size;
  }
  return finish("chunkflow", sweep);
}

constexpr std::array kOptions = {
    OptionSpec{.name = "chunk",
               .unit = "tokens",
               .default_value = "auto",
               .range = "auto | 1 to 2^31",
               .help = "ChunkSize; auto: the best of the context over 1, 2, 4, 8, 16 and 32"},
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
