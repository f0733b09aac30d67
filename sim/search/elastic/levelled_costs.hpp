// SlimPipe's costs (2504.14519): slices of equal tokens, levelled by exchanged attention.
//
// Causal attention makes later slices dearer. SlimPipe lets devices that work at the same time, on
// neighbouring slices, share their attention: those above the mean send queries, keys and values
// away and get outputs back. Here every slice of a micro-batch then takes the mean of their times,
// and of what the exchange takes. The paper's text is not at hand; what is moved is derived, in the
// devices' favour where there is a choice of what to move:
//
// - In steady state stage k works on slice q - k while the first one works on q; before slice 0
//   stand the last ones of another micro-batch, taken to be alike. A slice's pairs of query and key
//   above the mean of these p slices are computed elsewhere.
// - a queries of D and b keys and values of 2 D_kv make a * b pairs. In F a device sends the
//   queries, keys and values and gets a outputs of D; in BW it sends queries, the gradients of
//   their outputs, keys and values and gets the gradients of all but the outputs: together
//   5 a D + 6 b D_kv, least at a = sqrt(6 D_kv / (5 D) * pairs), but no more queries than the slice
//   has and no more keys than its longest piece reaches back. The sums of the softmax are left out.
// - Devices below the mean take the work in proportion to what they lack. A direction of a layer
//   takes as long as its busiest link, out and then back, at a GPU's share of the network (of its
//   node where the pipeline is within one), without overlap, as all exchange of the profile.
// - A micro-batch whose exchange takes longer than devices in step would wait for the slowest of
//   them without it keeps its slices as they are. (Moving a part of the work only is no way out: a
//   part of the pairs needs its root of queries and keys.)
// - A shared vocabulary needs the last hidden states of a slice on every stage, and the gradient of
//   them back: D per token each way.
#pragma once

#include "search/elastic/unit_table.hpp"

namespace stagecraft::elastic {

/// What levelling a micro-batch adds to every one of its slices, in ns of a layer, and saves.
struct LevellingCost {
  double forward = 0.0;
  double backward = 0.0;
  double saved = 0.0;  ///< waiting in F and BW for the slowest of the slices that run together

  [[nodiscard]] bool pays() const { return forward + backward < saved; }
};
[[nodiscard]] LevellingCost levelling_cost(const SequenceProfile& profile,
                                           const SequenceLayout& layout,
                                           const data::MicroBatch& microbatch);

/// Levels the plain costs of a formation; if the exchange is `charged`, where it pays, and adds it.
void level_costs(const SequenceProfile& profile, const SequenceLayout& layout,
                 const data::Formation& formation, bool charged, UnitTable& table);

}  // namespace stagecraft::elastic
