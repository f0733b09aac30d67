// What a search may choose, and what every choice costs.
//
// Two levels. Outer coordinates are a grid of discrete numbers that change the costs themselves
// (micro-batch count, devices; later tensor, data, expert and context parallel degrees, ZeRO): a
// search treats them as names and values and nothing else. At a point of that grid stands one
// Problem: layers to be cut into stages, stages to be placed on P devices, ops to be ordered, units
// to be recomputed or offloaded. Methods see Problems only, so a further coordinate changes none.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/core/units.hpp"
#include "stagecraft/cost/cost_table.hpp"
#include "stagecraft/generators/generator.hpp"
#include "stagecraft/plan/pipeline.hpp"
#include "stagecraft/schedule/schedule.hpp"

namespace stagecraft::search {

/// What can be moved from stage to stage. Lists of L entries; costs of whole micro-batches on a
/// device of speed 1. Where a problem has fixed stages only, every stage is one layer.
struct Layers {
  std::vector<Time> forward;           ///< ns
  std::vector<Time> backward_input;    ///< ns; B of a split backward, otherwise the whole BW
  std::vector<Time> backward_weight;   ///< ns; W, 0 if the backward is not split
  std::vector<Time> backward;          ///< ns; BW where it is not B + W; empty: it is everywhere
  std::vector<Bytes> activation;       ///< allocated by F; empty: no memory costs
  std::vector<Bytes> activation_kept;  ///< the part of it that W releases, not B; as long, or empty
  std::vector<Bytes> parameters;  ///< resident on the device that holds the layer; may be empty

  [[nodiscard]] std::int32_t count() const { return static_cast<std::int32_t>(forward.size()); }
};

/// Stages on devices and what they cost: the input of generators and of the engine.
struct Instance {
  Pipeline pipeline;
  CostTable costs;
  std::vector<std::int32_t> partition;  ///< [S] layers per stage
};

/// A registered schedule in the shape in which it can run, ready to be generated.
struct Start {
  Instance instance;
  GeneratorOptions options;
  P2pLowering p2p = P2pLowering::kBatched;
};

struct Problem {
  std::int32_t devices = 1;       ///< P
  std::int32_t microbatches = 1;  ///< M
  Layers layers;                  ///< [L]
  /// All micro-batches cost the same and have one slice, no direction is doubled: `layers` says all
  /// there is to say of durations. Otherwise only `instance` knows.
  bool uniform = true;
  bool split_backward = false;
  std::vector<std::int64_t> speed;  ///< [P] billionths; empty: 1

  bool partition_open = false;   ///< layers may move between stages
  bool placement_open = false;   ///< stages may move between devices
  bool chunks_open = false;      ///< the number of stages may change; without partition_open by
                                 ///< even cuts only
  bool schedule_open = false;    ///< otherwise only `schedules`, as their generators make them
  bool recompute_open = false;   ///< units may be recomputed
  bool offload_open = false;     ///< units may be offloaded
  std::int32_t most_chunks = 1;  ///< largest number of stages on one device

  /// As stated, or where a search begins. `partition` [S] counts layers per stage.
  std::vector<std::int32_t> partition;
  std::vector<std::int32_t> device_of_stage;  ///< [S]

  /// Names of the registered schedules that belong to the space: starting points, and the only
  /// schedules where schedule_open is false.
  std::vector<std::string> schedules;

  /// The real costs of stages: everything that CostTable knows (communication, memory, capacity, G
  /// and U). Deterministic; safe to call from several threads. Fails if stages and layers do not
  /// fit together.
  std::function<Result<Instance>(std::span<const std::int32_t> partition,
                                 std::span<const std::int32_t> device_of_stage)>
      instance;

  /// The shape in which a registered schedule runs on the open choices, as `simulate` or `compare`
  /// would choose it. Fails, with the reason, where it does not fit what is stated.
  std::function<Result<Start>(std::string_view schedule)> start;
};

/// One outer choice.
struct Coordinate {
  std::string name;                  ///< a scenario key, e.g. "pipeline.microbatches"
  std::vector<std::int64_t> values;  ///< at least one
};

/// Index into the values of every coordinate.
using Point = std::vector<std::int32_t>;

class Space {
 public:
  Space() = default;
  Space(const Space&) = delete;
  Space& operator=(const Space&) = delete;
  virtual ~Space() = default;

  [[nodiscard]] virtual std::span<const Coordinate> coordinates() const = 0;
  /// The problem at a point. Fails, with the reason, where the values do not go together.
  [[nodiscard]] virtual Result<Problem> problem(const Point& point) const = 0;
};

/// The points of a space in a fixed order, the last coordinate fastest.
[[nodiscard]] std::vector<Point> all_points(const Space& space);

/// A space without outer coordinates; for tests and for callers that have one problem.
class SingleSpace final : public Space {
 public:
  explicit SingleSpace(Problem problem) : problem_(std::move(problem)) {}
  [[nodiscard]] std::span<const Coordinate> coordinates() const override { return {}; }
  [[nodiscard]] Result<Problem> problem(const Point& point) const override;

 private:
  Problem problem_;
};

/// What a problem of layers costs beside its layers.
struct LayerProblemOptions {
  std::int32_t devices = 1;
  std::int32_t microbatches = 1;
  Time transfer = 0;                 ///< ns at every boundary between devices
  std::vector<Bytes> capacity = {};  ///< [P]; empty: unlimited
  std::int32_t most_chunks = 0;      ///< 0: as many as there are layers for every device
  bool split_backward = true;
};

/// A problem with everything open (partition, placement, chunks, schedule), whose costs are those
/// of its layers: what tests, benchmarks and methods need without a scenario file. Its `start` cuts
/// layers evenly by count, as `simulate` does.
[[nodiscard]] Problem make_layer_problem(Layers layers, const LayerProblemOptions& options);

/// A problem whose stages are fixed and whose order is open: `costs` are of `pipeline`. `layers`
/// is filled where the costs are uniform.
[[nodiscard]] Problem make_order_problem(const Pipeline& pipeline, const CostTable& costs);

}  // namespace stagecraft::search
