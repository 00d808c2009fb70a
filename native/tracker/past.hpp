// What is remembered of each pixel: its last event, and when the edge crossing began that it belongs to. Packed, since
// every event waits for it to come from memory; from calloc, since the system gives pages only as they are written: a
// sensor's claimed size costs nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <utility>

#include "engine/pages.hpp"
#include "model.hpp"
#include "track.hpp"

namespace velocell {

class PixelPast {
  public:
    static constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::min() / 4;

    // What was before an event of now, which is remembered in its place.
    Before meet(std::int64_t t, int p) {
        const std::uint64_t before = std::exchange(last_, (static_cast<std::uint64_t>(t) + 1) << 1 | (p == 1));
        if (before == 0) return {t - kNever, t - began_us(), p != 2};
        return {t + 1 - static_cast<std::int64_t>(before >> 1), t - began_us(), p != 2 && (before & 1) != (p == 1)};
    }

    void begin(std::int64_t t) { since_never_ = t - kNever; }
    std::int64_t began_us() const { return since_never_ + kNever; }

  private:
    std::uint64_t last_;  // (time + 1) << 1 | polarity, as in the engine's TrailFilter; 0 before the first event
    std::int64_t since_never_;
};

// Of all pixels, all zero at first.
class Pasts {
  public:
    explicit Pasts(std::size_t pixels) : pixels_(pixels), first_(allocated(pixels)) {}
    Pasts(const Pasts& other) : Pasts(other.pixels_) {
        // Page by page: one that was never written is not made here either.
        constexpr std::size_t kPage = 4096 / sizeof(PixelPast);
        static const PixelPast zeros[kPage]{};
        for (std::size_t k = 0; k < pixels_; k += kPage) {
            const std::size_t bytes = sizeof(PixelPast) * (pixels_ - k < kPage ? pixels_ - k : kPage);
            if (std::memcmp(&other[k], zeros, bytes) != 0) std::memcpy(static_cast<void*>(&(*this)[k]), &other[k], bytes);
        }
    }
    Pasts(Pasts&&) = default;
    Pasts& operator=(const Pasts&) = delete;

    PixelPast& operator[](std::size_t pixel) { return first_.get()[pixel]; }
    const PixelPast& operator[](std::size_t pixel) const { return first_.get()[pixel]; }
    std::size_t size() const { return pixels_; }

  private:
    struct Free {
        void operator()(PixelPast* memory) const { std::free(memory); }
    };
    using Memory = std::unique_ptr<PixelPast, Free>;

    static Memory allocated(std::size_t pixels) {
        Memory memory(static_cast<PixelPast*>(std::calloc(pixels, sizeof(PixelPast))));
        if (!memory) throw std::bad_alloc();
        prefer_large_pages(memory.get(), pixels * sizeof(PixelPast));
        return memory;
    }

    std::size_t pixels_;
    Memory first_;
};

}  // namespace velocell
