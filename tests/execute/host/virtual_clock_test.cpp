// Under the virtual clock, threads and channels take the times of the engine to the nanosecond.
#include <algorithm>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "execute/host/host_support.hpp"
#include "stagecraft/core/random.hpp"
#include "stagecraft/generators/generator.hpp"
#include "support/random_schedule.hpp"
#include "support/sanitized.hpp"

TEST_SUITE_BEGIN("execute");

namespace stagecraft {
namespace {

#if STAGECRAFT_SANITIZED
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

struct Way {
  std::string name;
  Communication mode = Communication::kLatency;
  bool network = false;
  LinkSharing sharing = LinkSharing::kFair;
  P2pLowering p2p = P2pLowering::kBatched;
};

std::vector<Way> ways() {
  std::vector<Way> all{{"latency"}};
  for (const LinkSharing sharing : {LinkSharing::kFair, LinkSharing::kFirstComeFirstServed}) {
    const std::string kind = sharing == LinkSharing::kFair ? ", fair" : ", first come";
    all.push_back({"link" + kind, Communication::kLink, true, sharing});
    all.push_back({"blocking" + kind, Communication::kBlocking, true, sharing});
    for (const P2pLowering p2p : {P2pLowering::kBatched, P2pLowering::kOverlap,
                                  P2pLowering::kParity, P2pLowering::kSendFirst}) {
      all.push_back({std::string("rendezvous, ") + to_string(p2p) + kind,
                     Communication::kRendezvous, true, sharing, p2p});
    }
  }
  all.push_back({"link without links", Communication::kLink});
  all.push_back({"blocking without links", Communication::kBlocking});
  all.push_back({"rendezvous without links", Communication::kRendezvous});
  return all;
}

// Costs with many ties (small numbers) or few.
CostTable costs_for(const Pipeline& pipeline, const Way& way, bool ties) {
  CostTable costs =
      ties ? uniform_costs(pipeline, 4, 4, 4, 2) : uniform_costs(pipeline, 1009, 1103, 907, 101);
  costs.communication = way.mode;
  costs.offload = costs.reload = Grid::constant(ties ? 2 : 397);
  costs.offload_given = true;
  if (way.network) {
    costs.transfer_bytes.assign(static_cast<std::size_t>(pipeline.stages) - 1, ties ? 2 : 311);
    costs.network =
        make_network(Topology::kRing, pipeline.devices, kSecond, ties ? 0 : 3, way.sharing);
  }
  return costs;
}

TEST_CASE("all schedules in all modes take the times of the engine") {
  std::size_t runs = 0;
  for (const GeneratorInfo& info : generators()) {
    for (const std::int32_t devices : kSanitized ? std::vector{2, 4} : std::vector{2, 3, 4, 8}) {
      const std::int32_t chunks = info.chunks > 0 ? info.chunks : info.usual_chunks;
      const PlacementKind placement =
          info.placement == PlacementKind::kExplicit ? PlacementKind::kLoop : info.placement;
      const Result<Pipeline> pipeline = make_pipeline(devices, chunks, 2 * devices, placement);
      if (!pipeline) {
        continue;
      }
      for (const bool ties : {false, true}) {
        if (!ties && devices == 8) {
          continue;  // long, and ties are the harder part
        }
        const CostTable plain = costs_for(*pipeline, {}, ties);
        const Result<Schedule> made = generate(info.name, {*pipeline, plain, {}});
        if (!made) {
          continue;  // not for this shape
        }
        Schedule schedule = *made;
        for (const Way& way : ways()) {
          schedule.p2p = way.p2p;
          const std::string difference =
              test::differs_from_engine(schedule, costs_for(*pipeline, way, ties));
          INFO(std::string(info.name)
               << " on " << devices << " devices, " << way.name << (ties ? ", with ties" : ""));
          CHECK(difference == "");
          ++runs;
        }
      }
    }
  }
  MESSAGE(runs << " runs");
}

}  // namespace
}  // namespace stagecraft

TEST_SUITE_END();
