#include "search/driver/outcome.hpp"

#include <utility>

#include <nlohmann/json.hpp>

namespace stagecraft::search {

std::string to_json(const std::vector<Outcome>& outcomes) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Outcome& outcome : outcomes) {
    nlohmann::ordered_json plans = nlohmann::ordered_json::array();
    for (const ScoredPlan& plan : outcome.plans) {
      plans.push_back(to_json(plan));
    }
    list.push_back({{"plans", std::move(plans)},
                    {"bound", outcome.result.bound},
                    {"reason", outcome.result.bound_reason},
                    {"for_space", outcome.result.bound_holds_for_space},
                    {"state", outcome.result.state},
                    {"evaluations", outcome.evaluations},
                    {"cut_short", outcome.cut_short}});
  }
  return list.dump();
}

Result<std::vector<Outcome>> outcomes_from_json(std::string_view text) {
  try {
    std::vector<Outcome> outcomes;
    for (const auto& json : nlohmann::json::parse(text)) {
      Outcome& outcome = outcomes.emplace_back();
      for (const auto& plan : json.at("plans")) {
        Result<ScoredPlan> read = plan_from_json(plan.get_ref<const std::string&>());
        if (!read) {
          return read.failures();
        }
        outcome.plans.push_back(std::move(read).value());
      }
      json.at("bound").get_to(outcome.result.bound);
      json.at("reason").get_to(outcome.result.bound_reason);
      json.at("for_space").get_to(outcome.result.bound_holds_for_space);
      json.at("state").get_to(outcome.result.state);
      json.at("evaluations").get_to(outcome.evaluations);
      json.at("cut_short").get_to(outcome.cut_short);
    }
    return outcomes;
  } catch (const nlohmann::json::exception& error) {
    return bad_input(std::string("another process sent what is not a list of results: ") +
                     error.what());
  }
}

}  // namespace stagecraft::search
