// Replays the golden rows of the fixed orders: what public schedulers computed, under the meaning
// of time that golden/README.md gives each peer. A row of these peers is replayed by one of the
// `Replay` functions below or stands in kElsewhere with the reason; the last test counts both.
#include <doctest/doctest.h>

#include <functional>
#include <numeric>
#include <set>

#include "generators/generated.hpp"
#include "generators/golden_costs.hpp"
#include "stagecraft/engine/evaluate.hpp"
#include "support/golden.hpp"

using namespace stagecraft;
using test::generated;
using test::GoldenRow;

namespace {

/// The number behind "key=" in the knobs of a row.
double knob(const GoldenRow& row, const std::string& key, double otherwise) {
  const std::string& knobs = row.at("knobs");
  const std::size_t at = knobs.find(key + "=");
  return at == std::string::npos ? otherwise : std::stod(knobs.substr(at + key.size() + 1));
}

/// The numbers of a list "key=[a, b]" in a text.
std::vector<double> listed(const std::string& text, const std::string& key) {
  std::vector<double> values;
  std::size_t at = text.find(key + "[");
  REQUIRE(at != std::string::npos);
  const std::size_t end = text.find(']', at);
  for (at = text.find('[', at); at < end; at = text.find_first_of(",]", at + 1)) {
    values.push_back(std::stod(text.substr(at + 1)));
  }
  return values;
}

Time nanoseconds(double microseconds) {
  return std::llround(microseconds * 1000.0);
}

/// Durations per stage: "1", "8;10;10;16" (per device, for each of its chunks), "{0: 1.0, 1: 1.5}".
Grid per_stage(const GoldenRow& row, const char* column, const Pipeline& pipeline) {
  std::vector<Time> given;
  const std::string& text = row.at(column);
  if (text.starts_with('{')) {
    for (std::size_t at = text.find(':'); at != std::string::npos; at = text.find(':', at + 1)) {
      given.push_back(nanoseconds(std::stod(text.substr(at + 1))));
    }
  } else {
    given = row.times(column);
  }
  std::vector<Time> values;
  for (std::int32_t stage = 0; stage < pipeline.stages; ++stage) {
    values.push_back(given[static_cast<std::size_t>(stage) % given.size()]);
  }
  return Grid::per_stage(values);
}

Pipeline loop_of(const GoldenRow& row) {
  return *make_pipeline(row.integer("P"), row.has("V") ? row.integer("V") : 1, row.integer("M"),
                        PlacementKind::kLoop);
}

/// Costs of a row; an activation lives from F to BW.
CostTable costs_of(const GoldenRow& row, const Pipeline& pipeline, bool with_latency = true) {
  const bool latency = with_latency && row.has("comm") &&
                       row.at("comm").find_first_not_of("0123456789.") == std::string::npos;
  CostTable costs = uniform_costs(pipeline, 0, 0, 0, latency ? row.times("comm")[0] : 0);
  costs.split_backward = false;
  costs.forward = per_stage(row, "F", pipeline);
  costs.backward = per_stage(row, row.has("BW") ? "BW" : "B", pipeline);
  if (!row.has("BW")) {
    costs.split_backward = true;
    costs.backward_input = per_stage(row, "B", pipeline);
    costs.backward_weight = per_stage(row, "W", pipeline);
  }
  costs.memory.forward = Grid::constant(1);
  costs.memory.backward_input = Grid::constant(0);
  costs.memory.backward_weight = Grid::constant(-1);
  return costs;
}

void check_figures(const GoldenRow& row, const Schedule& schedule, const CostTable& costs,
                   const char* makespan_column) {
  CAPTURE(row.at("case_id"));
  const test::Figures ours = test::figures(schedule, costs);
  CHECK(ours.makespan == doctest::Approx(row.number(makespan_column)).epsilon(1e-9));
  if (row.has("ref_dep_span")) {
    CHECK(ours.span == doctest::Approx(row.number("ref_dep_span")).epsilon(1e-9));
  }
  if (row.has("peak_mem_per_device")) {
    CHECK(std::vector<double>(ours.peaks.begin(), ours.peaks.end()) ==
          row.numbers("peak_mem_per_device"));
  }
}

GeneratorOptions group_option(const GoldenRow& row) {
  for (const char* key : {"interleave_group_size", "microbatch_group_size", "group"}) {
    if (const double group = knob(row, key, 0); group > 0) {
      return {{"group_size", std::to_string(static_cast<int>(group))}};
    }
  }
  return {};
}

/// A fixed order under pure latency, as the peer times it or as column ref_dep_makespan does.
void replay_order(const GoldenRow& row, const char* schedule,
                  const GeneratorOptions& options = {}) {
  const Pipeline pipeline = loop_of(row);
  const CostTable costs = costs_of(row, pipeline);
  const bool ref = row.has("ref_dep_makespan");
  check_figures(row, generated(schedule, pipeline, costs, options), costs,
                ref ? "ref_dep_makespan" : "peer_value");
}

/// Peers that split the backward without a published order: our order is as fast as theirs, and
/// keeps no more activations.
void replay_zero_bubble(const GoldenRow& row) {
  CAPTURE(row.at("case_id"));
  const Pipeline pipeline = loop_of(row);
  const CostTable costs = test::golden_costs(row, pipeline);
  const test::Figures ours = test::figures(generated("zb-h1", pipeline, costs), costs);
  CHECK(ours.makespan == doctest::Approx(row.number("peer_value")).epsilon(1e-9));
  if (row.has("ref_dep_span")) {
    CHECK(ours.span <= row.number("ref_dep_span"));
  }
  if (row.has("peak_mem_per_device")) {
    CHECK(ours.peak() <= test::golden_peak(row));
  }
}

/// PP-Schedule-Visualization also takes remainders that Megatron-LM refuses.
void replay_interleaved(const GoldenRow& row) {
  GeneratorOptions options = group_option(row);
  if (row.at("peer") == "PP-Schedule-Visualization") {
    options["any_remainder"] = "true";
  }
  replay_order(row, "interleaved", options);
}

void replay_grouped(const GoldenRow& row) {
  replay_order(row, "group-interleaved", group_option(row));
}

/// MindSpeed keeps min(P-s+more, 2(P-s)-1) micro-batches on stage s, and its sends block; its order
/// under pure latency is in ref_dep_makespan.
void replay_eager(const GoldenRow& row) {
  const Pipeline pipeline = loop_of(row);
  const CostTable costs = costs_of(row, pipeline);
  GeneratorOptions options;
  if (row.at("peer") == "MindSpeed") {
    options["warmup"] =
        std::to_string(static_cast<int>(knob(row, "num_mb_for_remaining_memory", 0)));
  }
  check_figures(row, generated("eager-1f1b", pipeline, costs, options), costs, "ref_dep_makespan");
}

/// Chunk 0 .. recompute_chunk_num-1 recomputed; the peer counts no memory for what is recomputed
/// but the one unit at work.
void replay_recompute(const GoldenRow& row) {
  CAPTURE(row.at("case_id"));
  const Pipeline pipeline = loop_of(row);
  const CostTable costs = costs_of(row, pipeline);
  const std::string chunks = std::to_string(static_cast<int>(knob(row, "recompute_chunk_num", 0)));
  for (const char* group : {"1", "2", "4"}) {
    const test::Figures ours =
        test::figures(generated("group-interleaved", pipeline, costs,
                                {{"group_size", group}, {"recompute_chunks", chunks}}),
                      costs);
    CHECK(ours.makespan <= row.number("ref_dep_makespan"));
    CHECK(ours.peak() == 1);
  }
}

void replay_sequence(const GoldenRow& row) {
  Pipeline pipeline = loop_of(row);
  const bool per_split = row.at("F") == "per split";
  const std::vector<double> forward =
      per_split ? listed(row.at("knobs"), "F_q=")
                : std::vector<double>(static_cast<std::size_t>(knob(row, "num_seq_splits", 1)),
                                      row.number("F"));
  const std::vector<double> backward = per_split
                                           ? listed(row.at("knobs"), "BW_q=")
                                           : std::vector<double>(forward.size(), row.number("BW"));
  const auto slices = static_cast<std::int32_t>(forward.size());
  pipeline.slices.assign(static_cast<std::size_t>(pipeline.microbatches), slices);
  CostTable costs = uniform_costs(pipeline, 0, 0, 0);
  costs.split_backward = false;
  const auto grid = [&](const std::vector<double>& of_slice) {
    std::vector<Time> values;
    for (std::int32_t i = 0; i < pipeline.stages * pipeline.microbatches; ++i) {
      for (const double value : of_slice) {
        values.push_back(nanoseconds(value));
      }
    }
    return Grid::per_slice(values, pipeline.microbatches, slices);
  };
  costs.forward = grid(forward);
  costs.backward = grid(backward);
  CAPTURE(row.at("case_id"));
  const Schedule schedule = generated("seq1f1b", pipeline, costs);
  const test::Figures ours = test::figures(schedule, costs);
  CHECK(ours.makespan == doctest::Approx(row.number("peer_value")).epsilon(1e-9));
  // Peaks: uniform_costs keeps 2 bytes per unit; the peer counts splits, or whole micro-batches.
  for (std::size_t d = 0; d < ours.peaks.size(); ++d) {
    const double splits = row.numbers("peak_mem_per_device")[d] * (per_split ? 1 : slices);
    CHECK(static_cast<double>(ours.peaks[d]) == 2 * splits);
  }
}

/// DynaPipe times every micro-batch by itself; on this schedule its communication thread never
/// fills up, so pure latency is what it computes.
void replay_variable_microbatches(const GoldenRow& row) {
  const Pipeline pipeline = loop_of(row);
  const std::vector<double> factors = listed(row.at("knobs"), "mult=");
  REQUIRE(factors.size() == static_cast<std::size_t>(pipeline.microbatches));
  CostTable costs = uniform_costs(pipeline, 0, 0, 0);
  costs.split_backward = false;
  const auto grid = [&](double unit) {
    std::vector<Time> values;
    for (std::int32_t stage = 0; stage < pipeline.stages; ++stage) {
      for (const double factor : factors) {
        values.push_back(nanoseconds(unit * factor));
      }
    }
    return Grid::per_microbatch(values, pipeline.microbatches);
  };
  costs.forward = grid(std::stod(row.at("F")));
  costs.backward = grid(std::stod(row.at("BW")));
  CAPTURE(row.at("case_id"));
  CHECK(test::figures(generated("1f1b", pipeline, costs), costs).makespan ==
        doctest::Approx(row.number("peer_value")).epsilon(1e-9));
}

void replay_dynapipe(const GoldenRow& row) {
  if (row.at("knobs").find("variable micro-batches") != std::string::npos) {
    replay_variable_microbatches(row);
  } else {
    replay_order(row, "1f1b");
  }
}

/// PipeOffload: pairs of devices alternate on one link, so each has it at offload_time * (F+B+W)
/// one way; that is a link of its own here. Where the peer gave up we must still run, no slower.
void replay_offload(const GoldenRow& row) {
  CAPTURE(row.at("case_id"));
  const Pipeline pipeline = loop_of(row);
  CostTable costs = costs_of(row, pipeline);
  costs.memory.given = true;
  costs.offload = costs.reload = Grid::constant(nanoseconds(
      knob(row, "offload_time", 0) * (row.number("F") + row.number("B") + row.number("W"))));
  costs.offload_given = true;
  GeneratorOptions options = group_option(row);
  const Schedule kept = generated("group-interleaved", pipeline, costs, options);
  options["offload_chunks"] = std::to_string(static_cast<int>(knob(row, "offload_chunk_num", 0)));
  const Evaluation before = evaluate(kept, costs);
  const Evaluation after = evaluate(generated("pipeoffload", pipeline, costs, options), costs);
  REQUIRE(after.feasible);
  CHECK(after.makespan == before.makespan);
  CHECK(after.peak_memory <= before.peak_memory);
  if (row.at("trust").starts_with("A")) {
    const std::string& peaks = row.at("peer_value");  // "16 -> 8"
    CHECK(static_cast<double>(before.peak_memory) == std::stod(peaks));
    CHECK(static_cast<double>(after.peak_memory) <= std::stod(peaks.substr(peaks.find("->") + 2)));
    CHECK(static_cast<double>(after.makespan) / 1000.0 ==
          doctest::Approx(row.number("peer_makespan_global")).epsilon(1e-9));
  }
}

using Replay = std::function<void(const GoldenRow&)>;

struct Covered {
  const char* peer;
  const char* schedule;  ///< exact name
  std::size_t rows;      ///< A and B rows, so that one that vanishes is noticed
  Replay replay;
};

Replay order(const char* schedule) {
  return [schedule](const GoldenRow& row) { replay_order(row, schedule); };
}

const std::vector<Covered>& covered() {
  static const char* const kOffload = "PipeOffload (group-interleaved + offload)";
  static const std::vector<Covered> table = {
      {"zero-bubble", "1F1B", 6, order("1f1b")},
      {"zero-bubble", "interleaved-1F1B (vpp.py, Megatron order)", 4, replay_interleaved},
      {"zero-bubble", "group-interleaved-1F1B (PipeOffload base)", 4, replay_grouped},
      {"zero-bubble", "group-interleaved-1F1B + chunk recompute", 2, replay_recompute},
      {"zero-bubble", "Seq1F1B", 2, replay_sequence},
      {"zero-bubble", "Seq1F1B (non-uniform splits)", 4, replay_sequence},
      {"zero-bubble", kOffload, 10, replay_offload},
      {"PP-Schedule-Visualization", "1f1b", 6, order("1f1b")},
      {"PP-Schedule-Visualization", "interleave", 10, replay_interleaved},
      {"PyTorch pipelining", "GPipe", 2, order("gpipe")},
      {"PyTorch pipelining", "LoopedBFS", 2, order("looped-bfs")},
      {"PyTorch pipelining", "Interleaved1F1B", 4, replay_interleaved},
      {"Megatron-LM", "1F1B", 4, order("1f1b")},
      {"Megatron-LM", "interleaved-1F1B", 14, replay_interleaved},
      {"DynaPipe", "1F1B", 4, replay_dynapipe},
      {"DynaPipe", "interleaved-1F1B", 2, replay_interleaved},
      {"minPP", "1f1b", 1, order("1f1b")},
      {"minPP", "gpipe", 1, order("gpipe")},
      {"minPP", "looped_bfs", 1, order("looped-bfs")},
      {"minPP", "eager1f1b", 1, replay_eager},
      {"minPP", "zb1f1b", 1, replay_zero_bubble},
      {"minPP", "interleaved_virtual_pipeline", 1, replay_interleaved},
      {"PipelineSimulator(Sullivan-24)", "STANDARD_1F1B", 2, order("1f1b")},
      {"PipelineSimulator(Sullivan-24)", "STANDARD_AFAB", 1, order("gpipe")},
      {"PipelineSimulator(Sullivan-24)", "STANDARD_INTERLEAVED", 2, replay_interleaved},
      {"PipelineSimulator(Sullivan-24)", "STANDARD_ZBH", 1, replay_zero_bubble},
      {"MindSpeed", "1f1b", 4, order("1f1b")},
      {"MindSpeed", "eager-1F1B", 2, replay_eager},
  };
  return table;
}

struct Elsewhere {
  const char* peer;
  const char* schedule;
  const char* reason;
};

/// Rows of the same peers that this file does not replay.
constexpr Elsewhere kElsewhere[] = {
    {"zero-bubble", "ZB", "zero bubble: its own tests"},
    {"zero-bubble", "V-", "V-shaped: their own tests"},
    {"PP-Schedule-Visualization", "zb1p", "zero bubble: its own tests"},
    {"PP-Schedule-Visualization", "dualpipe", "overlapped: their own tests"},
    {"PP-Schedule-Visualization", "1f1b_overlap", "overlapped pairs in 1f1b: no schedule of ours"},
    {"PP-Schedule-Visualization", "1f1b_interleave_overlap",
     "overlapped pairs in interleaved: no schedule of ours"},
    {"PyTorch pipelining", "InterleavedZeroBubble", "zero bubble: its own tests"},
    {"PyTorch pipelining", "ZBVZeroBubble", "V-shaped: their own tests"},
    {"DynaPipe", "cyclic", "adaptive order, barriers between its cycles: no schedule of ours"},
    {"DynaPipe", "fifo", "another order of DynaPipe's: no schedule of ours"},
    {"DynaPipe", "wait-free-cyclic", "adaptive order of the strategy dynapipe: its own tests"},
    {"minPP", "vshape_zb", "V-shaped: their own tests"},
    {"minPP", "dualpipe_vshape", "overlapped: their own tests"},
    {"MindSpeed", "dynamic micro-batch-size search (1F1B)", "a search over micro-batch sizes"},
};

std::vector<GoldenRow> rows_of(const Covered& entry) {
  std::vector<GoldenRow> rows;
  for (GoldenRow& row : test::golden_rows(entry.peer, entry.schedule)) {
    if (row.at("schedule") == entry.schedule) {
      rows.push_back(std::move(row));
    }
  }
  return rows;
}

}  // namespace

TEST_SUITE("generators") {
  TEST_CASE("golden rows of fixed orders") {
    for (const Covered& entry : covered()) {
      CAPTURE(entry.peer);
      CAPTURE(entry.schedule);
      const std::vector<GoldenRow> rows = rows_of(entry);
      CHECK(rows.size() == entry.rows);
      for (const GoldenRow& row : rows) {
        entry.replay(row);
      }
    }
  }

  TEST_CASE("where PipeOffload gave up, less is offloaded") {
    std::size_t refused = 0;
    for (const GoldenRow& row : test::golden_rows("zero-bubble", "PipeOffload", true)) {
      if (row.at("trust").starts_with("C")) {
        ++refused;
        replay_offload(row);
      }
    }
    CHECK(refused == 12);
  }

  TEST_CASE("what Megatron-LM refuses is refused with what fits") {
    std::size_t refused = 0;
    for (const GoldenRow& row : test::golden_rows("Megatron-LM", "interleaved", true)) {
      if (row.at("trust").starts_with("C")) {
        ++refused;
        const Pipeline pipeline = loop_of(row);
        CHECK(test::refused("interleaved", pipeline, costs_of(row, pipeline), group_option(row))
                  .find("group_size that fits: ") != std::string::npos);
      }
    }
    CHECK(refused == 1);
  }

  TEST_CASE("every row of these peers is replayed or stands elsewhere for a reason") {
    std::set<std::string> peers;
    for (const Covered& entry : covered()) {
      peers.insert(entry.peer);
    }
    for (const std::string& peer : peers) {
      for (const GoldenRow& row : test::golden_rows(peer, "")) {
        CAPTURE(row.at("case_id"));
        CAPTURE(row.at("schedule"));
        const std::string& schedule = row.at("schedule");
        bool known = false;
        for (const Covered& entry : covered()) {
          known = known || (peer == entry.peer && schedule == entry.schedule);
        }
        for (const Elsewhere& entry : kElsewhere) {
          known = known || (peer == entry.peer && schedule.starts_with(entry.schedule));
        }
        CHECK(known);
      }
    }
  }
}
