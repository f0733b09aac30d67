// Micro-batch formation: from the sequences of a global batch to micro-batches of slices. Padding,
// packing, slicing and chunking all produce the same structure, and one verifier knows its rules.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/data/sampling.hpp"
#include "stagecraft/data/slicing.hpp"

namespace stagecraft::data {

/// Tokens [begin, begin + tokens) of one sequence; its context are the `begin` tokens before.
struct Piece {
  std::int32_t sequence = 0;  ///< index into the global batch
  Tokens begin = 0;
  Tokens tokens = 0;
  Tokens padded = 0;  ///< tokens that are computed, >= tokens; more only where padding is

  friend bool operator==(const Piece&, const Piece&) = default;
};

/// What one forward works on (a chunk in InfiniPipe's words): pieces that attend only to their own
/// sequence. A piece with begin > 0 attends to the pieces of its sequence in earlier slices.
struct Slice {
  std::vector<Piece> pieces;

  [[nodiscard]] Tokens tokens() const;
  [[nodiscard]] Tokens padded() const;
};

/// Slices in causal order: forwards ascending, backwards descending.
struct MicroBatch {
  std::vector<Slice> slices;

  /// True if a sequence stands in more than one slice, so that keys and values are kept between
  /// slices and their gradients are summed.
  [[nodiscard]] bool split() const { return slices.size() > 1; }
  [[nodiscard]] Tokens tokens() const;
  [[nodiscard]] Tokens padded() const;
};

struct Formation {
  std::string method;  ///< "best-fit", ...
  std::vector<MicroBatch> microbatches;

  [[nodiscard]] Tokens tokens() const;
  [[nodiscard]] Tokens padded() const;
  [[nodiscard]] std::int32_t units() const;  ///< slices of all micro-batches
};

/// What a formation must keep; 0: no limit. All count padded tokens.
struct FormationLimits {
  Tokens slice = 0;
  Tokens microbatch = 0;
};

/// The one verifier: every token of every sequence exactly once; a sequence within one micro-batch,
/// its pieces in ascending slices, at most one per slice, each beginning where the one before
/// ended; no empty slice or micro-batch; padded >= tokens; limits kept. Names the first few faults.
[[nodiscard]] Diagnostics verify_formation(const GlobalBatch& batch, const Formation& formation,
                                           const FormationLimits& limits = {});

/// Time of a slice in the unit of `costs`: `fixed` plus what its pieces cost with their context,
/// padding included.
[[nodiscard]] double slice_cost(const Slice& slice, const TokenCosts& costs, double fixed = 0.0);

// All methods are deterministic: ties go to the lower index. They fail (bad input) on an empty
// batch, on numbers out of range, and where a sequence is longer than a limit that it cannot be cut
// to; the message names the sequence and what would do.

/// `count` sequences per micro-batch in the order of the batch, all padded to the longest of them.
[[nodiscard]] Result<Formation> pad_together(const GlobalBatch& batch, std::int32_t count);

/// Whole sequences in the order of the batch, each into the first micro-batch with room for it
/// (`capacity` tokens). O(n log n).
[[nodiscard]] Result<Formation> pack_first_fit(const GlobalBatch& batch, Tokens capacity);

/// Longest first, each into the micro-batch with the least room that is enough. O(n log n).
[[nodiscard]] Result<Formation> pack_best_fit(const GlobalBatch& batch, Tokens capacity);

/// DynaPipe (Jiang et al., EuroSys '24): samples sorted by length are cut into consecutive
/// micro-batches, padded to their longest; a dynamic program over candidate longest times t_max
/// minimises (stages - 1) t_max + sum t / data_parallel.
struct DynaPipeOptions {
  std::int32_t stages = 1;
  std::int32_t data_parallel = 1;
  TokenCosts costs;              ///< of one stage, forward and backward
  double fixed = 0.0;            ///< per micro-batch and stage
  Tokens capacity = 0;           ///< padded tokens of a micro-batch; 0: no limit
  std::int32_t candidates = 64;  ///< values of t_max that are tried
};
[[nodiscard]] Result<Formation> dynapipe_microbatches(const GlobalBatch& batch,
                                                      const DynaPipeOptions& options);

/// What slices of a packed micro-batch have in common.
enum class SliceRule : std::uint8_t { kEqualCost, kEqualTokens };

/// Cuts every micro-batch of `packed` (its sequences laid end to end, the longest first) into
/// `slices` slices of equal cost (Seq1F1B, 2406.03488: equal FLOPs under causal attention), or of
/// equal tokens (SlimPipe-like). Slices keep to multiples of `multiple` tokens where they can; a
/// micro-batch of fewer tokens gets fewer slices. Sequences may be cut anywhere. Slices and padding
/// that `packed` has are forgotten: end to end nothing needs padding.
[[nodiscard]] Result<Formation> slice_evenly(const Formation& packed, std::int32_t slices,
                                             SliceRule rule, const TokenCosts& costs,
                                             Tokens multiple = 1);

/// The same laid-out micro-batches cut into slices of at most `tokens` tokens, the last one
/// shorter: the fixed-size chunks with which InfiniPipe ran Seq1F1B.
[[nodiscard]] Result<Formation> slice_by_tokens(const Formation& packed, Tokens tokens);

/// TeraPipe (Li et al., ICML '21): slices of every micro-batch of `packed` that minimise
/// sum t_i + (stages - 1) max t_i, by a dynamic program over slice lengths in steps of `step`
/// tokens; exact among slices that end at steps.
struct TeraPipeOptions {
  std::int32_t stages = 1;
  TokenCosts costs;    ///< of one stage, forward and backward
  double fixed = 0.0;  ///< per slice and stage
  Tokens step = 1024;
  std::int32_t most_slices = 64;
};
[[nodiscard]] Result<Formation> terapipe_slices(const Formation& packed,
                                                const TeraPipeOptions& options);

/// ChunkFlow (Yuan et al., 2503.02356): sequences longer than `chunk` are cut into chunks of that
/// size, a micro-batch each; the others are packed best-fit into chunks of at most that size.
[[nodiscard]] Result<Formation> chunk_evenly(const GlobalBatch& batch, Tokens chunk);

/// InfiniPipe's workload-balanced chunking (2509.21275, algorithm 1): the longest sequence is cut
/// into `slices` slices of equal time; every longer-than-one-slice sequence is cut at the same mesh
/// points; tails and short sequences are packed best-fit decreasing under a time target that is
/// relaxed, and a token threshold. Micro-batches come longest (most slices, then most tokens)
/// first.
struct BalancedOptions {
  TokenCosts costs;    ///< of one stage, forward and backward
  double fixed = 0.0;  ///< per slice and stage
  /// K: slices of the longest sequence; fewer where it has fewer tokens.
  std::int32_t slices = 1;
  /// Most tokens of a slice; 0: no limit. K is raised until the slices of the longest sequence
  /// keep to it.
  Tokens capacity = 0;
  /// Most tokens of a packed slice as a multiple of the first mesh slice (T_m of algorithm 1), at
  /// least 1; above the capacity it is the capacity.
  double token_threshold = 1.0;
};
[[nodiscard]] Result<Formation> balanced_chunks(const GlobalBatch& batch,
                                                const BalancedOptions& options);

}  // namespace stagecraft::data
