// Every rule of formations, broken once.
#include <doctest/doctest.h>

#include <algorithm>
#include <limits>

#include "data/formation/cases.hpp"

using namespace stagecraft;
using namespace stagecraft::data;
using namespace stagecraft::test;

namespace {

const GlobalBatch three_sequences = batch_of({10, 4, 6});

/// Sequence 0 in two slices, the second with sequence 1; sequence 2 padded to 8.
Formation good() {
  return {"by hand", {{{{{{0, 0, 7, 7}}}, {{{0, 7, 3, 3}, {1, 0, 4, 4}}}}}, {{{{{2, 0, 6, 8}}}}}}};
}

void check_fault(const Formation& formation, std::string_view expected,
                 const FormationLimits& limits = {}) {
  const Diagnostics faults = verify_formation(three_sequences, formation, limits);
  CAPTURE(to_string(faults));
  CAPTURE(expected);
  CHECK(std::any_of(faults.begin(), faults.end(),
                    [&](const Diagnostic& fault) { return fault.message == expected; }));
}

}  // namespace

TEST_SUITE("data") {
  TEST_CASE("a formation in order has no faults, and counts") {
    const Formation formation = good();
    CHECK(faults_of(three_sequences, formation) == "");
    CHECK(faults_of(three_sequences, formation, {8, 14}) == "");
    CHECK(formation.tokens() == 20);
    CHECK(formation.padded() == 22);
    CHECK(formation.units() == 3);
    CHECK(formation.microbatches[0].split());
    CHECK_FALSE(formation.microbatches[1].split());
    CHECK(formation.microbatches[1].tokens() == 6);
    CHECK(formation.microbatches[1].padded() == 8);
    CHECK(text_of(formation) == "[0:0+7][0:7+3 1:0+4]; [2:0+6/8]");
  }

  TEST_CASE("a slice costs its pieces with context and padding, and the fixed cost once") {
    const Formation formation = good();
    const TokenCosts costs{2, 0.5};
    CHECK(slice_cost(formation.microbatches[0].slices[1], costs, 100) ==
          100 + (2 * 3 + 0.5 * (100 - 49)) + (2 * 4 + 0.5 * 16));
    CHECK(slice_cost(formation.microbatches[1].slices[0], costs) == 2 * 8 + 0.5 * 64);
    CHECK(slice_cost({}, costs, 3) == 3);
  }

  TEST_CASE("every rule of a formation is checked") {
    Formation f = good();
    f.microbatches.emplace_back();
    check_fault(f, "micro-batch 2 has no slice");
    f = good();
    f.microbatches[1].slices.emplace_back();
    check_fault(f, "slice 1 of micro-batch 1 is empty");
    f = good();
    f.microbatches[1].slices[0].pieces[0].sequence = 3;
    check_fault(f, "slice 0 of micro-batch 1 names sequence 3, the batch has 3 sequences");
    check_fault(f, "sequence 2 stands in no micro-batch");
    f.microbatches[1].slices[0].pieces[0].sequence = -1;
    check_fault(f, "slice 0 of micro-batch 1 names sequence -1, the batch has 3 sequences");
    f = good();
    f.microbatches[1].slices[0].pieces[0].padded = 5;
    check_fault(f, "slice 0 of micro-batch 1 pads 6 tokens of sequence 2 to only 5");
    f.microbatches[1].slices[0].pieces[0] = {2, 0, 0, 0};
    check_fault(f, "slice 0 of micro-batch 1 takes 0 tokens of sequence 2, expected at least 1");
    f.microbatches[1].slices[0].pieces[0] = {2, 0, 7, 7};
    check_fault(f,
                "slice 0 of micro-batch 1 takes tokens 0 and 6 more of sequence 2, which has 6 "
                "tokens");
    f.microbatches[1].slices[0].pieces[0] = {2, 0, 5, 5};
    check_fault(f, "sequence 2 ends after 5 of its 6 tokens");
    f.microbatches[1].slices[0].pieces[0] = {2, 1, 5, 5};
    check_fault(f, "sequence 2 goes on at token 1 in slice 0 of micro-batch 1, expected token 0");
    f = good();
    f.microbatches[0].slices[1].pieces[0] = {0, 8, 2, 2};
    check_fault(f, "sequence 0 goes on at token 8 in slice 1 of micro-batch 0, expected token 7");
    f.microbatches[0].slices[1].pieces[0] = {0, 6, 4, 4};
    check_fault(f, "sequence 0 goes on at token 6 in slice 1 of micro-batch 0, expected token 7");
    f = good();
    std::swap(f.microbatches[0].slices[0], f.microbatches[0].slices[1]);
    check_fault(f, "sequence 0 goes on at token 7 in slice 0 of micro-batch 0, expected token 0");
    f = good();
    f.microbatches[1].slices[0].pieces.push_back(f.microbatches[0].slices[1].pieces[0]);
    f.microbatches[0].slices[1].pieces.erase(f.microbatches[0].slices[1].pieces.begin());
    check_fault(f, "sequence 0 stands in micro-batches 0 and 1, expected one");
    f = good();
    f.microbatches[0].slices[0].pieces.push_back(f.microbatches[0].slices[1].pieces[0]);
    f.microbatches[0].slices[1].pieces.erase(f.microbatches[0].slices[1].pieces.begin());
    check_fault(f, "sequence 0 stands twice in slice 0 of micro-batch 0");
    check_fault(good(), "slice 0 of micro-batch 1 has 8 tokens with padding, the limit is 7", {7});
    check_fault(good(), "micro-batch 0 has 14 tokens with padding, the limit is 13", {0, 13});
    check_fault({}, "sequence 0 stands in no micro-batch");
  }

  TEST_CASE("many faults are counted, not listed; a sequence is named once") {
    const GlobalBatch batch = batch_of(std::vector<Tokens>(100, 5));
    const Diagnostics faults = verify_formation(batch, {});
    REQUIRE(faults.size() == 9);
    CHECK(faults[7].message == "sequence 7 stands in no micro-batch");
    CHECK(faults[8].message == "92 more faults of the formation");

    Formation f = good();
    f.microbatches[0].slices[0].pieces[0].begin = 1;
    CHECK(verify_formation(three_sequences, f).size() == 1);

    GlobalBatch numbered = three_sequences;
    numbered.sequences[1].id = 77;
    f = good();
    f.microbatches[0].slices[1].pieces.pop_back();
    CHECK(verify_formation(numbered, f).front().message ==
          "sequence 1 (number 77 of the data set) stands in no micro-batch");
  }

  TEST_CASE("numbers of any size do not overflow the verifier") {
    constexpr Tokens kHuge = std::numeric_limits<Tokens>::max();
    Formation f = good();
    f.microbatches[0].slices[1].pieces[0].tokens = kHuge;
    f.microbatches[0].slices[1].pieces[0].padded = kHuge;
    f.microbatches[0].slices[1].pieces[1].padded = kHuge;
    CHECK(verify_formation(three_sequences, f, {100, 100}).size() == 3);
    f.microbatches[0].slices[1].pieces[0].begin = std::numeric_limits<Tokens>::min();
    CHECK(verify_formation(three_sequences, f, {100, 100}).size() == 3);
  }
}
