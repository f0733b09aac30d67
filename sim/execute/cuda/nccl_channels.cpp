// Channels and reductions as NCCL communicators; cuda_channels.hpp says which and why.
#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include <map>
#include <utility>

#include "execute/cuda/cuda_channels.hpp"
#include "execute/cuda/nccl_library.hpp"
#include "stagecraft/core/check.hpp"

namespace stagecraft {
namespace {

/// Ranks of some partitions: rank r is partition members[r].
struct Clique {
  std::vector<std::int32_t> members;
  std::vector<ncclComm_t> comms;

  [[nodiscard]] int rank_of(std::int32_t partition) const {
    for (std::size_t r = 0; r < members.size(); ++r) {
      if (members[r] == partition) {
        return static_cast<int>(r);
      }
    }
    STAGECRAFT_CHECK(false, "a partition of the communicator");
  }
  [[nodiscard]] ncclComm_t comm_of(std::int32_t partition) const {
    return comms[static_cast<std::size_t>(rank_of(partition))];
  }
};

class NcclChannels final : public CudaChannels {
 public:
  NcclChannels(std::shared_ptr<const NcclLibrary> nccl, std::vector<int> gpus,
               std::function<void(std::int32_t)> activate, CallErrors& errors)
      : nccl_(std::move(nccl)),
        gpus_(std::move(gpus)),
        activate_(std::move(activate)),
        errors_(errors) {}
  NcclChannels(const NcclChannels&) = delete;
  NcclChannels& operator=(const NcclChannels&) = delete;
  ~NcclChannels() override {
    for (const Clique& clique : cliques_) {
      for (std::size_t r = 0; r < clique.comms.size(); ++r) {
        activate_(clique.members[r]);
        static_cast<void>(nccl_->destroy(clique.comms[r]));
      }
    }
  }

  Result<std::vector<GpuChannel>> create(const std::vector<GpuChannelEnds>& ends) override {
    std::map<std::int32_t, std::size_t> groups;
    std::vector<GpuChannel> channels;
    for (const GpuChannelEnds& end : ends) {
      std::size_t clique = cliques_.size();
      const auto known = groups.find(end.group);
      if (end.group >= 0 && known != groups.end()) {
        clique = known->second;
      } else {
        std::vector<std::int32_t> members{end.from, end.to};
        if (end.group >= 0) {
          members.clear();
          for (std::size_t p = 0; p < gpus_.size(); ++p) {
            members.push_back(static_cast<std::int32_t>(p));
          }
          groups[end.group] = clique;
        }
        if (!add_clique(std::move(members))) {
          return errors_.take();
        }
      }
      channels.push_back(static_cast<GpuChannel>(channels_.size()));
      channels_.push_back({end, clique});
    }
    connect(channels);
    if (errors_.any()) {
      return errors_.take();
    }
    return channels;
  }

  void exchange(CUstream_st* stream, const std::vector<Member>& members) override {
    check("ncclGroupStart", nccl_->group_start());
    for (const Member& member : members) {
      issue(stream, member);
    }
    check("ncclGroupEnd", nccl_->group_end());
  }

  Result<GpuReduction> create_reduction(const std::vector<std::int32_t>& partitions) override {
    if (!add_clique(partitions)) {
      return errors_.take();
    }
    reductions_.push_back(cliques_.size() - 1);
    warm_up(cliques_.back());
    if (errors_.any()) {
      return errors_.take();
    }
    return static_cast<GpuReduction>(reductions_.size() - 1);
  }

  void all_reduce(GpuReduction reduction, const std::vector<Summand>& summands,
                  std::int64_t count) override {
    const Clique& clique = cliques_[reductions_[reduction]];
    STAGECRAFT_CHECK(summands.size() == clique.comms.size(), "one summand per partition");
    check("ncclGroupStart", nccl_->group_start());
    for (std::size_t r = 0; r < summands.size(); ++r) {
      activate_(clique.members[r]);
      check("ncclAllReduce",
            nccl_->all_reduce(summands[r].data, summands[r].data, static_cast<std::size_t>(count),
                              ncclFloat, ncclSum, clique.comms[r], summands[r].stream));
    }
    check("ncclGroupEnd", nccl_->group_end());
  }

  void check() override {
    for (const Clique& clique : cliques_) {
      for (const ncclComm_t comm : clique.comms) {
        ncclResult_t state = ncclSuccess;
        if (nccl_->async_error(comm, &state) == ncclSuccess && state != ncclInProgress) {
          check("NCCL", state);
        }
      }
    }
  }

  void abort() override {
    for (const Clique& clique : cliques_) {
      for (const ncclComm_t comm : clique.comms) {
        static_cast<void>(nccl_->abort(comm));
      }
    }
    cliques_.clear();
  }

 private:
  struct Channel {
    GpuChannelEnds ends;
    std::size_t clique = 0;
  };

  void check(const char* call, ncclResult_t status) {
    if (status != ncclSuccess) {
      const char* detail = nccl_->last_error(nullptr);
      errors_.note(call, fmt::format("{} ({})", nccl_->error_string(status),
                                     detail == nullptr ? "" : detail));
    }
  }

  bool add_clique(std::vector<std::int32_t> members) {
    std::vector<int> devices;
    for (const std::int32_t member : members) {
      devices.push_back(gpus_[static_cast<std::size_t>(member)]);
    }
    std::vector<ncclComm_t> comms(members.size(), nullptr);
    const ncclResult_t status =
        nccl_->init_all(comms.data(), static_cast<int>(devices.size()), devices.data());
    check("ncclCommInitAll", status);
    if (status == ncclSuccess) {
      cliques_.push_back({std::move(members), std::move(comms)});
    }
    return status == ncclSuccess;
  }

  void issue(CUstream_st* stream, const Member& member) {
    const Channel& channel = channels_[member.channel];
    const Clique& clique = cliques_[channel.clique];
    const auto bytes = static_cast<std::size_t>(member.bytes);
    const std::int32_t own = member.send ? channel.ends.from : channel.ends.to;
    const int peer = clique.rank_of(member.send ? channel.ends.to : channel.ends.from);
    activate_(own);
    if (member.send) {
      check("ncclSend",
            nccl_->send(member.data, bytes, ncclInt8, peer, clique.comm_of(own), stream));
    } else {
      check("ncclRecv",
            nccl_->recv(member.data, bytes, ncclInt8, peer, clique.comm_of(own), stream));
    }
  }

  /// A stream and a few bytes on every partition, to make the first calls with.
  struct Scratch {
    std::vector<cudaStream_t> streams;
    std::vector<void*> data;
  };
  Scratch scratch() {
    Scratch result;
    for (std::size_t p = 0; p < gpus_.size(); ++p) {
      activate_(static_cast<std::int32_t>(p));
      cudaStream_t stream = nullptr;
      void* data = nullptr;
      cuda("cudaStreamCreateWithFlags", cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
      cuda("cudaMalloc", cudaMalloc(&data, 256));
      result.streams.push_back(stream);
      result.data.push_back(data);
    }
    return result;
  }
  void release(const Scratch& scratch) {
    for (std::size_t p = 0; p < gpus_.size(); ++p) {
      activate_(static_cast<std::int32_t>(p));
      cuda("cudaStreamSynchronize", cudaStreamSynchronize(scratch.streams[p]));
    }
    for (std::size_t p = 0; p < gpus_.size(); ++p) {
      activate_(static_cast<std::int32_t>(p));
      cuda("cudaStreamDestroy", cudaStreamDestroy(scratch.streams[p]));
      cuda("cudaFree", cudaFree(scratch.data[p]));
    }
  }
  void cuda(const char* call, cudaError_t status) {
    if (status != cudaSuccess) {
      errors_.note(call, cudaGetErrorString(status));
    }
  }

  /// One message through every channel, both sides of all in one group.
  void connect(const std::vector<GpuChannel>& channels) {
    const Scratch space = scratch();
    check("ncclGroupStart", nccl_->group_start());
    for (const GpuChannel channel : channels) {
      const GpuChannelEnds& ends = channels_[channel].ends;
      const auto from = static_cast<std::size_t>(ends.from);
      const auto to = static_cast<std::size_t>(ends.to);
      issue(space.streams[from], {true, channel, space.data[from], 4});
      issue(space.streams[to], {false, channel, static_cast<char*>(space.data[to]) + 128, 4});
    }
    check("ncclGroupEnd", nccl_->group_end());
    release(space);
  }
  void warm_up(const Clique& clique) {
    const Scratch space = scratch();
    std::vector<Summand> summands;
    for (const std::int32_t member : clique.members) {
      const auto p = static_cast<std::size_t>(member);
      summands.push_back({space.streams[p], static_cast<float*>(space.data[p])});
    }
    all_reduce(static_cast<GpuReduction>(reductions_.size() - 1), summands, 1);
    release(space);
  }

  std::shared_ptr<const NcclLibrary> nccl_;
  std::vector<int> gpus_;
  std::function<void(std::int32_t)> activate_;
  CallErrors& errors_;
  std::vector<Clique> cliques_;
  std::vector<Channel> channels_;
  std::vector<std::size_t> reductions_;
};

}  // namespace

Result<std::unique_ptr<CudaChannels>> open_cuda_channels(std::vector<int> gpus,
                                                         std::function<void(std::int32_t)> activate,
                                                         CallErrors& errors) {
  Result<std::shared_ptr<const NcclLibrary>> nccl = open_nccl();
  if (!nccl) {
    return nccl.failures();
  }
  return std::unique_ptr<CudaChannels>(
      std::make_unique<NcclChannels>(*nccl, std::move(gpus), std::move(activate), errors));
}

std::string nccl_version() {
  const Result<std::shared_ptr<const NcclLibrary>> nccl = open_nccl();
  int code = 0;
  if (!nccl || (*nccl)->version(&code) != ncclSuccess) {
    return {};
  }
  return fmt::format("{}.{}.{}", code / 10000, code / 100 % 100, code % 100);
}

}  // namespace stagecraft
