// OptPipe's model: the start of every F, B, W, O and L of a pipeline, and which activations are
// offloaded, as a mixed-integer program.
//
// Without offload it is the ILP of Qi et al. ("Zero bubble pipeline parallelism", 2401.10241, the
// authors' code): end times E, one binary P(x,y) per pair of ops of a device whose order is open,
// memory at every allocation as a sum over what stands before it. With offload (Li et al., OptPipe,
// 2510.05186; equations reconstructed, the paper's were not published) every unit u gets a binary
// z(u), ends of O(u) and L(u), binaries for the order of copies on one host link, and away(u,x): u
// is in host memory while the op (or reload) x takes its memory.
//
//   E(x) >= E(y) + T(x) + latency                      x needs y
//   E(x) >= E(y) + T(x) - M (1 - P(y,x)), and mirrored  x, y on one device, order open
//   E(O) >= E(F) + T(O) z,  E(L) >= E(O) + T(L) z,  E(B) >= E(L) + T(B)
//   E(c') >= E(c) + T(c') - M (1 - K(c,c')) - M (2 - z(u) - z(u'))   copies on one link
//   D(x) + sum of D(y) over y before x - sum of bytes(u) away(u,x) <= capacity    x takes memory
//   P(x,y) + P(y,w) + P(w,x) <= 2                       triangle cuts
// Pairs are fixed that data fix, and (for the makespan) that no schedule as short as the start can
// have the other way round (heads and tails). Ops of one kind and stage run by micro-batch, and so
// do their copies: exact where micro-batches cost the same, since they can be exchanged.
//
// The published model lets an op start late. Without offload this is harmless, except that its span
// can be shorter than that of a schedule whose stages start as early as they can. With offload it
// is not: a forward would wait for another unit's O to end, which no order can ask for
// (schedule.hpp). So then every compute op starts when something that it waits for in the engine
// ends:
//
//   E(x) - T(x) <= E(y) + latency + M (1 - t(y,x)),  t(y,x) <= P(y,x),  sum of t(y,x) over y >= 1
//
// Where the model remains stricter than the engine: a reload that starts while an op runs counts
// from that op's start on (the engine starts it there if the copy stream is free), and devices that
// share a link copy one at a time, also where the link is shared fairly. What is read back is
// always measured.
#pragma once

#include <cstdint>
#include <vector>

#include "search/optpipe/milp.hpp"
#include "stagecraft/search/plan.hpp"
#include "stagecraft/search/problem.hpp"

namespace stagecraft::search {

struct PipelineMilpOptions {
  Objective objective = Objective::kMakespan;  ///< makespan or span
  bool offload = false;
  /// A makespan that a schedule is known to have, ns; 0: none. Longer ones are cut off.
  Time horizon = 0;
  std::size_t most_cuts = 3000;  ///< triangle cuts
};

class PipelineMilp {
 public:
  /// `instance` outlives this; covers(instance) must be empty.
  PipelineMilp(const Instance& instance, const PipelineMilpOptions& options);

  /// Empty, or what the model does not know: several directions, slices, other modes than latency.
  /// `most_pairs`: how large a model may be.
  [[nodiscard]] static Diagnostics covers(const Instance& instance,
                                          std::int64_t most_pairs = 200'000);

  [[nodiscard]] const MilpModel& model() const { return model_; }

  /// The point of a schedule; empty if the model cannot express it (another micro-batch order, R,
  /// fused backwards where B and W are known, memory that the model counts more strictly).
  [[nodiscard]] std::vector<double> point_of(const Schedule& schedule) const;

  /// The orders of a point; copies stand where their times say.
  [[nodiscard]] Schedule schedule_of(const std::vector<double>& point) const;

  /// ns per unit of the model's time: objective value x scale is a time.
  [[nodiscard]] Time scale() const { return scale_; }

 private:
  struct Node {
    OpKind kind = OpKind::kForward;
    std::int32_t stage = 0, microbatch = 0;
    Time length = 0;
    Bytes change = 0;     // all it takes and gives
    Time head = 0;        // earliest start
    Time tail = 0;        // least time from its end to the end of the schedule
    std::size_t end = 0;  // variable
  };
  struct Pair {
    std::size_t first = 0, second = 0;  // nodes; the binary is 1 if `first` runs first
    std::size_t variable = 0;
  };
  struct Copied {
    std::size_t forward = 0, backward = 0;  // nodes
    Bytes bytes = 0;
    Time out = 0, back = 0;
    std::size_t chosen = 0, out_end = 0, back_end = 0;  // variables
  };
  struct Away {
    std::size_t unit = 0, node = 0, variable = 0;
  };
  struct CopyOrder {
    std::size_t first = 0, second = 0;  // copies: 2 x unit, + 1 for L; first < second
    std::size_t variable = 0;           // 1 if `first` comes first
  };
  struct AwayAtReload {
    std::size_t unit = 0, at = 0, variable = 0;  // units
  };
  struct Tight {
    std::size_t node = 0, other = 0;  // `other` is what it waits for, or nodes_.size(): its L
    Time latency = 0;
    std::size_t variable = 0;
  };
  struct Ended {
    // 1: the node's change of memory counts when the unit's L starts
    std::size_t node = 0, unit = 0, variable = 0;
  };

  void add_nodes();
  void add_ends();
  void add_pairs();
  void add_objective();
  void add_cuts();
  void add_units();
  void add_copy_orders();
  void add_memory();
  void add_reload_memory();
  void add_early_starts();
  void early_start(std::size_t node, const std::vector<std::size_t>& unit_of);
  void add_tight(const Tight& tight, std::size_t end, std::vector<MilpTerm>& any);
  [[nodiscard]] Bytes room_of(std::int32_t device) const;
  void order_rows(std::size_t before, std::size_t after, std::size_t variable, bool mirrored);

  [[nodiscard]] std::int32_t device_of(std::size_t node) const;
  [[nodiscard]] bool always_before(std::size_t a, std::size_t b) const {
    return before_[a * nodes_.size() + b];
  }
  [[nodiscard]] Time latest(std::size_t node) const { return horizon_ - nodes_[node].tail; }
  /// "Copy a comes before copy b" (if both are made) as constant + factor x variable.
  struct Precedence {
    double constant = 0.0;
    double factor = 0.0;  // 0: fixed
    std::size_t variable = 0;
  };
  [[nodiscard]] Precedence precedence(std::size_t a, bool a_back, std::size_t b, bool b_back) const;
  void order_copies(std::size_t a, bool a_back, std::size_t b, bool b_back);
  void memory_row(std::size_t node, Bytes room);
  void reload_row(std::size_t unit, Bytes room);
  [[nodiscard]] std::vector<MilpTerm> start_of_reload(std::size_t unit, double factor) const;
  [[nodiscard]] bool same_link(std::size_t a, std::size_t b) const;

  const Instance& instance_;
  PipelineMilpOptions options_;
  MilpModel model_;
  Time scale_ = 1;
  Bytes byte_scale_ = 1;
  Time horizon_ = 0;        // scaled
  std::size_t result_ = 0;  // variable
  std::vector<Node> nodes_;
  std::vector<std::vector<std::size_t>> on_device_;  // [P] nodes
  std::vector<std::vector<std::pair<std::size_t, Time>>> needs_;
  std::vector<bool> before_;  // [nodes * nodes] a always ends before b starts
  std::vector<Pair> pairs_;
  std::vector<std::vector<std::pair<std::size_t, bool>>> pairs_of_;  // per node: pair, is first
  std::vector<Copied> units_;
  std::vector<Away> aways_;
  std::vector<CopyOrder> copy_orders_;  // by (first, second)
  std::vector<AwayAtReload> reload_aways_;
  std::vector<Ended> ended_;
  std::vector<Tight> tights_;
};

}  // namespace stagecraft::search
