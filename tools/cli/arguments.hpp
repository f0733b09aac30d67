// The command line, declared once and read into plain data.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace stagecraft::cli {

enum class Command : std::uint8_t {
  kSimulate,
  kCompare,
  kSchedule,
  kSearch,
  kMerge,
  kExecute,
  kCalibrate,
  kData,
  kList
};

/// Of execute and calibrate: where and how ops really run.
struct MachineArguments {
  std::string backend;         ///< "host" or "cuda"; calibrate calls it the device
  std::string body = "sleep";  ///< of ops on the host: sleep, busy or stage
  std::string gpus = "auto";   ///< auto, whole or divided
  bool no_graphs = false;
  std::int32_t iterations = 3;
  std::int32_t runs = 3;
  double watchdog = 10e9;  ///< ns
  bool anyway = false;     ///< run what is predicted not to be feasible
  bool table = false;      ///< --schedules was given
  std::string out;         ///< scenario to write
  bool alone = false;      ///< other devices idle while one is measured
  std::int32_t repeat = 11;
};

/// Of search and merge. What is not given is the scenario's (section `search`) or the default.
struct SearchArguments {
  std::string method;
  std::vector<std::string> options;  ///< "key=value", of the method
  std::string budget;                ///< as parse_budget takes it
  std::string objective;             ///< as the key search.objective
  std::optional<std::uint64_t> seed;
  std::string out;         ///< plan to write
  std::string checkpoint;  ///< file to write every few seconds
  std::string resume;      ///< checkpoint to continue from, and to go on writing
  double checkpoint_seconds = 3.0;
  std::string part;  ///< result of a shard to write
  std::int32_t shard = 0, shards = 1;
  bool mpi = false;                ///< use MPI even where nothing says that it was started by it
  std::vector<std::string> parts;  ///< of merge: files to join
};

/// Of data: how a file is read, and how much of what has no end.
struct DataArguments {
  std::string lengths;        ///< file, name or expression
  std::string column, field;  ///< of CSV and JSON Lines
  std::string input_format = "auto";
  bool skip_malformed = false;
  std::string context;       ///< as parse_tokens takes it; "": none
  std::int64_t samples = 0;  ///< 0: all of a file, a million of what has no end
  std::uint64_t seed = 1;
};

struct Arguments {
  Command command = Command::kSimulate;
  std::string scenario;                ///< file, "-" is standard input
  std::vector<std::string> overrides;  ///< "key.path=value"
  std::string schedule;                ///< "": the scenario's own
  std::vector<std::string> schedules;  ///< of compare; empty: all
  std::string format = "text";
  std::string json, trace, html, svg;  ///< files to write, "-" is standard output; "": none
  int threads = 0;                     ///< 0: one per core
  bool wide = false;
  MachineArguments machine;
  SearchArguments search;
  DataArguments data;
  std::string topic;  ///< of list
  std::vector<std::string> names;
};

/// The arguments, or nothing if the program is done: help and version are printed to standard
/// output, errors to standard error, and `status` is set.
[[nodiscard]] std::optional<Arguments> parse_arguments(int argc, const char* const* argv,
                                                       int& status);

}  // namespace stagecraft::cli
