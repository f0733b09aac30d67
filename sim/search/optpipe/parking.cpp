#include "search/optpipe/parking.hpp"

#include <algorithm>
#include <numeric>
#include <optional>
#include <utility>

namespace stagecraft::search {
namespace {

/// The copy stream of a device: intervals that are taken, by start.
class Stream {
 public:
  [[nodiscard]] Time earliest(Time from, Time length) const {
    Time start = from;
    for (auto next = after(from); next != taken_.end() && next->first < start + length; ++next) {
      start = std::max(start, next->second);
    }
    return start;
  }
  /// Latest start of a free interval that ends by `until`; may be negative.
  [[nodiscard]] Time latest(Time until, Time length) const {
    Time start = until - length;
    auto next = std::lower_bound(taken_.begin(), taken_.end(), std::pair(until, Time{0}));
    while (next != taken_.begin() && std::prev(next)->second > start) {
      --next;
      start = std::min(start, next->first - length);
    }
    return start;
  }
  void take(Time start, Time length) {
    const std::pair<Time, Time> interval(start, start + length);
    taken_.insert(std::upper_bound(taken_.begin(), taken_.end(), interval), interval);
  }

 private:
  using Intervals = std::vector<std::pair<Time, Time>>;
  [[nodiscard]] Intervals::const_iterator after(Time from) const {
    return std::partition_point(taken_.begin(), taken_.end(),
                                [from](const auto& interval) { return interval.second <= from; });
  }
  Intervals taken_;
};

// Moments: 2j is while op j runs, 2j + 1 from its end to the start of op j + 1.
class Parking {
 public:
  Parking(std::span<const LineOp> line, std::span<const ParkUnit> units, Bytes resident,
          Bytes capacity, ParkFirst first)
      : line_(line), units_(units), capacity_(capacity), first_(first), used_(units.size(), false) {
    Bytes now = resident;
    level_.reserve(2 * line.size());
    for (const LineOp& op : line) {
      now += op.take;
      level_.push_back(now);
      now += op.give;
      level_.push_back(now);
    }
    own_level_ = level_;
  }

  DeviceParking run() {
    if (first_ == ParkFirst::kEverything) {
      park_everything();
    }
    for (std::size_t moment = 0; moment < level_.size(); ++moment) {
      while (level_[moment] > capacity_) {
        if (!relieve(moment)) {
          result_.excess = level_[moment] - capacity_;
          return std::move(result_);
        }
      }
    }
    result_.fits = true;
    if (first_ == ParkFirst::kLongestLived) {
      drop_spare();
    }
    return std::move(result_);
  }

 private:
  struct Offer {
    std::size_t unit = 0;
    Time out_start = 0, back_start = 0;
    std::size_t from = 0, to = 0;  // moments in which it is away
  };

  [[nodiscard]] Time begin(std::size_t moment) const {
    const LineOp& op = line_[moment / 2];
    return moment % 2 == 0 ? op.start : op.end;
  }

  // What was parked early may be spared once later units are away too.
  void drop_spare() {
    std::vector<ParkedUnit> kept;
    for (const ParkedUnit& parked : result_.parked) {
      const ParkUnit& u = units_[parked.unit];
      const std::size_t from = moment_at(parked.out_start + u.out);
      const std::size_t to = back_moment(parked.back_start);
      const auto room = [&](Bytes level) { return level + u.bytes <= capacity_; };
      const auto begin = level_.begin() + static_cast<std::ptrdiff_t>(from);
      const auto end = level_.begin() + static_cast<std::ptrdiff_t>(to);
      if (std::all_of(begin, end, room)) {
        std::for_each(begin, end, [&](Bytes& level) { level += u.bytes; });
      } else {
        kept.push_back(parked);
      }
    }
    result_.parked = std::move(kept);
  }

  /// The moment behind the last op that has ended by `time`.
  [[nodiscard]] std::size_t back_moment(Time time) const {
    const auto behind = std::partition_point(line_.begin(), line_.end(),
                                             [&](const LineOp& at) { return at.end <= time; });
    return 2 * static_cast<std::size_t>(behind - line_.begin()) - 1;
  }

  void park_everything() {
    std::vector<Time> lifespan;
    for (const ParkUnit& unit : units_) {
      lifespan.resize(std::max(lifespan.size(), unit.stage + 1), 0);
      lifespan[unit.stage] += line_[unit.used].start - line_[unit.made].end;
    }
    std::vector<std::size_t> ranked(units_.size());
    std::iota(ranked.begin(), ranked.end(), std::size_t{0});
    std::ranges::stable_sort(ranked, [&](std::size_t a, std::size_t b) {
      return lifespan[units_[a].stage] > lifespan[units_[b].stage];
    });
    for (const std::size_t unit : ranked) {
      if (const std::optional<Offer> found = offer(unit); found && found->from < found->to) {
        apply(*found);
      }
    }
    level_ = own_level_;
    run_stream();
  }

  // A busy stream starts a reload later than right behind the op it stands behind. Once all copies
  // are known their true times are, too: none later than planned, and memory is counted by those.
  void run_stream() {
    struct Copy {
      Time planned = 0;
      std::size_t unit = 0;
      bool back = false;
    };
    std::vector<Copy> copies;
    for (const ParkedUnit& parked : result_.parked) {
      copies.push_back({parked.out_start, parked.unit, false});
      copies.push_back({parked.back_start, parked.unit, true});
    }
    std::ranges::stable_sort(copies, {}, &Copy::planned);
    std::vector<std::size_t> away(units_.size(), 0);
    Time stream_free = 0;
    for (const Copy& copy : copies) {
      const auto behind = std::partition_point(
          line_.begin(), line_.end(), [&](const LineOp& op) { return op.end <= copy.planned; });
      const Time start =
          std::max(stream_free, behind == line_.begin() ? 0 : std::prev(behind)->end);
      stream_free = start + (copy.back ? units_[copy.unit].back : units_[copy.unit].out);
      if (!copy.back) {
        away[copy.unit] = moment_at(stream_free);
        continue;
      }
      const std::size_t back = moment_at(start + 1) - 1;  // the moment that holds `start`
      for (std::size_t moment = away[copy.unit]; moment < back; ++moment) {
        level_[moment] -= units_[copy.unit].bytes;
      }
    }
  }

  /// The first moment that begins at `time` or later.
  [[nodiscard]] std::size_t moment_at(Time time) const {
    const auto op = std::partition_point(line_.begin(), line_.end(),
                                         [&](const LineOp& at) { return at.start < time; });
    const auto index = static_cast<std::size_t>(op - line_.begin());
    return 2 * index - (index > 0 && std::prev(op)->end >= time ? 1 : 0);
  }

  [[nodiscard]] bool relieve(std::size_t moment) {
    sum_excess(moment);
    Offer best;
    Time best_score = -1;
    for (std::size_t unit = 0; unit < units_.size(); ++unit) {
      const ParkUnit& u = units_[unit];
      if (used_[unit] || 2 * u.made >= moment || 2 * u.used <= moment || u.bytes <= 0) {
        continue;
      }
      const std::optional<Offer> found = offer(unit);
      if (!found || found->from > moment || found->to <= moment) {
        continue;
      }
      const Time score = first_ == ParkFirst::kLongestLived
                             ? line_[u.used].start - line_[u.made].end
                             : over_[found->to] - over_[moment];
      if (score > best_score) {
        best = *found;
        best_score = score;
      }
    }
    if (best_score < 0) {
      return false;
    }
    apply(best);
    return true;
  }

  [[nodiscard]] std::optional<Offer> offer(std::size_t unit) const {
    const ParkUnit& u = units_[unit];
    Offer offer;
    offer.unit = unit;
    offer.out_start = stream_.earliest(line_[u.made].end, u.out);
    const Time away = offer.out_start + u.out;
    offer.back_start = stream_.latest(line_[u.used].start, u.back);
    if (offer.back_start <= away) {
      return std::nullopt;
    }
    // Away from the first moment that begins when O has ended ...
    offer.from = moment_at(away);
    // ... and there again from the end of the last op that has ended by the planned start of L.
    offer.to = back_moment(offer.back_start);
    return offer;
  }

  void sum_excess(std::size_t moment) {
    over_.resize(level_.size() + 1);
    over_[moment] = 0;
    for (std::size_t m = moment; m < level_.size(); ++m) {
      const Time next = m + 1 < level_.size() ? begin(m + 1) : line_.back().end;
      over_[m + 1] = over_[m] + (level_[m] > capacity_ ? next - begin(m) + 1 : 0);
    }
  }

  void apply(const Offer& offer) {
    const ParkUnit& u = units_[offer.unit];
    used_[offer.unit] = true;
    stream_.take(offer.out_start, u.out);
    stream_.take(offer.back_start, u.back);
    for (std::size_t m = offer.from; m < offer.to; ++m) {
      level_[m] -= u.bytes;
    }
    result_.parked.push_back({offer.unit, offer.out_start, offer.back_start});
  }

  std::span<const LineOp> line_;
  std::span<const ParkUnit> units_;
  Bytes capacity_;
  ParkFirst first_;
  std::vector<bool> used_;
  std::vector<Bytes> level_, own_level_;  // [moments] with and without what is parked
  std::vector<Time> over_;                // [moments + 1] time above the capacity before each
  Stream stream_;
  DeviceParking result_;
};

}  // namespace

DeviceParking plan_parking(std::span<const LineOp> line, std::span<const ParkUnit> units,
                           Bytes resident, Bytes capacity, ParkFirst first) {
  return Parking(line, units, resident, capacity, first).run();
}

}  // namespace stagecraft::search
