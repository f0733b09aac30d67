// Files of lengths for tests, in a folder of their own that goes with them.
#pragma once

#include <unistd.h>
#include <zlib.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "stagecraft/data/lengths.hpp"

namespace stagecraft::test {

class Folder {
 public:
  Folder() {
    static std::atomic<int> count{0};
    path_ = std::filesystem::temp_directory_path() /
            ("stagecraft-lengths-" + std::to_string(::getpid()) + "-" + std::to_string(count++));
    std::filesystem::create_directories(path_);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  [[nodiscard]] std::string path(std::string_view name) const { return (path_ / name).string(); }

  std::string write(std::string_view name, std::string_view content) const {
    std::ofstream(path(name), std::ios::binary) << content;
    return path(name);
  }

 private:
  std::filesystem::path path_;
};

[[nodiscard]] inline std::string gzipped(std::string_view text) {
  z_stream zip{};
  deflateInit2(&zip, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string packed(deflateBound(&zip, static_cast<uLong>(text.size())) + 64, '\0');
  std::string plain(text);
  zip.next_in = reinterpret_cast<Bytef*>(plain.data());
  zip.avail_in = static_cast<uInt>(plain.size());
  zip.next_out = reinterpret_cast<Bytef*>(packed.data());
  zip.avail_out = static_cast<uInt>(packed.size());
  deflate(&zip, Z_FINISH);
  packed.resize(zip.total_out);
  deflateEnd(&zip);
  return packed;
}

/// All of a stream, in blocks of `block`; what it fails with, if it does.
struct Drained {
  std::vector<data::Tokens> lengths;
  std::string failure;
};

[[nodiscard]] inline Drained drain(const data::LengthSource& source, std::size_t block = 4096) {
  Drained drained;
  std::vector<data::Tokens> part(block);
  for (;;) {
    const Result<std::size_t> got = source(part);
    if (!got) {
      drained.failure = to_string(got.failures());
      return drained;
    }
    if (*got == 0) {
      return drained;
    }
    drained.lengths.insert(drained.lengths.end(), part.begin(),
                           part.begin() + static_cast<std::ptrdiff_t>(*got));
  }
}

[[nodiscard]] inline Drained read_all(const std::string& path,
                                      const data::FileOptions& options = {},
                                      data::SkippedLines* skipped = nullptr,
                                      std::size_t block = 4096) {
  const Result<data::Lengths> lengths = data::parse_lengths(path, options);
  if (!lengths) {
    return {{}, to_string(lengths.failures())};
  }
  const Result<data::LengthSource> source = data::open_lengths(*lengths, 1, skipped);
  return source ? drain(*source, block) : Drained{{}, to_string(source.failures())};
}

[[nodiscard]] inline bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

}  // namespace stagecraft::test
