// stagecraft merge: joins the parts of a search that ran in shards.
#include <utility>
#include <vector>

#include "commands.hpp"
#include "exit_status.hpp"
#include "output.hpp"
#include "search_outputs.hpp"
#include "stagecraft/core/file.hpp"
#include "stagecraft/report/search_part.hpp"

namespace stagecraft::cli {
namespace {

Result<std::vector<SearchPart>> read_parts(const std::vector<std::string>& files) {
  std::vector<SearchPart> parts;
  Diagnostics failures;
  for (const std::string& file : files) {
    const Result<std::string> text = read_file(file);
    Result<SearchPart> part =
        text ? part_from_json(*text, file) : Result<SearchPart>(text.failures());
    if (!part) {
      failures.insert(failures.end(), part.failures().begin(), part.failures().end());
      continue;
    }
    parts.push_back(std::move(*part));
  }
  if (!failures.empty()) {
    return failures;
  }
  return parts;
}

}  // namespace

int run_merge(const Arguments& arguments) {
  const Result<std::vector<SearchPart>> parts = read_parts(arguments.search.parts);
  if (!parts) {
    return fail(parts.failures());
  }
  const Result<SearchPart> merged = merge_parts(*parts);
  if (!merged) {
    return fail(merged.failures());
  }
  if (!merged->result.found) {
    Diagnostics problems = merged->result.problems;
    if (problems.empty()) {
      problems.push_back(infeasible("no shard has a plan"));
    }
    for (Diagnostic& problem : problems) {
      problem.kind = FailureKind::kInfeasible;
    }
    return fail(problems);
  }
  if (const int status = check_search_outputs(arguments); status != kDone) {
    return status;
  }
  const Result<SearchReport> report = make_report(*merged, 1, std::nullopt);
  return report ? write_report(arguments, *merged, *report) : fail(report.failures());
}

}  // namespace stagecraft::cli
