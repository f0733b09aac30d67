// Orders from building blocks (Qi et al., "Pipeline parallelism with controllable memory",
// 2405.15362): a block says when one micro-batch passes each device; it is repeated every 6 slots
// (F = B = W = 1), squeezed by running every pass as soon as it can, and reordered where a device
// would wait: forwards come earlier while memory lasts, W fill what is left.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "vee_order.hpp"

namespace stagecraft {

/// Fractions of a slot, so that block steps of a quarter slot are whole numbers.
inline constexpr std::int32_t kTicksPerSlot = 12;

/// Start of the F and B passes (kF0, kF1, kB0, kB1) of micro-batch 0 on every device, in ticks.
struct VeeBlock {
  std::vector<std::array<std::int32_t, 4>> start;  ///< [P]
};

/// A block whose passes move from device to device in even steps.
struct VeeSteps {
  std::int32_t forward0 = kTicksPerSlot;  ///< ticks per device, as all below
  std::int32_t forward1 = kTicksPerSlot;
  std::int32_t backward1 = kTicksPerSlot;
  std::int32_t backward0 = kTicksPerSlot;
  std::int32_t turn = kTicksPerSlot;       ///< from F0 to F1 on the last device
  std::int32_t loss = kTicksPerSlot;       ///< from F1 to B1 on device 0
  std::int32_t turn_back = kTicksPerSlot;  ///< from B1 to B0 on the last device
};
[[nodiscard]] VeeBlock make_block(std::int32_t devices, const VeeSteps& steps);

/// Slots that the first pass after each turn waits beyond its producer.
struct VeeDelays {
  std::int32_t turn = 0;       ///< F1 on the last device
  std::int32_t loss = 0;       ///< B1 on device 0
  std::int32_t turn_back = 0;  ///< B0 on the last device
};

/// Every pass as soon as its producer has ended and the slots it takes, modulo 6, are free on its
/// device. `backward_slots`: 1, or 2 for fused backwards.
[[nodiscard]] VeeBlock first_fit_block(std::int32_t devices, std::int32_t backward_slots,
                                       const VeeDelays& delays = {});

/// How a device fills the time in which its next pass of the block cannot run.
struct VeeFilling {
  enum class Weight : std::uint8_t {
    kFits,      ///< W if it ends before the input of the next pass is due, or none is known
    kEager,     ///< W whenever nothing else can run
    kEagerest,  ///< as kEager, and before other passes if no input is known to be due
  };
  /// What is kept for chunk 1 when a forward of chunk 0 comes early: nothing, room for one more
  /// activation on some devices, or, up to the first backward, room for the d + 1 forwards that can
  /// reach device d before it.
  enum class Reserve : std::uint8_t { kNone, kFirstHalf, kAllButLast, kArriving };
  Weight weight = Weight::kFits;
  Reserve reserve = Reserve::kNone;
  bool reorder = true;          ///< false: W only
  bool early_backwards = true;  ///< false: only forwards come early
};

/// Repeats a block for all micro-batches; nothing if memory cannot carry the order.
class VeeRepeater {
 public:
  explicit VeeRepeater(const VeeCosts& costs);
  ~VeeRepeater();
  VeeRepeater(const VeeRepeater&) = delete;
  VeeRepeater& operator=(const VeeRepeater&) = delete;

  /// Gives up on orders whose span is sure to be larger than `most_span`.
  [[nodiscard]] std::optional<VeeOrder> repeat(const VeeBlock& block, const VeeFilling& filling,
                                               Time most_span = kNever);

 private:
  struct Device;
  enum class Choice : std::uint8_t { kWait, kListed, kWeight, kDone };

  void write_lists(const VeeBlock& block);
  [[nodiscard]] Time arrival(std::int32_t d, VeePass pass) const;
  [[nodiscard]] Choice choose(std::int32_t d, const VeeFilling& filling, std::size_t& listed,
                              Time& due) const;
  [[nodiscard]] std::size_t early_pass(std::int32_t d, const VeeFilling& filling, Time due) const;
  void run_pass(std::int32_t d, VeePass pass);
  void wake(std::int32_t d, Time arrival);
  [[nodiscard]] std::size_t unit(std::size_t kind, std::int32_t stage,
                                 std::int32_t microbatch) const;
  [[nodiscard]] Bytes change(std::int32_t d, VeePass pass, std::int32_t microbatch) const;

  const VeeCosts& costs_;
  std::vector<Bytes> largest_;  // [P] largest activation of a unit
  std::vector<Time> work_;      // [P] sum of durations
  std::vector<Device> devices_;
  std::vector<Time> done_;  // [F, B][stage][micro-batch] end, -1 if not run
};

}  // namespace stagecraft
