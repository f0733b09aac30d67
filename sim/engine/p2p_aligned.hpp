// Calls placed where sender and receiver meet.
#pragma once

#include "engine/p2p_lowering.hpp"

namespace stagecraft {

/// Every message goes into one call of its sender and one of its receiver, between two ops each.
/// The two are chosen so that in the timeline without latencies both devices stand there at the
/// same time: the earliest such meeting after the producer's end and before the consumer's start,
/// or the nearest miss if there is none. All messages of a device between two ops are one call.
/// Where all messages meet, the calls cost nothing but their latencies, and no call waits for a
/// later one.
[[nodiscard]] P2pProgram lower_aligned(const Schedule& schedule, const TaskGraph& graph);

}  // namespace stagecraft
