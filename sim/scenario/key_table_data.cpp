// The keys of a scenario that brings its data: model, data, training, parallelism.
#include "key_tables.hpp"
#include "stagecraft/data/lengths.hpp"

namespace stagecraft {
namespace {

constexpr std::int64_t kMostSequences = 1 << 20;

constexpr KeySpec kDataKeys[] = {
    {.path = "model",
     .help =
         "Name of the model, for which the profile has constants (`stagecraft list profiles`); or "
         "one of your own, where `profile` gives all of quadratic, linear, layers, hidden, "
         "kv_width, vocabulary, parameters, activation and logits."},

    {.path = "data.lengths",
     .help =
         "Where sequence lengths come from: a stand-in (commoncrawl, github, wikipedia), a file, "
         "or an expression (`stagecraft list data`). The path of a file begins in the folder of "
         "the scenario, given by --set in the current one. With this section the scenario brings "
         "its "
         "data: ops and their costs follow from it for every iteration, and `schedule` names a "
         "strategy (`stagecraft list strategies`)."},
    {.path = "data.sequence_length",
     .type = KeyType::kTokens,
     .low = 1,
     .high = data::kLongestSequence,
     .help = "Instead of lengths: all sequences have so many tokens."},
    {.path = "data.format",
     .type = KeyType::kChoice,
     .choices = "auto | lines | csv | jsonl",
     .default_value = "auto",
     .help = "Format of the file; auto goes by its name, jsonl is JSON Lines."},
    {.path = "data.column",
     .help = "Of a CSV file: name or number (from 1) of the column of lengths; the number where "
             "columns have the same name."},
    {.path = "data.field", .help = "Of a JSON Lines file: key of the length, nested by dots."},
    {.path = "data.skip_malformed",
     .type = KeyType::kFlag,
     .default_value = "false",
     .help = "Malformed lines are counted and skipped instead of being errors."},
    {.path = "data.context",
     .type = KeyType::kTokens,
     .low = 0,
     .high = data::kLongestSequence,
     .default_value = "0",
     .help = "Longest sequence, also the token budget of packed micro-batches; 0: no limit."},
    {.path = "data.over_long",
     .type = KeyType::kChoice,
     .choices = "truncate | drop",
     .default_value = "truncate",
     .help = "What becomes of longer sequences."},
    {.path = "data.seed",
     .type = KeyType::kInteger,
     .low = 0,
     .high = kLargestQuantity,
     .default_value = "1",
     .help = "Seed of drawing and shuffling."},
    {.path = "data.shuffle_window",
     .type = KeyType::kInteger,
     .low = 0,
     .high = 1 << 24,
     .default_value = "0",
     .help = "Sequences are drawn at random from a window of so many; 0: in order."},
    {.path = "data.epochs",
     .type = KeyType::kInteger,
     .low = 0,
     .high = 1 << 20,
     .default_value = "0",
     .help = "How often a file is read; 0: as often as needed."},
    {.path = "data.iterations",
     .type = KeyType::kInteger,
     .low = 1,
     .high = 1 << 20,
     .default_value = "20",
     .help = "Global batches that `stagecraft compare` runs."},
    {.path = "data.iteration",
     .type = KeyType::kInteger,
     .low = 0,
     .high = 1 << 20,
     .default_value = "0",
     .help = "The global batch that `simulate` and `schedule` run, counted from 0."},
    {.path = "data.regimes",
     .type = KeyType::kTokens,
     .axis = KeyAxis::kValue,
     .depth = 1,
     .low = 1,
     .high = data::kLongestSequence,
     .default_value = "[2K, 8K, 32K]",
     .help = "Bounds between the length regimes for which `compare` names a winner each. Of each, "
             "sequences are looked for among ten million at most, and given up after a million in "
             "vain; a note says so."},

    {.path = "training.global_batch",
     .type = KeyType::kInteger,
     .low = 1,
     .high = kMostSequences,
     .default_value = "512",
     .help = "Sequences of one iteration."},

    {.path = "parallelism.pipeline",
     .type = KeyType::kInteger,
     .low = 1,
     .high = key_limits::kMostGpus,
     .default_value = "1",
     .help = "Pipeline stages, one per device."},
    {.path = "parallelism.ulysses",
     .type = KeyType::kInteger,
     .low = 1,
     .high = key_limits::kMostGpus,
     .default_value = "1",
     .help = "GPUs that share the sequences of a stage and exchange heads (Ulysses)."},
    {.path = "parallelism.tensor",
     .type = KeyType::kInteger,
     .low = 1,
     .high = key_limits::kMostGpus,
     .default_value = "1",
     .help = "GPUs that share the matrices of a stage."},
    {.path = "parallelism.context",
     .type = KeyType::kInteger,
     .low = 1,
     .high = key_limits::kMostGpus,
     .default_value = "1",
     .help = "GPUs that share the sequences of a stage and pass keys and values round."},
    {.path = "parallelism.data",
     .type = KeyType::kInteger,
     .low = 1,
     .high = key_limits::kMostGpus,
     .default_value = "1",
     .help = "Replicas of the whole; strategies with a pipeline take 1."},
};

}  // namespace

std::span<const KeySpec> data_keys() {
  return kDataKeys;
}

}  // namespace stagecraft
