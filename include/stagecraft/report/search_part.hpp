// The result of one shard of a search as a file, and the join of all shards.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/search/driver.hpp"

namespace stagecraft {

/// What `stagecraft search --part` writes: everything about the result that `stagecraft merge`
/// needs to report it without the scenario.
struct SearchPart {
  std::string file;      ///< where it was read from
  std::string identity;  ///< of the whole search, without the shard (search::identity_of)
  std::string scenario;
  std::vector<search::Coordinate> coordinates;
  bool pareto = false;
  std::int32_t points = 0;  ///< of the space, in this shard
  std::int32_t threads = 1;
  search::SearchResult result;
  std::string best_plan, start_plan;  ///< scenarios without comment; empty if there is none
};

/// JSON text, one object; reads back to an equal part.
[[nodiscard]] std::string to_json(const SearchPart& part);
/// `file` names it in messages. Fails (bad input) for what is no such file.
[[nodiscard]] Result<SearchPart> part_from_json(std::string_view text, const std::string& file);

/// The result of the whole search: the best plan (of equal ones that of the first point), the union
/// of the fronts, the least bound. Fails (bad input), naming the files, if a shard is missing,
/// there twice, or of another search.
[[nodiscard]] Result<SearchPart> merge_parts(std::span<const SearchPart> parts);

}  // namespace stagecraft
