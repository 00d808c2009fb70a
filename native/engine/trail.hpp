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

    // The filter without a way to what others may change meanwhile, so that a loop keeps it in registers.
    class View {
    public:
        // Asks the memory for a pixel that will soon be needed.
        void prefetch(std::uint16_t x, std::uint16_t y) const {
            velocell::prefetch(last_ + static_cast<std::size_t>(y) * width_ + x);
        }

        std::uint16_t rank(std::int64_t t_us, std::uint16_t x, std::uint16_t y, bool on) const {
            std::uint64_t& last = last_[static_cast<std::size_t>(y) * width_ + x];
            const std::uint64_t before = std::exchange(last, (static_cast<std::uint64_t>(t_us) + 1) << 1 | std::uint64_t{on});
            const std::int64_t quiet_us = t_us + 1 - static_cast<std::int64_t>(before >> 1);
            // Without branches: all three are common, and most events have one of them.
            const bool changed = flips_ & ((before & 1) != std::uint64_t{on});
            if ((before == 0) | changed | (quiet_us >= longest_us_)) return count_;
            std::uint16_t rank = 0;
            for (std::uint16_t i = 0; i < count_; ++i) rank += quiet_us >= silence_us_[i];
            return rank;
        }

    private:
        friend class TrailFilter;
        std::uint64_t* last_;
        const std::int64_t* silence_us_;
        std::int64_t longest_us_;
        std::size_t width_;
        std::uint16_t count_;
        bool flips_;
    };
    View view() {
        View view;
        view.last_ = last_.get();
        view.silence_us_ = silence_us_.data();
        view.longest_us_ = silence_us_.back();
        view.width_ = static_cast<std::size_t>(width_);
        view.count_ = static_cast<std::uint16_t>(silence_us_.size());
        view.flips_ = flips_;
        return view;
    }

    // Has the system give all pages now.
    void allocate();

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
