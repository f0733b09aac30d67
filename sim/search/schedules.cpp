#include "stagecraft/search/schedules.hpp"

#include <algorithm>
#include <vector>

#include "stagecraft/search/optimal.hpp"

namespace stagecraft::search {

std::span<const GeneratorInfo> schedules() {
  static const std::vector<GeneratorInfo> kAll = [] {
    std::vector<GeneratorInfo> all(generators().begin(), generators().end());
    const auto before_file = std::ranges::find(all, "file", &GeneratorInfo::name);
    all.insert(before_file, optimal_generator());
    return all;
  }();
  return kAll;
}

const GeneratorInfo* find_schedule(std::string_view name) {
  const auto found = std::ranges::find(schedules(), name, &GeneratorInfo::name);
  return found == schedules().end() ? nullptr : &*found;
}

Result<Schedule> generate_schedule(std::string_view name, const GeneratorInput& input) {
  const GeneratorInfo& optimal = optimal_generator();
  return name == optimal.name ? optimal.generate(input) : generate(name, input);
}

}  // namespace stagecraft::search
