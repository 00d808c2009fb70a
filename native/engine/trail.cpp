#include "trail.hpp"

#include <algorithm>
#include <numeric>

namespace velocell {

TrailFilter::TrailFilter(const TrailSpec& spec, std::int32_t width, std::int32_t height)
    : width_(width), height_(height), flips_(spec.flips), silence_us_(spec.silence_us), order_(spec.silence_us.size()) {
    std::iota(order_.begin(), order_.end(), 0);
    std::stable_sort(order_.begin(), order_.end(),
                     [&](std::int32_t a, std::int32_t b) { return spec.silence_us[a] < spec.silence_us[b]; });
    std::sort(silence_us_.begin(), silence_us_.end());
    last_.reset(static_cast<std::uint64_t*>(std::calloc(pixels(), sizeof(std::uint64_t))));
    if (!last_) throw std::bad_alloc();
}

TrailFilter::TrailFilter(const TrailFilter& other)
    : width_(other.width_),
      height_(other.height_),
      flips_(other.flips_),
      silence_us_(other.silence_us_),
      order_(other.order_),
      last_(static_cast<std::uint64_t*>(std::malloc(pixels() * sizeof(std::uint64_t)))) {
    if (!last_) throw std::bad_alloc();
    std::copy_n(other.last_.get(), pixels(), last_.get());
}

void TrailFilter::allocate() {
    constexpr std::size_t kStride = 4096 / sizeof(std::uint64_t);
    volatile std::uint64_t* last = last_.get();
    for (std::size_t i = 0; i < pixels(); i += kStride) last[i] = last[i];
}

}  // namespace velocell
