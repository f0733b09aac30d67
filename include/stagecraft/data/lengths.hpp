// Where sequence lengths come from: files, histograms, synthetic distributions and mixtures, and
// named stand-ins for corpora. All are streams: a data set of any size takes bounded memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "stagecraft/core/diagnostics.hpp"

namespace stagecraft::data {

/// A count of tokens; a sequence has at least 1.
using Tokens = std::int64_t;

/// Longest sequence that is taken: 2^31 tokens.
inline constexpr Tokens kLongestSequence = Tokens{1} << 31;

/// A count of tokens as people write it: 4096, 48K, 1.5M; from 1 to kLongestSequence. K is 1024, as
/// the field means it (48K of context), and so is Ki; M is 1024 K. Fails (bad input) otherwise.
[[nodiscard]] Result<Tokens> parse_tokens(std::string_view text);

/// Fills `out` from its front with the next lengths and returns how many; 0: at the end. What is
/// wrong with a line of a file is a failure with file, line and column, and ends the stream.
using LengthSource = std::function<Result<std::size_t>(std::span<Tokens> out)>;

enum class FileFormat : std::uint8_t { kAuto, kLines, kCsv, kJsonLines };

/// How a file is read; expressions ignore it.
struct FileOptions {
  FileFormat format = FileFormat::kAuto;  ///< kAuto: by the name (.txt .csv .tsv .jsonl, + .gz)
  std::string column;                     ///< of CSV: name or number from 1; "": the only one
  std::string field;  ///< of JSON Lines: a key, nested by dots; "": "length", "tokens", ...
  bool skip_malformed = false;  ///< count bad lines instead of failing at the first
  std::string directory;        ///< relative file names start here; "": the working directory
};

/// Lines that were skipped because they were malformed; the first few by name.
struct SkippedLines {
  std::int64_t count = 0;
  Diagnostics first;  ///< at most 5
};

/// A data set, parsed and checked but not yet opened. Cheap to copy.
struct Lengths {
  std::string text;     ///< as it was given
  std::string summary;  ///< one line for reports: "log-normal, median 1438, sigma 1.52"
  bool finite = false;  ///< true for files; everything synthetic goes on for ever
  struct Source;        ///< what it is, of sim/data/lengths
  std::shared_ptr<const Source> source;
};

/// Parses what `data.lengths` and `stagecraft data` take: the name of a stand-in, an expression
/// (grammar: lengths_grammar()), or the name of a file. Fails (bad input) with what is wrong at
/// which character of `text`, with the nearest name; a file that cannot be opened fails here.
[[nodiscard]] Result<Lengths> parse_lengths(std::string_view text, const FileOptions& options = {});

/// Opens the stream at its beginning. The same seed gives the same lengths on every machine. Each
/// stream is independent; `skipped` (may be null) must outlive it.
[[nodiscard]] Result<LengthSource> open_lengths(const Lengths& lengths, std::uint64_t seed,
                                                SkippedLines* skipped = nullptr);

/// True if opening the stream a second time gives the same again: false of standard input and
/// pipes.
[[nodiscard]] bool can_be_read_again(const Lengths& lengths);

/// For help texts: what an expression looks like, a line each.
[[nodiscard]] std::string_view lengths_grammar();

/// A stand-in for a corpus whose lengths are not public.
struct NamedLengths {
  std::string_view name;        ///< "commoncrawl"
  std::string_view expression;  ///< as parse_lengths takes it
  std::string_view summary;     ///< one line
  std::string_view source;      ///< which figures it meets, where they come from, what is assumed
};

/// commoncrawl, github, wikipedia.
[[nodiscard]] std::span<const NamedLengths> named_lengths();

}  // namespace stagecraft::data
