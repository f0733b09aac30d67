#include "stagecraft/core/file.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>

namespace stagecraft {
namespace {

Diagnostic system_failure(const std::string& path, const char* what, int error) {
  Diagnostic diagnostic = bad_input(std::string(what) + ": " + std::strerror(error));
  diagnostic.place.file = path;
  return diagnostic;
}

// 0, or the system's error number.
int write_stream(const std::string& path, const std::function<void(std::ostream&)>& write,
                 std::size_t& size) {
  errno = 0;
  std::ofstream stream(path, std::ios::binary | std::ios::trunc);
  if (!stream) {
    return errno == 0 ? EIO : errno;
  }
  write(stream);
  size = static_cast<std::size_t>(std::max<std::streamoff>(stream.tellp(), 0));
  stream.close();
  if (!stream) {
    return errno == 0 ? EIO : errno;
  }
  return 0;
}

struct Target {
  std::string path;  ///< through links
  bool special;      ///< no regular file: written itself, not replaced

  [[nodiscard]] std::string written() const {
    return special ? path : path + ".tmp." + std::to_string(::getpid());
  }
};

Target target_of(const std::string& path) {
  std::error_code status;
  const bool link = std::filesystem::is_symlink(path, status);
  Target target{link ? std::filesystem::weakly_canonical(path, status).string() : path, false};
  target.special = std::filesystem::exists(target.path, status) &&
                   !std::filesystem::is_regular_file(target.path, status);
  return target;
}

}  // namespace

Result<std::string> read_file(const std::string& path) {
  if (path == "-") {
    return std::string(std::istreambuf_iterator<char>(std::cin), {});
  }
  std::error_code status;
  if (std::filesystem::is_directory(path, status)) {
    return system_failure(path, "cannot read the file", EISDIR);
  }
  errno = 0;
  std::ifstream stream(path, std::ios::binary);
  if (!stream) {
    return system_failure(path, "cannot read the file", errno);
  }
  std::string content(std::istreambuf_iterator<char>(stream), {});
  if (stream.bad()) {
    return system_failure(path, "cannot read the file", EIO);
  }
  return content;
}

Result<std::size_t> write_file(const std::string& path,
                               const std::function<void(std::ostream&)>& write) {
  if (path == "-") {
    write(std::cout);
    std::cout.flush();
    if (!std::cout) {
      return system_failure("<standard output>", "cannot write", EIO);
    }
    return std::size_t{0};
  }
  const Target target = target_of(path);
  const std::string written = target.written();
  std::size_t size = 0;
  int error = write_stream(written, write, size);
  if (error == 0 && !target.special && std::rename(written.c_str(), target.path.c_str()) != 0) {
    error = errno;
  }
  if (error != 0) {
    if (!target.special) {
      std::remove(written.c_str());
    }
    return system_failure(path, "cannot write the file", error);
  }
  return size;
}

Result<std::size_t> write_file(const std::string& path, std::string_view content) {
  return write_file(path, [&](std::ostream& stream) {
    stream.write(content.data(), static_cast<std::streamsize>(content.size()));
  });
}

Diagnostics check_writable(const std::string& path) {
  const Target target = target_of(path);
  std::error_code status;
  int error = 0;
  if (path == "-") {
    return {};
  }
  if (target.special) {
    error = std::filesystem::is_directory(target.path, status) ? EISDIR : 0;
  } else {
    const std::string written = target.written();
    std::size_t size = 0;
    error = write_stream(written, [](std::ostream&) {}, size);
    std::remove(written.c_str());
  }
  return error == 0 ? Diagnostics{}
                    : Diagnostics{system_failure(path, "cannot write the file", error)};
}

}  // namespace stagecraft
