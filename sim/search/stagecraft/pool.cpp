#include "search/stagecraft/pool.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include <nlohmann/json.hpp>

namespace stagecraft::search {
namespace {

nlohmann::ordered_json rule_json(const ListRule& rule) {
  return {rule.by_microbatch, rule.by_forward_head, rule.by_backward_head, rule.backward_bias,
          rule.overshoot,     rule.look_ahead,      rule.flight_factor,    rule.flight_extra,
          rule.fused ? 1 : 0, rule.reserve};
}

ListRule rule_from(const nlohmann::json& json) {
  ListRule rule;
  std::size_t k = 0;
  for (std::int32_t* field :
       {&rule.by_microbatch, &rule.by_forward_head, &rule.by_backward_head, &rule.backward_bias,
        &rule.overshoot, &rule.look_ahead, &rule.flight_factor, &rule.flight_extra}) {
    json.at(k++).get_to(*field);
  }
  rule.fused = json.at(k++).get<int>() != 0;
  json.at(k).get_to(rule.reserve);
  return rule;
}

}  // namespace

std::string to_json(std::span<const Elite> elites) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Elite& elite : elites) {
    list.push_back({{"plan", to_json(elite.scored)},
                    {"rule", rule_json(elite.rule)},
                    {"ruled", elite.ruled},
                    {"polished", elite.polished}});
  }
  return list.dump();
}

Result<std::vector<Elite>> elites_from_json(std::string_view text) {
  std::vector<Elite> elites;
  try {
    for (const nlohmann::json& json : nlohmann::json::parse(text)) {
      Result<ScoredPlan> plan = plan_from_json(json.at("plan").get_ref<const std::string&>());
      if (!plan) {
        return plan.failures();
      }
      Elite elite;
      elite.scored = std::move(plan).value();
      elite.rule = rule_from(json.at("rule"));
      json.at("ruled").get_to(elite.ruled);
      json.at("polished").get_to(elite.polished);
      elites.push_back(std::move(elite));
    }
  } catch (const nlohmann::json::exception& error) {
    return bad_input(std::string("the text is not a list of plans: ") + error.what(),
                     "give a checkpoint that `stagecraft search` wrote");
  }
  return elites;
}

void Pool::add(Elite elite) {
  if (!elite.scored.figures.feasible) {
    return;
  }
  const StagePlan stages = elite.stages();
  for (Elite& held : elites_) {
    const bool same_level =
        levels_ == 0 || held.scored.figures.peak_memory == elite.scored.figures.peak_memory;
    if (same_level && held.stages() == stages) {
      if (better(elite.scored.figures, held.scored.figures, objective_)) {
        held = std::move(elite);
        prune();
      }
      return;
    }
  }
  elites_.push_back(std::move(elite));
  prune();
}

void Pool::prune() {
  std::stable_sort(elites_.begin(), elites_.end(), [this](const Elite& a, const Elite& b) {
    return better(a.scored.figures, b.scored.figures, objective_);
  });
  if (elites_.size() <= kBest) {
    return;
  }
  std::vector<Elite> kept;
  Bytes least = std::numeric_limits<Bytes>::max();
  for (std::size_t k = 0; k < elites_.size() && kept.size() < kBest + levels_; ++k) {
    const Bytes peak = elites_[k].scored.figures.peak_memory;
    if (k < kBest || peak < least) {
      kept.push_back(std::move(elites_[k]));
    }
    least = std::min(least, peak);
  }
  elites_ = std::move(kept);
}

void Pool::polished(const StagePlan& stages) {
  for (Elite& held : elites_) {
    if (held.stages() == stages) {
      ++held.polished;
    }
  }
}

const Elite* Pool::within(Bytes cap, std::size_t rank) const {
  const Elite* found = nullptr;
  for (const Elite& elite : elites_) {
    if (cap == 0 || elite.scored.figures.peak_memory <= cap) {
      found = &elite;
      if (rank-- == 0) {
        break;
      }
    }
  }
  return found;
}

}  // namespace stagecraft::search
