#include "report/data/comparison_sample.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>
#include <vector>

#include "report/sample.hpp"
#include "stagecraft/core/random.hpp"
#include "stagecraft/generators/generator.hpp"

namespace stagecraft::test {
namespace {

constexpr std::int32_t kDevices = 4;
constexpr data::Tokens kContext = 98'304;

/// Time parts of a strategy's mean iteration in ms, by TimePart, and what else is its own.
struct Kind {
  const char* name;
  std::array<Time, elastic::kTimePartCount> ms;
  double padding, memory_gib, planning;
  bool pipelined;
};

constexpr std::array<Kind, 11> kKinds = {{
    {"1f1b", {9100, 0, 4300, 900, 700, 0, 900, 800, 2100, 120, 0, 60}, 0, 78, 0.0004, true},
    {"elastic", {9100, 0, 350, 850, 800, 0, 420, 400, 380, 90, 0, 60}, 0, 74, 0.21, true},
    {"best", {9100, 0, 300, 850, 760, 0, 430, 410, 360, 90, 0, 60}, 0, 75, 1.9, true},
    {"seq1f1b", {9100, 0, 2400, 850, 1500, 0, 410, 390, 900, 130, 0, 60}, 0, 71, 0.002, true},
    {"slimpipe", {9100, 0, 2100, 850, 1700, 0, 380, 380, 1300, 140, 0, 60}, 0, 69, 0.002, true},
    {"terapipe", {9100, 0, 2900, 850, 1400, 0, 390, 390, 800, 120, 0, 60}, 0, 73, 0.8, true},
    {"dynapipe", {9100, 1700, 2600, 900, 900, 0, 600, 500, 700, 100, 0, 60}, 0.16, 77, 0.4, true},
    {"chunkflow", {9100, 0, 1900, 850, 950, 0, 450, 430, 800, 110, 0, 60}, 0, 72, 0.003, true},
    {"deepspeed", {9100, 0, 0, 5200, 4400, 1800, 0, 0, 0, 0, 0, 0}, 0, 66, 0.0003, false},
    {"flexsp", {9100, 0, 0, 2900, 4300, 900, 0, 0, 0, 0, 0, 0}, 0, 68, 3.2, false},
    {"megatron", {9100, 9000, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 0.5, 95, 0.0002, false},
}};

data::Tokens sequence_length(Random& random) {
  // Long-tailed: twelve halvings, evenly likely at the short end and rare at the long one.
  const double exponent =
      6.5 + 10.2 * std::pow(static_cast<double>(random.uniform(0, 9999)) / 1e4, 2.2);
  return std::min<data::Tokens>(kContext, std::llround(std::exp2(exponent)));
}

elastic::IterationResult result_of(const Kind& kind, data::Tokens tokens, Random& random) {
  std::array<Time, elastic::kTimePartCount> parts{};
  const Time share = random.uniform(9850, 10'150) * tokens / 2'000'000;  // 1e-4 of the mean
  for (std::size_t part = 0; part < parts.size(); ++part) {
    parts[part] = kind.ms[part] * share * kMillisecond / 10'000;
  }
  elastic::IterationResult result = iteration_result(kind.name, parts);
  result.tokens = tokens;
  result.padding = std::llround(kind.padding / (1.0 - kind.padding) * static_cast<double>(tokens));
  result.peak_memory = std::llround(kind.memory_gib * static_cast<double>(Bytes{1} << 30U));
  result.planning_seconds = kind.planning * static_cast<double>(random.uniform(80, 130)) / 100.0;
  result.lower_bound = kind.pipelined ? result.time * 93 / 100 : 0;
  result.microbatches = 24;
  result.units = 40;
  result.pipelines = kind.pipelined ? 1 : 0;
  result.note = kind.pipelined ? "K = 6, 1 pipeline" : "8 groups of 4";
  return result;
}

std::vector<data::Tokens> sequences_of_batch(std::uint64_t seed) {
  Random random(seed);
  std::vector<data::Tokens> lengths(512);
  std::generate(lengths.begin(), lengths.end(), [&random] { return sequence_length(random); });
  std::sort(lengths.begin(), lengths.end(), std::greater<>());
  return lengths;
}

/// Longest first; sequences above `chunk` are cut into slices, the others fill slices of `chunk`.
data::Formation chunked(const std::vector<data::Tokens>& lengths, data::Tokens chunk) {
  data::Formation formation;
  formation.method = "sample";
  data::Slice open;
  data::Tokens filled = 0;
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    const auto sequence = static_cast<std::int32_t>(i);
    if (lengths[i] > chunk) {
      data::MicroBatch cut;
      for (data::Tokens at = 0; at < lengths[i]; at += chunk) {
        const data::Tokens tokens = std::min(chunk, lengths[i] - at);
        cut.slices.push_back({{{sequence, at, tokens, tokens}}});
      }
      formation.microbatches.push_back(std::move(cut));
      continue;
    }
    if (filled + lengths[i] > chunk) {
      formation.microbatches.push_back({{std::exchange(open, {})}});
      filled = 0;
    }
    open.pieces.push_back({sequence, 0, lengths[i], lengths[i]});
    filled += lengths[i];
  }
  if (filled > 0) {
    formation.microbatches.push_back({{std::move(open)}});
  }
  return formation;
}

/// A timeline over a formation: time by tokens and by what they attend to.
Run run_of(const data::Formation& formation, const std::string& schedule) {
  const auto count = static_cast<std::int32_t>(formation.microbatches.size());
  Pipeline pipeline = make_pipeline(kDevices, 1, count, PlacementKind::kLoop).value();
  for (const data::MicroBatch& microbatch : formation.microbatches) {
    pipeline.slices.push_back(static_cast<std::int32_t>(microbatch.slices.size()));
  }
  const std::int32_t most = pipeline.max_slices();
  std::vector<Time> forward(static_cast<std::size_t>(kDevices * count * most), kMillisecond);
  for (std::int32_t stage = 0; stage < kDevices; ++stage) {
    for (std::int32_t m = 0; m < count; ++m) {
      const auto& slices = formation.microbatches[static_cast<std::size_t>(m)].slices;
      for (std::size_t s = 0; s < slices.size(); ++s) {
        Time time = 0;
        for (const data::Piece& piece : slices[s].pieces) {
          time += piece.padded * 900 + piece.padded * (2 * piece.begin + piece.padded) / 60;
        }
        forward[static_cast<std::size_t>((stage * count + m) * most) + s] = time / 2;
      }
    }
  }
  CostTable costs = sample_costs(pipeline);
  costs.forward = Grid::per_slice(forward, count, most);
  for (Time& time : forward) {
    time *= 2;
  }
  costs.backward_input = Grid::per_slice(forward, count, most);
  costs.backward_weight = Grid::constant(0);
  costs.backward = costs.backward_input;
  costs.memory.capacity.assign(kDevices, Bytes{1} << 40U);
  return sample_run(generate(schedule, {pipeline, costs, {}}).value(), costs);
}

void add_pictures(DataComparison& comparison) {
  const std::vector<data::Tokens> lengths = sequences_of_batch(comparison.seed);
  for (const auto& [strategy, chunk, schedule] : {std::tuple{"deepspeed", kContext, ""},
                                                  {"chunkflow", data::Tokens{16'384}, "seq1f1b"},
                                                  {"1f1b", kContext, "1f1b"},
                                                  {"elastic", data::Tokens{32'768}, "seq1f1b"}}) {
    StrategyPicture picture{strategy, chunked(lengths, chunk), std::nullopt};
    if (*schedule != '\0') {
      picture.run = run_of(picture.formation, schedule);
    }
    comparison.pictures.push_back(std::move(picture));
  }
}

void add_regimes(DataComparison& comparison) {
  Random random(comparison.seed);
  data::Tokens above = 0;
  for (const data::Tokens up_to : {1024, 4096, 16'384, 65'536, 98'304}) {
    RegimeComparison regime;
    regime.above = above;
    regime.up_to = up_to;
    regime.share_of_sequences = above == 0 ? 0.58 : 0.4 * 1024.0 / static_cast<double>(above);
    regime.share_of_tokens = 0.2;
    for (const Kind& kind : kKinds) {
      const bool groups = !kind.pipelined;
      if (kind.name == std::string("megatron") ||
          (up_to > 65'536 && kind.name == std::string("1f1b"))) {
        regime.results.push_back(
            failed_iteration(kind.name, "a sequence of 98304 tokens does not fit", "use 64 GPUs"));
        continue;
      }
      regime.results.push_back(result_of(kind, 2'000'000, random));
      elastic::IterationResult& result = regime.results.back();
      if (groups && above == 0) {
        result.time /= 2;
      }
    }
    comparison.regimes.push_back(std::move(regime));
    above = up_to;
  }
}

LengthReport length_report(std::uint64_t seed) {
  LengthReport report;
  report.name = "commoncrawl";
  report.summary = "a stand-in";
  report.context = kContext;
  report.sampled = true;
  data::LengthSummary& summary = report.lengths;
  const std::vector<data::Tokens> lengths = sequences_of_batch(seed);
  summary.sequences = static_cast<std::int64_t>(lengths.size());
  summary.tokens = std::accumulate(lengths.begin(), lengths.end(), data::Tokens{0});
  summary.longest = lengths.front();
  summary.shortest = lengths.back();
  summary.mean = static_cast<double>(summary.tokens) / static_cast<double>(summary.sequences);
  summary.truncated = 3;
  summary.quantiles = {{0.5, lengths[lengths.size() / 2], 20'000}, {0.99, lengths[5], lengths[1]}};
  for (int octave = 6; octave < 17; ++octave) {
    for (int eighth = 0; eighth < 8; ++eighth) {
      data::LengthBucket bucket;
      bucket.above = std::llround(std::exp2(octave + eighth / 8.0));
      bucket.up_to = std::llround(std::exp2(octave + (eighth + 1) / 8.0));
      for (const data::Tokens length : lengths) {
        if (length > bucket.above && length <= bucket.up_to) {
          ++bucket.sequences;
          bucket.tokens += length;
        }
      }
      summary.curve.push_back(bucket);
    }
  }
  summary.buckets = summary.curve;
  return report;
}

}  // namespace

elastic::IterationResult iteration_result(const std::string& strategy,
                                          const std::array<Time, elastic::kTimePartCount>& parts) {
  elastic::IterationResult result;
  result.strategy = strategy;
  result.feasible = true;
  result.parts = parts;
  result.time = std::accumulate(parts.begin(), parts.end(), Time{0});
  const Time idle = std::accumulate(parts.begin() + 5, parts.end(), Time{0});
  result.bubble_fraction =
      static_cast<double>(idle) / static_cast<double>(std::max<Time>(result.time, 1));
  return result;
}

elastic::IterationResult failed_iteration(const std::string& strategy, const std::string& message,
                                          const std::string& hint) {
  elastic::IterationResult result;
  result.strategy = strategy;
  result.problems = {infeasible(message, hint)};
  return result;
}

DataComparison sample_comparison(std::int32_t iterations) {
  DataComparison comparison;
  comparison.scenario = "LLaMA 7B on 32 A800, <CommonCrawl> to 96K";
  comparison.lengths = length_report(7);
  comparison.gpus = 32;
  comparison.global_batch = 512;
  comparison.seed = 7;
  comparison.profile = "a800-80gb-flexsp";
  comparison.model = "llama-7b";
  Random random(comparison.seed);
  for (const Kind& kind : kKinds) {
    StrategySeries series{kind.name, {}};
    for (std::int32_t i = 0; i < iterations; ++i) {
      const bool too_long =
          kind.name == std::string("megatron") || (kind.name == std::string("1f1b") && i % 10 == 4);
      const data::Tokens tokens = 2'000'000 + 400'000 * ((i * 7) % 5 - 2);
      series.iterations.push_back(
          too_long ? failed_iteration(kind.name, "a sequence of 98304 tokens needs 91.3 GiB of 80",
                                      "cut sequences into slices, or use tensor parallelism 8")
                   : result_of(kind, tokens, random));
    }
    comparison.strategies.push_back(std::move(series));
  }
  add_regimes(comparison);
  add_pictures(comparison);
  return comparison;
}

}  // namespace stagecraft::test
