// Decoded events by column, and the counter that unwraps a camera's clock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <vector>

namespace velocell {

// Columns of equal length with room for `bound` events, and for one that is written before it is counted.
struct EventColumns {
    explicit EventColumns(std::size_t bound)
        : t(new std::int64_t[bound + 1]), x(new std::uint16_t[bound + 1]), y(new std::uint16_t[bound + 1]),
          p(new std::uint8_t[bound + 1]), capacity(bound) {}

    std::unique_ptr<std::int64_t[]> t;
    std::unique_ptr<std::uint16_t[]> x, y;
    std::unique_ptr<std::uint8_t[]> p;  // 0 or 1
    std::size_t size = 0, capacity;
};

// Where the next event goes. A local copy of the columns' ends, so that the compiler keeps them in registers.
class EventCursor {
public:
    explicit EventCursor(EventColumns& events)
        : t_(events.t.get()), x_(events.x.get()), y_(events.y.get()), p_(events.p.get()), size_(events.size) {}
    void push(std::int64_t time, std::uint32_t column, std::uint32_t row, bool on) { push_if(true, time, column, row, on); }
    // Without a branch: written anyway, counted if `wanted`.
    void push_if(bool wanted, std::int64_t time, std::uint32_t column, std::uint32_t row, bool on) {
        t_[size_] = time;
        x_[size_] = static_cast<std::uint16_t>(column);
        y_[size_] = static_cast<std::uint16_t>(row);
        p_[size_] = on;
        size_ += wanted;
    }
    // Events that were written as one word each, us since `base_us` 40 bits | row 12 | polarity 1 | column 11, of which
    // the row's uppermost bit counts for nothing. One store an event instead of four, and these here are vectors.
    void unpack(const std::uint64_t* packed, std::size_t n, std::int64_t base_us) {
        std::int64_t* const t = t_ + size_;
        std::uint16_t *const x = x_ + size_, *const y = y_ + size_;
        std::uint8_t* const p = p_ + size_;
        for (std::size_t i = 0; i < n; ++i) t[i] = base_us + static_cast<std::int64_t>(packed[i] >> 24);
        for (std::size_t i = 0; i < n; ++i) x[i] = static_cast<std::uint16_t>(packed[i] & 0x7ff);
        for (std::size_t i = 0; i < n; ++i) y[i] = static_cast<std::uint16_t>(packed[i] >> 12 & 0x7ff);
        for (std::size_t i = 0; i < n; ++i) p[i] = static_cast<std::uint8_t>(packed[i] >> 11 & 1);
        size_ += n;
    }
    std::size_t size() const { return size_; }

private:
    std::int64_t* t_;
    std::uint16_t *x_, *y_;
    std::uint8_t* p_;
    std::size_t size_;
};

// What a decoder met beside events.
struct FormatCounts {
    std::int64_t wraps = 0;     // of the clock
    std::int64_t triggers = 0;  // external triggers
    std::int64_t imu = 0;       // inertial samples
    std::int64_t other = 0;     // words that are known and no events
    std::int64_t unknown = 0;   // words of no known kind
    std::int64_t unplaced = 0;  // events before the first word that tells their time, row or column
};

// What a decoder knows between two words, as plain numbers, so that another one can go on there.
using DecoderState = std::vector<std::int64_t>;

// Takes a state apart, in the order in which it was made. Refuses numbers that no decoder has: they may come from a file.
class StateReader {
public:
    explicit StateReader(const DecoderState& state) : state_(state) {}
    std::int64_t next(std::int64_t below) {
        require(at_ < state_.size() && state_[at_] >= 0 && state_[at_] < below);
        return state_[at_++];
    }
    bool flag() { return next(2) != 0; }
    void end() const { require(at_ == state_.size()); }
    static void require(bool possible) {
        if (!possible) throw std::invalid_argument("this is not the state of such a decoder");
    }

    static constexpr std::int64_t kTimes = std::int64_t{1} << 55;  // below this, sums and multiples cannot overflow

private:
    const DecoderState& state_;
    std::size_t at_ = 0;
};

// Unwraps a counter of `bits` bits. A step forward is one, however long. A step back by half a turn or
// more is a wrap; a shorter one is a step back, also by up to kNear where it crosses the turn.
class Clock {
public:
    explicit Clock(int bits) : turn_(std::int64_t{1} << bits) {}

    bool known() const { return known_; }
    void save(DecoderState& state) const { state.insert(state.end(), {base_, last_, known_}); }
    void load(StateReader& state) {
        base_ = state.next(StateReader::kTimes);
        last_ = state.next(turn_);
        known_ = state.flag();
    }
    // The unwrapped value of the reading `now`.
    std::int64_t advance(std::int64_t now, std::int64_t& wraps) {
        const std::int64_t step = now - last_;
        last_ = now;
        if (step < 0 || step > turn_ - kNear) [[unlikely]] {
            if (known_ && -step >= turn_ / 2) base_ += turn_, ++wraps;
            if (known_ && step > 0 && base_ > 0) base_ -= turn_, --wraps;
        }
        known_ = true;
        return base_ + now;
    }

private:
    static constexpr std::int64_t kNear = 16;
    std::int64_t turn_, base_ = 0, last_ = 0;
    bool known_ = false;
};

}  // namespace velocell
