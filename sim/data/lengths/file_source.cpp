// Lengths from files.
#include <algorithm>
#include <filesystem>

#include <fmt/core.h>

#include "data/lengths/numbers.hpp"
#include "data/lengths/records.hpp"
#include "data/lengths/source.hpp"

namespace stagecraft::data {
namespace {

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return result;
}

FileFormat format_of(std::string_view name, const FileOptions& options) {
  if (options.format != FileFormat::kAuto) {
    return options.format;
  }
  const auto ends = [&](std::string_view end) { return name.ends_with(end); };
  if (ends(".csv") || ends(".tsv")) {
    return FileFormat::kCsv;
  }
  if (ends(".jsonl") || ends(".ndjson") || ends(".json")) {
    return FileFormat::kJsonLines;
  }
  // The name does not tell; what is asked for may.
  return !options.column.empty()  ? FileFormat::kCsv
         : !options.field.empty() ? FileFormat::kJsonLines
                                  : FileFormat::kLines;
}

Diagnostic of_file(const std::string& path, std::string message, std::string hint) {
  Diagnostic failure = bad_input(std::move(message), std::move(hint));
  failure.place.file = path;
  return failure;
}

using Records = std::variant<PlainRecords, CsvRecords, JsonRecords>;

Records make_records(ByteStream stream, const FileInput& input) {
  LineReader lines(std::move(stream));
  switch (input.format) {
    case FileFormat::kCsv:
      return CsvRecords(std::move(lines), input.column, input.tabs);
    case FileFormat::kJsonLines:
      return JsonRecords(std::move(lines), input.field);
    case FileFormat::kAuto:
    case FileFormat::kLines:
      break;
  }
  return PlainRecords(std::move(lines));
}

/// A stream of lengths. A failure comes after all lengths before it, whatever the size of blocks.
class FileStream {
 public:
  FileStream(Records records, const FileInput& input, SkippedLines* skipped)
      : records_(std::move(records)),
        path_(input.path == "-" ? "<standard input>" : input.path),
        skip_(input.skip_malformed),
        skipped_(skipped) {}

  Result<std::size_t> fill(std::span<Tokens> out) {
    std::size_t count = 0;
    while (count < out.size() && !done_) {
      Record record = std::visit([](auto& records) { return records.next(); }, records_);
      switch (record.kind) {
        case Record::Kind::kLength:
          out[count++] = record.tokens;
          break;
        case Record::Kind::kEnd:
          done_ = true;
          break;
        case Record::Kind::kMalformed:
          if (skip_ && record.problem) {
            skip(std::move(*record.problem));
            break;
          }
          [[fallthrough]];
        case Record::Kind::kBroken:
          done_ = true;
          failure_ = std::move(record.problem);
          if (failure_) {
            failure_->place.file = path_;
          }
          break;
      }
    }
    if (count == 0 && failure_) {
      const Diagnostic failure = std::move(*failure_);
      failure_.reset();
      return failure;
    }
    return count;
  }

 private:
  void skip(Diagnostic problem) {
    constexpr std::size_t kNamed = 5;
    if (skipped_ == nullptr) {
      return;
    }
    ++skipped_->count;
    if (skipped_->first.size() < kNamed) {
      problem.place.file = path_;
      skipped_->first.push_back(std::move(problem));
    }
  }

  Records records_;
  std::string path_;
  bool skip_;
  SkippedLines* skipped_;
  bool done_ = false;
  std::optional<Diagnostic> failure_;
};

}  // namespace

Result<FileInput> find_file(std::string_view name, const FileOptions& options) {
  FileInput input;
  input.path =
      name == "-" ? std::string(name) : (std::filesystem::path(options.directory) / name).string();
  std::string plain = lower(name);
  input.gzip = plain.ends_with(".gz");
  if (input.gzip) {
    plain.resize(plain.size() - 3);
  }
  if (plain.ends_with(".parquet") && options.format == FileFormat::kAuto) {
    return of_file(input.path, "Parquet cannot be read, expected lines, CSV or JSON Lines",
                   "convert it: python3 -c \"import pandas; pandas.read_parquet('in.parquet', "
                   "columns=['length']).to_csv('lengths.csv', index=False)\"");
  }
  input.format = format_of(plain, options);
  if (!options.column.empty() && input.format != FileFormat::kCsv) {
    return of_file(input.path, "a column is asked for, but the file is not read as CSV",
                   "expected .csv or .tsv, or the format csv");
  }
  if (!options.field.empty() && input.format != FileFormat::kJsonLines) {
    return of_file(input.path, "a field is asked for, but the file is not read as JSON Lines",
                   "expected .jsonl, or the format jsonl");
  }
  input.tabs = plain.ends_with(".tsv");
  input.skip_malformed = options.skip_malformed;
  input.column = options.column;
  input.field = options.field;
  input.once = !can_be_read_again(input.path);
  if (Diagnostics failures = check_readable(input.path); !failures.empty()) {
    return failures;
  }
  return input;
}

Result<LengthSource> open_file(const FileInput& input, SkippedLines* skipped) {
  Result<ByteStream> bytes = ByteStream::open(input.path, input.gzip);
  if (!bytes) {
    return bytes.failures();
  }
  // Shared: a std::function is copied, a stream is not.
  const auto stream =
      std::make_shared<FileStream>(make_records(std::move(*bytes), input), input, skipped);
  return LengthSource([stream](std::span<Tokens> out) { return stream->fill(out); });
}

}  // namespace stagecraft::data
