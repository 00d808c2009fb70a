// TrailFilter: which channels an event passes; see velocell.network.TrailFilter.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "plan.hpp"
#include "portable.hpp"

namespace velocell {

class TrailFilter {
public:
    TrailFilter(const TrailSpec& spec, std::int32_t width, std::int32_t height);
    TrailFilter(const TrailFilter& other);
    TrailFilter& operator=(const TrailFilter&) = delete;

    // Channels by rising silence: an event of rank r passes the first r of them.
    const std::vector<std::int32_t>& order() const { return order_; }

    // Asks the memory for a pixel that will soon be needed.
    void prefetch(std::uint16_t x, std::uint16_t y) const { velocell::prefetch(row(y) + x); }

    std::uint16_t rank(std::int64_t t_us, std::uint16_t x, std::uint16_t y, bool on) {
        std::uint64_t& last = row(y)[x];
        const std::uint64_t before = std::exchange(last, (static_cast<std::uint64_t>(t_us) + 1) << 1 | std::uint64_t{on});
        const std::int64_t quiet_us = t_us + 1 - static_cast<std::int64_t>(before >> 1);
        std::uint16_t rank = 0;
        for (const std::int64_t silence_us : silence_us_) rank += quiet_us >= silence_us;
        // Without branches: both outcomes are common.
        const bool passes = (before == 0) | (flips_ & ((before & 1) != std::uint64_t{on}));
        return passes ? static_cast<std::uint16_t>(silence_us_.size()) : rank;
    }

    // What is remembered of a row's pixels.
    std::uint64_t* row(std::int32_t y) { return last_.get() + static_cast<std::size_t>(y) * width_; }
    const std::uint64_t* row(std::int32_t y) const { return last_.get() + static_cast<std::size_t>(y) * width_; }

private:

    struct Free {
        void operator()(std::uint64_t* memory) const { std::free(memory); }
    };

    std::int32_t width_, height_;
    bool flips_;
    std::vector<std::int64_t> silence_us_;  // rising
    std::vector<std::int32_t> order_;
    // Per pixel (time of the last event + 1) << 1 | polarity; 0 before the first. From calloc:
    // the system gives pages as they are written.
    std::unique_ptr<std::uint64_t, Free> last_;
    std::size_t pixels() const { return static_cast<std::size_t>(width_) * height_; }
};

}  // namespace velocell
