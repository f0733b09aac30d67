// Random valid schedules and random costs, for property tests. Every order that can run at all has
// a positive chance: ops are appended one by one, each time a random one among those whose needs
// stand already.
#pragma once

#include "stagecraft/core/random.hpp"
#include "stagecraft/cost/cost_table.hpp"
#include "stagecraft/schedule/schedule.hpp"

namespace stagecraft::test {

struct RandomShape {
  std::int32_t most_devices = 4;
  std::int32_t most_chunks = 3;
  std::int32_t most_microbatches = 5;
  std::int32_t most_slices = 3;
  bool bidirectional = true;
  bool explicit_placement = true;
  bool recompute = true;
  bool offload = true;
  bool overlapped = true;
};

[[nodiscard]] Pipeline random_pipeline(Random& random, const RandomShape& shape = {});

/// A valid schedule of `pipeline`; the backward of every unit is split or fused at random.
[[nodiscard]] Schedule random_schedule(Random& random, const Pipeline& pipeline,
                                       const RandomShape& shape = {});

/// Latency mode, split backward; durations and latencies from 0, memory without capacity, varying
/// along a random choice of axes; in one case of three transfers depend on the unit.
[[nodiscard]] CostTable random_costs(Random& random, const Pipeline& pipeline);

/// Makes transfers depend on the unit: latencies from 0 to `slowest` ns and messages from 0 to
/// `most` bytes. Leaves `random` where it is, so that a test's cases stay what they are beside
/// that.
void vary_transfers(const Random& random, const Pipeline& pipeline, Time slowest, Bytes most,
                    CostTable& costs);

/// All messages of the same size, whether or not latencies depend on the unit.
void set_bytes(const Pipeline& pipeline, Bytes bytes, CostTable& costs);

}  // namespace stagecraft::test
