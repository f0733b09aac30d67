#include "cost/sequences/collectives.hpp"

#include <algorithm>

namespace stagecraft::sequence_costs {
namespace {

double time_of(double bytes, double bytes_per_second) {
  return bytes / bytes_per_second * kNanosecondsPerSecond;
}

// Of a GPU in a ring of `members` GPUs that stand `stride` apart. Each of the rings side by side
// crosses every border between nodes once, so that they share a node's network.
double ring_rate(const SequenceProfile& profile, std::int32_t stride, std::int32_t members) {
  if (std::int64_t{stride} * members <= profile.gpus_per_node) {
    return profile.node_bytes_per_second;
  }
  const double sharing = std::min(stride, profile.gpus_per_node);
  return std::min(profile.node_bytes_per_second, profile.network_bytes_per_second / sharing);
}

// Equation 3, V = e (D + D_kv) s / d_s bytes twice per layer, re-derived: Q, K, V before and the
// output after the attention are exchanged, buffers of e s / d_s times D, D_kv, D_kv and D bytes on
// each GPU. Both directions together with D_kv = D and e = 2 that is FlexSP's 4 * 2 * L h s * 2/SP.
// Four exchanges, four latencies. The measured rate is of whole buffers.
void add_all_to_all(const SequenceProfile& profile, const SequenceLayout& layout,
                    Exchange& exchange) {
  const std::int32_t degree = all_to_all_degree(profile, layout);
  if (degree == 1) {
    return;
  }
  const CollectiveRate* rate = find_rate(profile, degree);
  STAGECRAFT_CHECK(rate != nullptr, "an all-to-all of unknown rate");
  const double width = double{2} * profile.hidden + double{2} * profile.kv_width;
  exchange.per_token +=
      time_of(profile.element_bytes * width / layout.group(), rate->bytes_per_second);
  exchange.latency += 4.0 * static_cast<double>(profile.message_latency);
}

// Two all-reduces of a GPU's tokens (behind attention and feed-forward; in BW before them), each a
// reduce-scatter and an all-gather.
void add_all_reduces(const SequenceProfile& profile, const SequenceLayout& layout,
                     Exchange& exchange) {
  if (layout.tensor == 1) {
    return;
  }
  const double t = layout.tensor;
  const double others = static_cast<double>(layout.sequence) * layout.context;
  const double bytes = 2.0 * 2.0 * (t - 1.0) / t * profile.hidden * profile.element_bytes / others;
  exchange.per_token += time_of(bytes, ring_rate(profile, 1, layout.tensor));
  exchange.latency += 4.0 * static_cast<double>(profile.message_latency);
}

// A ring that passes blocks of keys and values, of the context too: it is spread over the ring as
// the slice is. BW passes keys and values and their gradients, `times` 2.
void add_ring(const SequenceProfile& profile, const SequenceLayout& layout, double times,
              Exchange& exchange) {
  if (layout.context == 1) {
    return;
  }
  const double c = layout.context;
  const std::int32_t stride = layout.tensor * layout.sequence;
  const double bytes = (c - 1.0) / c * 2.0 * profile.kv_width * profile.element_bytes / stride;
  const double time = times * time_of(bytes, ring_rate(profile, stride, layout.context));
  exchange.per_token += time;
  exchange.per_context += time;
  exchange.latency += times * (c - 1.0) * static_cast<double>(profile.message_latency);
}

void add(const Exchange& part, Exchange& whole) {
  whole.per_token += part.per_token;
  whole.per_context += part.per_context;
  whole.latency += part.latency;
}

}  // namespace

LayerExchange layer_exchange(const SequenceProfile& profile, const SequenceLayout& layout) {
  LayerExchange result;
  add_all_to_all(profile, layout, result.forward);
  add_all_reduces(profile, layout, result.forward);
  result.backward = result.forward;
  add_ring(profile, layout, 1.0, result.ring_forward);
  add_ring(profile, layout, 2.0, result.ring_backward);
  add(result.ring_forward, result.forward);
  add(result.ring_backward, result.backward);
  return result;
}

std::int32_t all_to_all_degree(const SequenceProfile& profile, const SequenceLayout& layout) {
  if (layout.sequence == 1) {
    return 1;
  }
  const std::int64_t together = std::int64_t{layout.tensor} * layout.sequence;
  return together <= profile.gpus_per_node ? layout.sequence : static_cast<std::int32_t>(together);
}

const CollectiveRate* find_rate(const SequenceProfile& profile, std::int32_t gpus) {
  const auto found = std::find_if(profile.all_to_all.begin(), profile.all_to_all.end(),
                                  [&](const CollectiveRate& rate) { return rate.gpus == gpus; });
  return found == profile.all_to_all.end() ? nullptr : &*found;
}

double parameter_pass(const SequenceProfile& profile, const SequenceLayout& layout,
                      std::int32_t stage) {
  const double stage_bytes = profile.element_bytes * profile.parameters *
                             layers_of_stage(profile, layout, stage) / profile.layers;
  // Tensor parallelism cuts parameters for good; what it leaves is shared by the other degrees.
  const std::int32_t sharing = layout.sequence * layout.context * layout.data;
  const std::int32_t shards_in_node = std::min(layout.tensor, profile.gpus_per_node);
  const std::int32_t members_in_node =
      std::clamp(profile.gpus_per_node / shards_in_node, 1, sharing);
  const double shard = stage_bytes / layout.tensor;
  const double within = time_of(shard * (sharing - 1) / sharing, profile.node_bytes_per_second);
  if (members_in_node == sharing) {
    return within;
  }
  const double nodes = static_cast<double>(sharing) / members_in_node;
  const double across =
      time_of(shard * shards_in_node * (nodes - 1.0) / nodes, profile.network_bytes_per_second);
  return members_in_node == 1 ? across : std::max(within, across);
}

double boundary_bytes(const SequenceProfile& profile, const SequenceLayout& layout) {
  return profile.hidden * profile.element_bytes / layout.group();
}

double boundary_time(const SequenceProfile& profile, const SequenceLayout& layout,
                     std::int32_t boundary) {
  const std::int64_t gpus = std::int64_t{layout.group()} * layout.data;
  const bool within_node = boundary * gpus / profile.gpus_per_node ==
                           ((boundary + 2) * gpus - 1) / profile.gpus_per_node;
  const double bytes = boundary_bytes(profile, layout);
  if (within_node) {
    return time_of(bytes, profile.node_bytes_per_second);
  }
  const auto senders = static_cast<double>(std::min<std::int64_t>(gpus, profile.gpus_per_node));
  return time_of(bytes * senders, profile.network_bytes_per_second);
}

}  // namespace stagecraft::sequence_costs
