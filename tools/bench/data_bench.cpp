// Sequence lengths: reading a million of them in every format, drawing, sampling, describing.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "stagecraft/core/random.hpp"
#include "stagecraft/data/describe.hpp"
#include "stagecraft/data/sampling.hpp"

namespace {

using namespace stagecraft;
using data::Tokens;

constexpr std::int64_t kSequences = 1'000'000;

const std::vector<Tokens>& lengths() {
  static const std::vector<Tokens> all = [] {
    std::vector<Tokens> drawn(kSequences);
    const auto parsed = data::parse_lengths("github");
    static_cast<void>((*data::open_lengths(*parsed, 1))(drawn));
    return drawn;
  }();
  return all;
}

/// A file of all lengths, `before` and `after` each of them; compressed by the system's gzip.
class BenchFile {
 public:
  BenchFile(const std::string& ending, const std::string& head, const std::string& before,
            const std::string& after, bool gzip = false) {
    path_ = (std::filesystem::temp_directory_path() /
             ("stagecraft-bench-" + std::to_string(::getpid()) + ending))
                .string();
    {
      std::ofstream file(path_, std::ios::binary);
      file << head;
      for (const Tokens length : lengths()) {
        file << before << length << after;
      }
    }
    if (gzip && std::system(("gzip -f '" + path_ + "'").c_str()) == 0) {  // NOLINT
      path_ += ".gz";
    }
  }
  BenchFile(const BenchFile&) = delete;
  BenchFile& operator=(const BenchFile&) = delete;
  ~BenchFile() { std::remove(path_.c_str()); }

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

void read_and_describe(benchmark::State& state, const BenchFile& file) {
  for (auto _ : state) {
    const auto parsed = data::parse_lengths(file.path());
    const auto source = data::open_lengths(*parsed, 1);
    const auto summary = data::describe_lengths(*source, 48 * 1024, 0);
    if (!summary || summary->sequences != kSequences) {
      state.SkipWithError("not all lengths were read");
      break;
    }
  }
  state.SetItemsProcessed(state.iterations() * kSequences);
}

void read_lines(benchmark::State& state) {
  read_and_describe(state, BenchFile(".txt", "", "", "\n"));
}
void read_csv(benchmark::State& state) {
  read_and_describe(state, BenchFile(".csv", "id,length,name\n", "17,", ",some text\n"));
}
void read_csv_quoted(benchmark::State& state) {
  read_and_describe(state, BenchFile(".csv", "id,length,name\n", "17,", ",\"some, text\"\n"));
}
void read_jsonl(benchmark::State& state) {
  read_and_describe(state, BenchFile(".jsonl", "", "{\"id\": 17, \"length\": ", "}\n"));
}
void read_gzip(benchmark::State& state) {
  read_and_describe(state, BenchFile(".txt", "", "", "\n", true));
}
BENCHMARK(read_lines)->Unit(benchmark::kMillisecond);
BENCHMARK(read_csv)->Unit(benchmark::kMillisecond);
BENCHMARK(read_csv_quoted)->Unit(benchmark::kMillisecond);
BENCHMARK(read_jsonl)->Unit(benchmark::kMillisecond);
BENCHMARK(read_gzip)->Unit(benchmark::kMillisecond);

void draw_lengths(benchmark::State& state, const char* expression) {
  const auto parsed = data::parse_lengths(expression);
  const auto source = data::open_lengths(*parsed, 1);
  std::vector<Tokens> block(4096);
  for (auto _ : state) {
    benchmark::DoNotOptimize((*source)(block).ok());
  }
  state.SetItemsProcessed(state.iterations() * std::ssize(block));
}
BENCHMARK_CAPTURE(draw_lengths, uniform, "uniform(1, 64K)");
BENCHMARK_CAPTURE(draw_lengths, log_normal, "github");
BENCHMARK_CAPTURE(draw_lengths, histogram, "wikipedia");
BENCHMARK_CAPTURE(draw_lengths, zipf, "zipf(1.2, max=64K)");
BENCHMARK_CAPTURE(draw_lengths, pareto, "pareto(512, 1.5)");

void sample_batches(benchmark::State& state) {
  data::SamplingOptions options;
  options.context = 48 * 1024;
  options.shuffle_window = 10'000;
  auto sampler = data::BatchSampler::open(*data::parse_lengths("github"), options);
  for (auto _ : state) {
    benchmark::DoNotOptimize(sampler->next().ok());
  }
  state.SetItemsProcessed(state.iterations() * options.global_batch);
}
BENCHMARK(sample_batches);

void describe_drawn(benchmark::State& state) {
  for (auto _ : state) {
    data::LengthCounter counter(48 * 1024);
    for (const Tokens length : lengths()) {
      counter.add(length);
    }
    benchmark::DoNotOptimize(counter.summary());
  }
  state.SetItemsProcessed(state.iterations() * kSequences);
}
BENCHMARK(describe_drawn)->Unit(benchmark::kMillisecond);

}  // namespace
