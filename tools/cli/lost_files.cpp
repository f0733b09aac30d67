// Results that would overwrite each other, or what they are made of.
#include <filesystem>
#include <vector>

#include <fmt/core.h>

#include "output.hpp"

namespace stagecraft::cli {
namespace {

namespace fs = std::filesystem;

struct NamedFile {
  std::string name;  ///< "--out", "the scenario"
  const std::string* path;
};

/// Where a path leads, through links; nothing for standard streams, and for devices and pipes,
/// which many may write to.
std::string place_of(const std::string& path) {
  std::error_code status;
  if (path.empty() || path == "-" ||
      (fs::exists(path, status) && !fs::is_regular_file(path, status))) {
    return {};
  }
  const fs::path absolute = fs::absolute(path, status);
  const fs::path place = fs::weakly_canonical(absolute, status);
  return status ? absolute.lexically_normal().string() : place.string();
}

std::vector<NamedFile> outputs_of(const Arguments& arguments) {
  return {{"--json", &arguments.json},
          {"--trace", &arguments.trace},
          {"--html", &arguments.html},
          {"--svg", &arguments.svg},
          {"--formation", &arguments.formation},
          {"--out", &arguments.machine.out},
          {"--out", &arguments.search.out},
          {"--part", &arguments.search.part},
          {"--checkpoint", &arguments.search.checkpoint}};
}

std::vector<NamedFile> inputs_of(const Arguments& arguments) {
  std::vector<NamedFile> inputs = {{"the scenario", &arguments.scenario},
                                   {"the file of lengths", &arguments.data.lengths},
                                   {"the checkpoint to continue from", &arguments.search.resume}};
  for (const std::string& part : arguments.search.parts) {
    inputs.push_back({"a part to join", &part});
  }
  return inputs;
}

}  // namespace

Diagnostics lost_files(const Arguments& arguments) {
  Diagnostics failures;
  const std::vector<NamedFile> outputs = outputs_of(arguments);
  const std::vector<NamedFile> inputs = inputs_of(arguments);
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const NamedFile& output = outputs[i];
    const std::string place = place_of(*output.path);
    if (place.empty()) {
      continue;
    }
    for (std::size_t other = 0; other < i; ++other) {
      if (place_of(*outputs[other].path) == place) {
        failures.push_back(bad_input(fmt::format("{} and {} both name the file '{}'",
                                                 outputs[other].name, output.name, *output.path),
                                     "give each a file of its own"));
      }
    }
    for (const NamedFile& input : inputs) {
      // A search goes on writing the checkpoint that it continues from.
      const bool continued =
          output.path == &arguments.search.checkpoint && input.path == &arguments.search.resume;
      if (!continued && place_of(*input.path) == place) {
        failures.push_back(bad_input(fmt::format("{} names '{}', which is {}: it would be lost",
                                                 output.name, *output.path, input.name),
                                     "give it a file of its own"));
      }
    }
  }
  return failures;
}

}  // namespace stagecraft::cli
