#include "mpi_transport.hpp"

#include <mpi.h>

#include <climits>
#include <cstddef>
#include <string>
#include <vector>

#include "stagecraft/core/check.hpp"

namespace stagecraft::cli {
namespace {

class MpiTransport final : public search::Transport {
 public:
  MpiTransport() {
    MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
    MPI_Comm_size(MPI_COMM_WORLD, &size_);
  }
  ~MpiTransport() override { MPI_Finalize(); }
  MpiTransport(const MpiTransport&) = delete;
  MpiTransport& operator=(const MpiTransport&) = delete;

  [[nodiscard]] std::int32_t rank() const override { return rank_; }
  [[nodiscard]] std::int32_t size() const override { return size_; }

  [[nodiscard]] std::vector<std::string> all_gather(std::string text) override {
    const auto ranks = static_cast<std::size_t>(size_);
    // MPI counts in int; longer texts would need parts.
    STAGECRAFT_CHECK(text.size() <= INT_MAX / 2, "a text of more than 1 GiB");
    const int length = static_cast<int>(text.size());
    std::vector<int> lengths(ranks);
    MPI_Allgather(&length, 1, MPI_INT, lengths.data(), 1, MPI_INT, MPI_COMM_WORLD);
    std::vector<int> offsets(ranks);
    std::int64_t sum = 0;
    for (std::size_t i = 0; i < ranks; ++i) {
      offsets[i] = static_cast<int>(sum);
      sum += lengths[i];
      STAGECRAFT_CHECK(sum <= INT_MAX, "texts of more than 2 GiB together");
    }
    std::string all(static_cast<std::size_t>(sum), '\0');
    MPI_Allgatherv(text.data(), length, MPI_CHAR, all.data(), lengths.data(), offsets.data(),
                   MPI_CHAR, MPI_COMM_WORLD);
    std::vector<std::string> texts;
    for (std::size_t i = 0; i < ranks; ++i) {
      texts.push_back(
          all.substr(static_cast<std::size_t>(offsets[i]), static_cast<std::size_t>(lengths[i])));
    }
    return texts;
  }

 private:
  int rank_ = 0;
  int size_ = 1;
};

}  // namespace

Result<std::unique_ptr<search::Transport>> make_mpi_transport() {
  // Messages are sent between rounds, by the thread that started MPI.
  int provided = 0;
  if (MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided) != MPI_SUCCESS ||
      provided < MPI_THREAD_FUNNELED) {
    return bad_input("MPI could not be initialized for a program with threads");
  }
  return std::unique_ptr<search::Transport>(std::make_unique<MpiTransport>());
}

}  // namespace stagecraft::cli
