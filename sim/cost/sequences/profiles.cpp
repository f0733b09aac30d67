// The ready-made profiles: FlexSP's fitted constants (Wang et al., 2412.01523, and its solver) for
// the machines that InfiniPipe was measured on, 8 A800-80GB per node.
//
// Time of one sequence of s tokens on SP GPUs, F and BW of the whole model:
//   T = (alpha1 s^2 + alpha2 s) / SP + beta1.
//
// beta1 re-derived. The fits were made on 4 nodes, where ZeRO-3 moves the parameters three times
// per micro-batch (gather for F, gather for BW, reduce-scatter of gradients), 2 bytes each, of
// which a node receives (n - 1)/n over its 50 GB/s:
//   model   parameters   3 * 2 B * parameters * 3/4 / 50 GB/s   beta1
//   7B          6.51 B                               585.9 ms    629.36 ms   -6.9 %
//   13B        12.36 B                              1112.4 ms   1132.56 ms   -1.8 %
//   30B        30.54 B                              2748.6 ms   2789.36 ms   -1.5 %
// So beta1 is no overhead of kernels; it is traffic, and it depends on who shares the parameters: a
// stage whose GPUs all stand in one node gathers over NVLink. That is FixedCost::kParameterTraffic;
// equation 1 of InfiniPipe, which divides the fitted constant by the stages, is kFitted.
//
// M_token re-derived. A transformer layer keeps 34 D bytes per token (Korthikanti et al.,
// 2205.05198, without the attention matrix, which FlashAttention does not store). For 7B that is
// 34 * 4096 * 32 = 4.456 MB against the fitted 4.480 MB. The fitted 4.220 MB (13B: 6.963 by the
// formula) and 3.417 MB (30B "with checkpointing": 13.578) lie below it, so an unknown number of
// layers was recomputed in those fits and they cannot serve as M_token.
//
// M_logits: logits in bf16; the fused cross-entropy writes their gradient in their place and keeps
// a few bytes of row statistics in fp32, which are left out: vocabulary * 2 bytes per token.
#include <array>

#include <fmt/core.h>

#include "stagecraft/core/text.hpp"
#include "stagecraft/cost/sequence_profile.hpp"

namespace stagecraft {
namespace {

constexpr double kKeptPerHidden = 34.0;  // bytes per token, layer and hidden unit, elements of 2 B
constexpr Bytes kGibibyte = Bytes{1} << 30;

struct FittedModel {
  const char* name;
  double quadratic_ms;
  double linear_ms;
  double fixed_ms;
  std::int32_t layers;
  std::int32_t hidden;
  double parameters;
};

SequenceProfile flexsp_profile(const FittedModel& model) {
  SequenceProfile profile;
  profile.name = "a800-80gb-flexsp";
  profile.model = model.name;
  profile.quadratic_ns = model.quadratic_ms * 1e6;
  profile.linear_ns = model.linear_ms * 1e6;
  profile.fixed_ns = model.fixed_ms * 1e6;
  profile.layers = model.layers;
  profile.hidden = model.hidden;
  profile.kv_width = model.hidden;  // no grouped queries in LLaMA 7B to 30B
  profile.vocabulary = 50'257;
  profile.parameters = model.parameters;
  profile.activation_bytes = kKeptPerHidden * model.hidden * model.layers;
  profile.logits_bytes = profile.vocabulary * profile.element_bytes;
  profile.capacity = 80 * kGibibyte;  // 81 920 MiB, what the driver shows for an A800-80GB
  profile.reserved = 8 * kGibibyte;
  profile.node_bytes_per_second = 200e9;  // A800: 8 NVLinks of 25 GB/s per direction
  profile.network_bytes_per_second = 50e9;
  profile.message_latency = 10 * kMicrosecond;
  profile.all_to_all = {{2, 119.5e9}, {4, 104.1e9}, {8, 96.5e9},
                        {16, 10.3e9}, {32, 5.9e9},  {64, 4.9e9}};
  return profile;
}

}  // namespace

std::span<const SequenceProfile> sequence_profiles() {
  static const std::array<SequenceProfile, 3> profiles = {
      flexsp_profile({"llama-7b", 5.128e-6, 0.18396, 629.36, 32, 4096, 6.51e9}),
      flexsp_profile({"llama-13b", 9.2852e-6, 0.30602, 1132.56, 40, 5120, 12.36e9}),
      flexsp_profile({"llama-30b", 15.4262e-6, 0.80357, 2789.36, 60, 6656, 30.54e9}),
  };
  return profiles;
}

Result<SequenceProfile> find_sequence_profile(std::string_view name, std::string_view model) {
  std::vector<std::string_view> names;
  std::vector<std::string_view> models;
  for (const SequenceProfile& profile : sequence_profiles()) {
    if (profile.name == name && profile.model == model) {
      return profile;
    }
    if (profile.name == name) {
      models.push_back(profile.model);
    }
    if (names.empty() || names.back() != profile.name) {
      names.push_back(profile.name);
    }
  }
  const bool known = !models.empty();
  const std::string_view near = known ? nearest_name(model, models) : nearest_name(name, names);
  const std::string hint = near.empty() ? std::string{} : fmt::format("did you mean '{}'?", near);
  if (known) {
    return bad_input(
        fmt::format("profile '{}' has no model '{}', it has {}", name, model, join(models, ", ")),
        hint);
  }
  return bad_input(fmt::format("unknown profile '{}', expected {}", name, join(names, ", ")), hint);
}

}  // namespace stagecraft
