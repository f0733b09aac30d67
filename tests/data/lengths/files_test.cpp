#include <doctest/doctest.h>

#include <fmt/core.h>

#include "data/lengths/files.hpp"
#include "stagecraft/core/random.hpp"

using namespace stagecraft;
using data::FileFormat;
using data::FileOptions;
using data::SkippedLines;
using data::Tokens;
using test::has;
using test::read_all;

namespace {

FileOptions column(std::string name) {
  FileOptions options;
  options.column = std::move(name);
  return options;
}
FileOptions field(std::string name) {
  FileOptions options;
  options.field = std::move(name);
  return options;
}

using List = std::vector<Tokens>;

}  // namespace

TEST_SUITE("data") {
  TEST_CASE("lengths: lines, with blank lines, comments, CR LF, a mark of byte order, no end") {
    const test::Folder folder;
    const auto list = [&](std::string_view text) {
      const test::Drained all = read_all(folder.write("a.txt", text));
      CHECK(all.failure.empty());
      return all.lengths;
    };
    CHECK(list("1\n2\n3\n") == List{1, 2, 3});
    CHECK(list("1\n2\n3") == List{1, 2, 3});
    CHECK(list("\xEF\xBB\xBF"
               "7\r\n\r\n# ten\r\n 10\t# of them\r\n") == List{7, 10});
    CHECK(list("").empty());
    CHECK(list("\n\n#\n").empty());
    CHECK(list("2147483648\n0004\n") == List{data::kLongestSequence, 4});
  }

  TEST_CASE("lengths: a malformed line fails with its place, after what stands before it") {
    const test::Folder folder;
    struct Case {
      std::string_view text, place, message;
      std::size_t before;
    };
    for (const Case& c :
         {Case{"5\n  x7\n", ":2:3:", "'x7' is not a whole number of tokens", 1},
          Case{"0\n", ":1:1:", "0 is no length, expected at least 1 token", 0},
          Case{"1\n2\n-3\n", ":3:1:", "-3 is no length", 2},
          Case{"2147483649\n", ":1:1:", "longer than the longest sequence there is", 0},
          Case{"99999999999999999999999\n", ":1:1:", "longer than the longest", 0},
          Case{"-99999999999999999999999\n", ":1:1:", "is no length", 0},
          Case{"1.5\n", ":1:1:", "'1.5' is not a whole number", 0},
          Case{"12 13\n", ":1:1:", "'12 13' is not a whole number", 0},
          Case{"+3\n", ":1:1:", "'+3' is not a whole number", 0}}) {
      CAPTURE(c.text);
      for (const std::size_t block : {1U, 2U, 4096U}) {
        const test::Drained all = read_all(folder.write("a.txt", c.text), {}, nullptr, block);
        CHECK(has(all.failure, fmt::format("a.txt{}", c.place)));
        CHECK(has(all.failure, c.message));
        CHECK(all.lengths.size() == c.before);
      }
    }
  }

  TEST_CASE("lengths: after a failure a stream is at its end") {
    const test::Folder folder;
    const auto lengths = data::parse_lengths(folder.write("a.txt", "1\nx\n2\n"));
    const auto source = data::open_lengths(*lengths, 1);
    List out(8);
    CHECK(*(*source)(out) == 1);
    CHECK_FALSE((*source)(out).ok());
    CHECK(*(*source)(out) == 0);
    CHECK(*(*source)(out) == 0);
  }

  TEST_CASE("lengths: malformed lines are counted and gone over where that is asked for") {
    const test::Folder folder;
    FileOptions options;
    options.skip_malformed = true;
    SkippedLines skipped;
    std::string text;
    for (int i = 1; i <= 100; ++i) {
      text += i % 10 == 0 ? "bad\n" : fmt::format("{}\n", i);
    }
    const test::Drained all = read_all(folder.write("a.txt", text), options, &skipped);
    CHECK(all.failure.empty());
    CHECK(all.lengths.size() == 90);
    CHECK(skipped.count == 10);
    REQUIRE(skipped.first.size() == 5);
    CHECK(skipped.first[1].place.line == 20);
    CHECK(has(skipped.first[1].place.file, "a.txt"));
  }

  TEST_CASE("lengths: columns of CSV by name, by number, and the only one") {
    const test::Folder folder;
    const std::string path =
        folder.write("a.csv", "id,length,note\n1,10,x\n2,20,\"a, b\"\n3,30,\n");
    CHECK(read_all(path, column("length")).lengths == List{10, 20, 30});
    CHECK(read_all(path, column("2")).lengths == List{10, 20, 30});
    CHECK(read_all(path, column("id")).lengths == List{1, 2, 3});
    CHECK(read_all(path).lengths == List{10, 20, 30});  // a usual name
    CHECK(read_all(folder.write("one.csv", "40\n50\n")).lengths == List{40, 50});
    CHECK(read_all(folder.write("one.csv", "size\n40\n50\n")).lengths == List{40, 50});
    CHECK(read_all(folder.write("b.tsv", "a\tb\n1,5\t60\n"), column("b")).lengths == List{60});
    CHECK(read_all(folder.write("c.csv", "a;b\n1;60\n"), column("b")).lengths == List{60});
    CHECK(read_all(folder.write("d.csv", "1,2\n3,4\n"), column("2")).lengths == List{2, 4});
    CHECK(read_all(folder.write("e.csv", "\xEF\xBB\xBFlength\r\n9\r\n\r\n8")).lengths ==
          List{9, 8});
    CHECK(read_all(folder.write("data", "a,b\n1,60\n"), column("b")).lengths == List{60});
  }

  TEST_CASE("lengths: quoted values, also over several lines") {
    const test::Folder folder;
    const std::string path = folder.write(
        "a.csv", "\"text\",\"num \"\"x\"\"\"\n\"one, \"\"two\"\"\nthree\",\"12\"\nfour,13\n");
    CHECK(read_all(path, column("num \"x\"")).lengths == List{12, 13});
    CHECK(read_all(path, column("2")).lengths == List{12, 13});
  }

  TEST_CASE("lengths: columns of CSV of the same name are told apart by number alone") {
    const test::Folder folder;
    const auto read = [&](std::string_view text, const FileOptions& options) {
      return read_all(folder.write("a.csv", text), options);
    };
    const std::string failure = read("a,b, b\n1,2,3\n", column("b")).failure;
    CHECK(has(failure, "a.csv:1:5: error: columns 2 and 3 have the same name 'b'"));
    CHECK(has(failure, "choose one by its number, e.g. column 2"));
    CHECK(has(read("a,b,c,\"b\"\n1,2,3,4\n", column("b")).failure, ":1:7: error: columns 2 and 4"));
    CHECK(has(read("length,id,length\n1,2,3\n", {}).failure, ":1:11: error: columns 1 and 3"));
    CHECK(read("a,b,b\n1,2,3\n", column("2")).lengths == List{2});
    CHECK(read("a,b,b\n1,2,3\n", column("3")).lengths == List{3});
    // Of no concern: others of the same name, and rows without a header.
    CHECK(read("a,b,a\n1,2,3\n", column("b")).lengths == List{2});
    CHECK(read("7,7\n1,2\n", column("1")).lengths == List{7, 1});
    FileOptions skip = column("b");
    skip.skip_malformed = true;
    CHECK(has(read("b,b\n1,2\n", skip).failure, ":1:3: error: columns 1 and 2"));
  }

  TEST_CASE("lengths: what is wrong with CSV is said with its place") {
    const test::Folder folder;
    const auto failure = [&](std::string_view text, const FileOptions& options) {
      return read_all(folder.write("a.csv", text), options).failure;
    };
    CHECK(has(failure("id,lenght\n1,2\n", column("length")),
              "a.csv:1:1: error: there is no column "
              "'length', expected one of 'id', "
              "'lenght'"));
    CHECK(has(failure("id,lenght\n1,2\n", column("length")), "did you mean 'lenght'?"));
    CHECK(has(failure("a,b\n1,2\n", column("3")), "there is no column 3, expected 1 to 2"));
    CHECK(
        has(failure("a,b\n1,2\n", {}), "there are 2 columns ('a', 'b'), expected one to be named"));
    CHECK(has(failure("a,b\n1\n", column("b")),
              ":2:2: error: the row has 1 columns, expected at "
              "least 2"));
    CHECK(has(failure("a,b\n\"1\"\n", column("b")), "the row has 1 columns"));
    CHECK(has(failure("a,b\n1,\n", column("b")), ":2:3: error: a length is missing"));
    CHECK(has(failure("a,b\n1,x\n", column("b")), ":2:3: error: 'x' is not a whole number"));
    CHECK(has(failure("a,b\n\"q\nr\",x\n", column("b")), ":3:4: error: 'x' is not a whole number"));
    CHECK(has(failure("a,b\n1\"2,3\n", column("b")), ":2:2: error: a quote within a value"));
    CHECK(has(failure("a,b\n\"1\"2,3\n", column("b")), ":2:3: error: a quote within a value"));
    CHECK(has(failure("a,b\n1,2\n\"1,3\n4,5\n", column("b")),
              ":3:1: error: the quote is not closed"));
  }

  TEST_CASE("lengths: a quote that is not closed costs its line alone where lines are skipped") {
    const test::Folder folder;
    FileOptions options = column("b");
    options.skip_malformed = true;
    SkippedLines skipped;
    CHECK(
        read_all(folder.write("a.csv", "a,b\n1,2\n\"1,3\n4,5\n6,7\n"), options, &skipped).lengths ==
        List{2, 5, 7});
    CHECK(skipped.count == 1);
    skipped = {};
    CHECK(read_all(folder.write("a.csv", "a,b\n\"1,3\n4,5\n\"x,7\n8,9\n"), options, &skipped)
              .lengths == List{5, 9});
    CHECK(skipped.count == 2);
    // A header that is not there is no line to skip.
    options.column = "c";
    CHECK(has(read_all(folder.path("a.csv"), options, &skipped).failure, "there is no column 'c'"));
  }

  TEST_CASE("lengths: fields of JSON Lines, numbers and arrays of token ids") {
    const test::Folder folder;
    const std::string path =
        folder.write("a.jsonl",
                     R"({"id": 1, "length": 12, "meta": {"n": 5, "x": {"k": 9}}}
{"meta": {"length": 3, "x": {"k": 8, "n": 1}, "n": 6}, "length": 13, "list": [{"length": 4}]}

{"length": 14, "meta": {"n": 7, "x": {"j": {"k": 1}, "k": 7}}, "t": "{\"length\": 5}"})");
    CHECK(read_all(path).lengths == List{12, 13, 14});
    CHECK(read_all(path, field("length")).lengths == List{12, 13, 14});
    CHECK(read_all(path, field("meta.n")).lengths == List{5, 6, 7});
    CHECK(read_all(path, field("meta.x.k")).lengths == List{9, 8, 7});
    const std::string ids = folder.write("b.jsonl",
                                         "{\"input_ids\": [5, 6, 7], \"n\": 1}\n"
                                         "{\"input_ids\": [9]}\n");
    CHECK(read_all(ids).lengths == List{3, 1});
    CHECK(read_all(ids, field("input_ids")).lengths == List{3, 1});
    CHECK(read_all(folder.write("c.jsonl", "17\n[1, 2]\n")).lengths == List{17, 2});
    // The more usual name counts, whatever the order.
    CHECK(read_all(folder.write("d.jsonl",
                                "{\"tokens\": [1, 2], \"length\": 8}\n"
                                "{\"length\": 9, \"tokens\": [1, 2]}\n"))
              .lengths == List{8, 9});
  }

  TEST_CASE("lengths: what is wrong with JSON Lines is said with its place") {
    const test::Folder folder;
    const auto failure = [&](std::string_view text, const FileOptions& options) {
      const test::Drained all = read_all(folder.write("a.jsonl", text), options);
      CHECK(all.lengths.empty());
      return all.failure;
    };
    CHECK(has(failure("{\"lenght\": 3}\n", field("length")),
              "a.jsonl:1:1: error: there is no field "
              "'length'"));
    CHECK(has(failure("{\"lenght\": 3}\n", field("length")), "did you mean 'lenght'?"));
    CHECK(has(failure("{\"a\": {\"b\": 3}}\n", field("a.c")), "there is no field 'a.c'"));
    CHECK(has(failure("{\"a\": [{\"b\": 3}]}\n", field("a.b")), "there is no field 'a.b'"));
    CHECK(has(failure("{\"a\": 1}\n", {}), "no field holds a length"));
    CHECK(has(failure("{\"length\": 3\n", {}), "a.jsonl:1:13: error: the line is not valid JSON"));
    CHECK(has(failure("{\"a\": 1} x\n", {}), ":1:10: error: the line is not valid JSON"));
    CHECK(has(failure("{\"a\": 1, \"length\": 3.5}\n", {}), ":1:10: error: '3.5' is no length"));
    CHECK(has(failure("{\"length\": \"text\"}\n", {}), "texts have to be tokenized first"));
    CHECK(has(failure("{\"length\": null}\n", {}), "null is no length"));
    CHECK(has(failure("{\"length\": true}\n", {}), "true or false is no length"));
    CHECK(has(failure("{\"length\": {}}\n", {}), "an object is no length"));
    CHECK(has(failure("{\"length\": []}\n", {}), "an empty array is no length"));
    CHECK(has(failure("{\"length\": [[1], [2]]}\n", {}), "an array of arrays is no length"));
    CHECK(has(failure("{\"length\": 0}\n", {}), "0 is no length, expected at least 1"));
    CHECK(has(failure("{\"length\": -4}\n", {}), "-4 is no length"));
    CHECK(has(failure("{\"length\": 9000000000}\n", {}), "longer than the longest"));
    CHECK(has(failure("{\"length\": 99999999999999999999999}\n", {}), "is no length"));
    CHECK(has(failure("\"text\"\n", {}), "a string is no length"));
    CHECK(has(failure("[1]\n", field("a")), "there is no field 'a'"));
  }

  TEST_CASE("lengths: gzip by its bytes, several members, padding; damage is told") {
    const test::Folder folder;
    const std::string packed = test::gzipped("1\n2\n3\n");
    CHECK(read_all(folder.write("a.txt.gz", packed)).lengths == List{1, 2, 3});
    CHECK(read_all(folder.write("a.txt", packed)).lengths == List{1, 2, 3});
    CHECK(read_all(folder.write("a.csv.gz", test::gzipped("x,length\n1,2\n"))).lengths == List{2});
    CHECK(read_all(folder.write("a.jsonl.GZ", test::gzipped("{\"length\": 4}"))).lengths ==
          List{4});
    CHECK(read_all(folder.write("b.gz", packed + test::gzipped("4\n") + std::string(64, '\0')))
              .lengths == List{1, 2, 3, 4});
    CHECK(read_all(folder.write("empty.gz", test::gzipped(""))).lengths.empty());
    CHECK(
        has(read_all(folder.write("c.gz", "1\n2\n")).failure, "expected gzip by the file's name"));
    CHECK(
        has(read_all(folder.write("d.gz", packed + "rest")).failure, "the gzip stream is damaged"));

    // Cut anywhere: a failure, and never the beginning of a line as if it were one.
    std::string text;
    for (int i = 0; i < 3000; ++i) {
      text += fmt::format("{}\n", 100'000 + i * 7919 % 10'000);
    }
    const std::string whole = test::gzipped(text);
    for (std::size_t size = 2; size < whole.size(); size += 397) {
      CAPTURE(size);
      const std::string path = folder.write("e.gz", whole.substr(0, size));
      const test::Drained part = read_all(path);
      CHECK(has(part.failure, "breaks off"));
      for (const Tokens length : part.lengths) {
        REQUIRE(length >= 100'000);
      }
      FileOptions options;
      options.skip_malformed = true;
      SkippedLines skipped;
      const test::Drained rest = read_all(path, options, &skipped);
      CHECK(rest.failure.empty());
      CHECK(rest.lengths == part.lengths);
      CHECK(skipped.count == 1);
    }
  }

  TEST_CASE("lengths: what cannot be opened fails when it is parsed") {
    const test::Folder folder;
    CHECK(has(read_all(folder.path("none.txt")).failure, "No such file or directory"));
    CHECK(has(read_all(folder.path("")).failure, "Is a directory"));
    const std::string parquet = read_all(folder.write("a.parquet", "PAR1")).failure;
    CHECK(has(parquet, "Parquet cannot be read, expected lines, CSV or JSON Lines"));
    CHECK(has(parquet, "pandas.read_parquet"));
    CHECK(has(read_all(folder.write("a.txt", "1"),
                       [] {
                         FileOptions options = column("x");
                         options.format = FileFormat::kLines;
                         return options;
                       }())
                  .failure,
              "a column is asked for"));
    CHECK(has(read_all(folder.write("a.csv", "1"), field("x")).failure, "a field is asked for"));
    FileOptions inside;
    inside.directory = folder.path("");
    CHECK(read_all("a.txt", inside).lengths == List{1});
    CHECK(has(read_all("wikipdia").failure, "did you mean 'wikipedia'?"));
    CHECK(has(read_all("").failure, "the lengths are empty"));
    if (::geteuid() != 0) {
      std::filesystem::permissions(folder.path("a.txt"), std::filesystem::perms::none);
      CHECK(has(read_all(folder.path("a.txt")).failure, "Permission denied"));
    }
  }

  TEST_CASE("lengths: long lines across blocks, and one that is too long") {
    const test::Folder folder;
    std::string ids = "{\"input_ids\": [1";
    for (int i = 1; i < 300'000; ++i) {
      ids += ",1";
    }
    CHECK(read_all(folder.write("a.jsonl", ids + "]}\n{\"input_ids\": [2]}\n")).lengths ==
          List{300'000, 1});
    {
      std::ofstream file(folder.path("b.txt"), std::ios::binary);
      const std::string megabyte(std::size_t{1} << 20U, ' ');
      file << "5\n";
      for (int i = 0; i < 65; ++i) {
        file << megabyte;
      }
      file << "\n6\n";
    }
    CHECK(has(read_all(folder.path("b.txt")).failure,
              "b.txt:2:1: error: the line is longer than 64 MiB"));
    FileOptions options;
    options.skip_malformed = true;
    SkippedLines skipped;
    CHECK(read_all(folder.path("b.txt"), options, &skipped).lengths == List{5, 6});
    CHECK(skipped.count == 1);
  }

  TEST_CASE("lengths: random bytes and random changes of good files never crash a reader") {
    const test::Folder folder;
    Random random(17);
    const std::string good[] = {
        "12\n# x\n\n345\r\n6789\n", "id,length,\"te\"\"xt\"\n1,20,\"a\nb\"\n2,30,c\n",
        "{\"length\": 4, \"a\": {\"b\": [1, 2]}}\n{\"length\": 5}\n[1, 2, {\"length\": 1}]\n",
        test::gzipped("1\n22\n333\n4444\n")};
    constexpr std::string_view kAlphabet = "\"\",,\n\n\r#{}[]:\\0123456789-+.eE\t; lengthnull";
    std::int64_t read = 0;
    for (int round = 0; round < 250; ++round) {
      std::string bytes;
      if (random.chance(1, 3)) {
        bytes.resize(static_cast<std::size_t>(random.uniform(0, 200)));
        for (char& c : bytes) {
          c = random.chance(1, 4) ? static_cast<char>(random.uniform(0, 255))
                                  : kAlphabet[static_cast<std::size_t>(
                                        random.uniform(0, std::ssize(kAlphabet) - 1))];
        }
      } else {
        bytes = good[random.uniform(0, 3)];
        for (std::int64_t change = random.uniform(1, 4); change > 0 && !bytes.empty(); --change) {
          const auto at = static_cast<std::size_t>(random.uniform(0, std::ssize(bytes) - 1));
          switch (random.uniform(0, 2)) {
            case 0:
              bytes[at] = static_cast<char>(random.uniform(0, 255));
              break;
            case 1:
              bytes.erase(at, static_cast<std::size_t>(random.uniform(1, 4)));
              break;
            default:
              bytes.insert(at, 1, kAlphabet[at % kAlphabet.size()]);
          }
        }
      }
      const std::string path = folder.write("fuzz", bytes);
      for (const FileFormat format :
           {FileFormat::kLines, FileFormat::kCsv, FileFormat::kJsonLines}) {
        FileOptions options;
        options.format = format;
        options.column = format == FileFormat::kCsv && random.chance(1, 2) ? "2" : "";
        options.skip_malformed = random.chance(1, 2);
        SkippedLines skipped;
        const test::Drained all = read_all(path, options, &skipped);
        const test::Drained again = read_all(path, options, nullptr, 1);
        CHECK(all.lengths == again.lengths);
        CHECK(all.failure == again.failure);
        for (const Tokens length : all.lengths) {
          REQUIRE(length >= 1);
          REQUIRE(length <= data::kLongestSequence);
        }
        read += std::ssize(all.lengths);
      }
    }
    CHECK(read > 100);
  }
}
