// The file from which a search resumes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "search/driver/incumbents.hpp"
#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/search/driver.hpp"

namespace stagecraft::search {

/// A point of the space as a checkpoint keeps it.
struct SiteState {
  Point point;
  std::string method;  ///< Method::save
  std::int64_t bound = 0;
  std::string bound_reason;
  bool exhausted = false;
  bool pruned = false;
};

struct Checkpoint {
  std::string identity;  ///< hash of the space and of all options that decide the road
  std::uint64_t round = 0;
  std::uint64_t evaluations = 0;
  double seconds = 0.0;
  std::vector<SiteState> sites;
  std::vector<ScoredPlan> best;  ///< none or one
  Milestone best_where;
  std::vector<ScoredPlan> start;  ///< none or one
  std::vector<ScoredPlan> front;
  std::vector<Improvement> progress;
};

[[nodiscard]] std::string to_json(const Checkpoint& checkpoint);
/// `file` names it in messages. Fails (bad input) for what is no checkpoint or a damaged one.
[[nodiscard]] Result<Checkpoint> checkpoint_from_json(std::string_view text,
                                                      const std::string& file);

/// What a search is, apart from how far it has got: two searches with the same identity take the
/// same road.
[[nodiscard]] std::string identity_of(const Space& space, const SearchOptions& options);

}  // namespace stagecraft::search
