// Random numbers, hashes, names and files.
#include <doctest/doctest.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <vector>

#include "stagecraft/core/check.hpp"
#include "stagecraft/core/file.hpp"
#include "stagecraft/core/hash.hpp"
#include "stagecraft/core/random.hpp"
#include "stagecraft/core/text.hpp"

using namespace stagecraft;

TEST_SUITE("core") {
  TEST_CASE("random numbers are the same everywhere and stay in range") {
    // First outputs of SplitMix64 with seed 1234567, as published with the reference generator.
    Random random(1234567);
    CHECK(random.next() == 6457827717110365317ULL);
    CHECK(random.next() == 3203168211198807973ULL);
    std::array<int, 7> seen{};
    for (int i = 0; i < 7000; ++i) {
      const std::int64_t draw = random.uniform(-3, 3);
      REQUIRE(draw >= -3);
      REQUIRE(draw <= 3);
      ++seen[static_cast<std::size_t>(draw + 3)];
    }
    for (const int count : seen) {
      CHECK(count > 800);
      CHECK(count < 1200);
    }
    CHECK(random.uniform(INT64_MIN, INT64_MAX) != random.uniform(INT64_MIN, INT64_MAX));
  }

  TEST_CASE("a hash depends on values and their order") {
    const auto hex = [](const std::vector<std::int64_t>& values) {
      Hash hash;
      for (const std::int64_t value : values) {
        hash.add(value);
      }
      return hash.hex();
    };
    CHECK(hex({1, 2}) == hex({1, 2}));
    CHECK(hex({1, 2}) != hex({2, 1}));
    CHECK(hex({0}) != hex({0, 0}));
    CHECK(hex({}).size() == 16);
  }

  TEST_CASE("the nearest name is a likely slip or none") {
    const std::array<std::string_view, 3> names = {"schedule", "costs", "memory"};
    CHECK(nearest_name("shedule", names) == "schedule");
    CHECK(nearest_name("cost", names) == "costs");
    CHECK(nearest_name("zzzzz", names).empty());
    CHECK(join(names, ", ") == "schedule, costs, memory");
  }

  TEST_CASE("thousands are set apart") {
    CHECK(with_thousands(0) == "0");
    CHECK(with_thousands(999) == "999");
    CHECK(with_thousands(1331210000) == "1 331 210 000");
    CHECK(with_thousands(-1234) == "-1 234");
  }

  TEST_CASE("files are written whole or not at all") {
    const std::filesystem::path folder =
        std::filesystem::temp_directory_path() / ("stagecraft-file-" + std::to_string(getpid()));
    std::filesystem::create_directories(folder);
    const std::string path = (folder / "a.txt").string();
    CHECK(write_file(path, "one").ok());
    CHECK(write_file(path, "two").ok());
    CHECK(read_file(path).value() == "two");
    // No temporary file stays behind.
    CHECK(std::distance(std::filesystem::directory_iterator(folder), {}) == 1);

    const auto missing = read_file((folder / "none").string());
    REQUIRE_FALSE(missing.ok());
    CHECK(missing.failures()[0].message == "cannot read the file: No such file or directory");
    CHECK_FALSE(read_file(folder.string()).ok());
    const auto refused = write_file((folder / "no" / "such").string(), "x");
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.failures()[0].message == "cannot write the file: No such file or directory");
    std::filesystem::remove_all(folder);
  }

  TEST_CASE("writing leaves links and devices what they are") {
    const std::filesystem::path folder =
        std::filesystem::temp_directory_path() / ("stagecraft-link-" + std::to_string(getpid()));
    std::filesystem::create_directories(folder);
    const std::filesystem::path target = folder / "target";
    REQUIRE(write_file(target.string(), "old").ok());
    std::filesystem::create_symlink(target, folder / "link");
    CHECK(write_file((folder / "link").string(), "new").ok());
    CHECK(std::filesystem::is_symlink(folder / "link"));
    CHECK(read_file(target.string()).value() == "new");
    CHECK(write_file("/dev/null", "gone").ok());
    CHECK(std::filesystem::is_character_file("/dev/null"));
    std::filesystem::remove_all(folder);
  }

  TEST_CASE("a failed check says what, the condition and where") {
    try {
      STAGECRAFT_CHECK(1 + 1 == 3, "sums are wrong");
      FAIL("the check passed");
    } catch (const CheckFailure& failure) {
      const std::string text = failure.what();
      CHECK(text.starts_with("sums are wrong (1 + 1 == 3) at "));
      CHECK(text.find("basics_test.cpp:") != std::string::npos);
    }
  }
}
