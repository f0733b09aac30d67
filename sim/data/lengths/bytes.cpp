#include "data/lengths/bytes.hpp"

#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <vector>

namespace stagecraft::data {
namespace {

constexpr std::size_t kBlock = std::size_t{1} << 18U;
constexpr int kAnyGzip = 16 + MAX_WBITS;  // of inflateInit2: gzip headers alone

Diagnostic system_failure(const std::string& path, int error) {
  Diagnostic diagnostic = bad_input(std::string("cannot read the file: ") + std::strerror(error));
  diagnostic.place.file = path;
  return diagnostic;
}

}  // namespace

struct ByteStream::State {
  int file = -1;
  bool close_file = false;
  bool must_be_gzip = false;
  bool first = true;
  bool gzip = false;
  bool in_member = false;  // of gzip: between its header and its check sum
  bool at_end = false;     // of the file
  z_stream zip{};
  std::vector<char> raw = std::vector<char>(kBlock);
  std::vector<char> plain;

  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    if (gzip) {
      inflateEnd(&zip);
    }
    if (close_file) {
      ::close(file);
    }
  }

  /// Bytes read, 0 at the end, -1 on failure.
  [[nodiscard]] ssize_t fill(std::size_t from) {
    ssize_t got = 0;
    do {
      got = ::read(file, raw.data() + from, raw.size() - from);
    } while (got < 0 && errno == EINTR);
    return got;
  }

  /// The first block, from which the format is told; two bytes at least, if there are so many.
  [[nodiscard]] ssize_t fill_first() {
    std::size_t size = 0;
    while (size < 2) {
      const ssize_t got = fill(size);
      if (got < 0) {
        return got;
      }
      if (got == 0) {
        break;
      }
      size += static_cast<std::size_t>(got);
    }
    gzip =
        size >= 2 && raw[0] == '\x1f' && raw[1] == '\x8b' && inflateInit2(&zip, kAnyGzip) == Z_OK;
    if (gzip) {
      plain.resize(kBlock);
      in_member = true;
    }
    return static_cast<ssize_t>(size);
  }

  Block system_block() {
    at_end = true;
    return {{}, std::string("cannot read the file: ") + std::strerror(errno), true};
  }
  Block damage(std::string what) {
    at_end = true;
    return {{}, "the gzip stream " + std::move(what), false};
  }

  Block read_plain() {
    if (at_end) {
      return {};
    }
    const ssize_t got = first ? fill_first() : fill(0);
    if (got < 0) {
      return system_block();
    }
    if (first) {
      first = false;
      if (gzip) {
        give(got);
        return read_gzip();
      }
      if (must_be_gzip && got > 0) {
        return damage("does not begin as one, expected gzip by the file's name");
      }
    }
    at_end = got == 0;
    return {std::string_view(raw.data(), static_cast<std::size_t>(got)), {}, false};
  }

  void give(ssize_t got) {
    zip.next_in = reinterpret_cast<Bytef*>(raw.data());
    zip.avail_in = static_cast<uInt>(got);
  }

  Block read_gzip() {
    zip.next_out = reinterpret_cast<Bytef*>(plain.data());
    zip.avail_out = static_cast<uInt>(plain.size());
    while (!at_end && zip.avail_out == plain.size()) {
      if (zip.avail_in == 0) {
        const ssize_t got = fill(0);
        if (got < 0) {
          return system_block();
        }
        if (got == 0) {
          if (in_member) {
            return damage("breaks off before its end");
          }
          at_end = true;
          break;
        }
        give(got);
      }
      if (!in_member && !next_member()) {
        continue;
      }
      const int status = inflate(&zip, Z_NO_FLUSH);
      if (status == Z_STREAM_END) {
        in_member = false;
      } else if (status == Z_MEM_ERROR) {
        throw std::bad_alloc();
      } else if (status != Z_OK && status != Z_BUF_ERROR) {
        // What was inflated before the damage in this call is not to be trusted either.
        return damage(zip.msg == nullptr ? "is damaged" : std::string("is damaged: ") + zip.msg);
      }
    }
    return {std::string_view(plain.data(), plain.size() - zip.avail_out), {}, false};
  }

  /// After the end of a member: goes over padding by zeros; false if the input is used up.
  bool next_member() {
    while (zip.avail_in > 0 && *zip.next_in == 0) {
      ++zip.next_in;
      --zip.avail_in;
    }
    if (zip.avail_in == 0) {
      return false;
    }
    inflateReset(&zip);
    in_member = true;
    return true;
  }
};

Result<ByteStream> ByteStream::open(const std::string& path, bool must_be_gzip) {
  auto state = std::make_unique<State>();
  state->must_be_gzip = must_be_gzip;
  if (path == "-") {
    state->file = STDIN_FILENO;
    return ByteStream(std::move(state));
  }
  std::error_code status;
  if (std::filesystem::is_directory(path, status)) {
    return system_failure(path, EISDIR);
  }
  state->file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (state->file < 0) {
    return system_failure(path, errno);
  }
  state->close_file = true;
  return ByteStream(std::move(state));
}

ByteStream::ByteStream(std::unique_ptr<State> state) : state_(std::move(state)) {}
ByteStream::ByteStream(ByteStream&&) noexcept = default;
ByteStream& ByteStream::operator=(ByteStream&&) noexcept = default;
ByteStream::~ByteStream() = default;

Block ByteStream::read() {
  return state_->gzip ? state_->read_gzip() : state_->read_plain();
}

Diagnostics check_readable(const std::string& path) {
  std::error_code status;
  if (path == "-") {
    return {};
  }
  if (std::filesystem::is_regular_file(path, status) ||
      std::filesystem::is_directory(path, status)) {
    const Result<ByteStream> stream = ByteStream::open(path, false);
    return stream ? Diagnostics{} : stream.failures();
  }
  return ::access(path.c_str(), R_OK) == 0 ? Diagnostics{}
                                           : Diagnostics{system_failure(path, errno)};
}

bool can_be_read_again(const std::string& path) {
  std::error_code status;
  return path != "-" && std::filesystem::is_regular_file(path, status);
}

}  // namespace stagecraft::data
