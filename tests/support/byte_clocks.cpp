#include "support/byte_clocks.hpp"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

namespace stagecraft::test {
namespace {

std::uint64_t at(const VectorTime& time, std::uint32_t queue) {
  return queue < time.size() ? time[queue] : 0;
}

}  // namespace

void merge(VectorTime& into, const VectorTime& other) {
  if (into.size() < other.size()) {
    into.resize(other.size(), 0);
  }
  for (std::size_t q = 0; q < other.size(); ++q) {
    into[q] = std::max(into[q], other[q]);
  }
}

ByteClocks::Cells::iterator ByteClocks::split(std::size_t at) {
  if (at >= size_) {
    return cells_.end();
  }
  const auto after = cells_.upper_bound(at);
  const auto cell = std::prev(after);
  return cell->first == at ? cell : cells_.emplace_hint(after, at, cell->second);
}

std::string ByteClocks::read(std::size_t begin, std::size_t end, std::uint32_t queue,
                             const VectorTime& now, bool gaps) {
  std::string wrong;
  auto cell = split(begin);
  const auto last = split(end);
  for (; cell != last; ++cell) {
    Cell& c = cell->second;
    if (!c.written && !gaps && wrong.empty()) {
      wrong = fmt::format("reads byte {}, which nobody wrote", cell->first);
    } else if (c.written && at(now, c.write.queue) < c.write.time && wrong.empty()) {
      wrong = fmt::format("reads byte {} while queue {} may write it", cell->first, c.write.queue);
    }
    const auto own = std::find_if(c.reads.begin(), c.reads.end(),
                                  [&](const Access& a) { return a.queue == queue; });
    if (own == c.reads.end()) {
      c.reads.push_back({queue, at(now, queue)});
    } else {
      own->time = at(now, queue);
    }
  }
  return wrong;
}

std::string ByteClocks::write(std::size_t begin, std::size_t end, std::uint32_t queue,
                              const VectorTime& now) {
  std::string wrong;
  auto cell = split(begin);
  const auto last = split(end);
  const auto first = cell;
  for (; cell != last; ++cell) {
    const Cell& c = cell->second;
    if (wrong.empty() && c.written && at(now, c.write.queue) < c.write.time) {
      wrong = fmt::format("writes byte {} while queue {} may write it", cell->first, c.write.queue);
    }
    for (const Access& reader : c.reads) {
      if (wrong.empty() && at(now, reader.queue) < reader.time) {
        wrong = fmt::format("writes byte {} while queue {} may read it", cell->first, reader.queue);
      }
    }
  }
  if (first != last) {  // one cell from now on
    first->second = {true, {queue, at(now, queue)}, {}};
    cells_.erase(std::next(first), last);
  }
  return wrong;
}

}  // namespace stagecraft::test
