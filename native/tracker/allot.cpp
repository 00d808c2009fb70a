#include "allot.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "fit.hpp"

namespace velocell {

namespace {

// Those between the radii, else the nearest one.
std::uint64_t networks_of(const Followed& object, const std::vector<double>& radii) {
    std::uint64_t found = 0, nearest = 0;
    double least = std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i < radii.size(); ++i) {
        const std::uint64_t bit = std::uint64_t{1} << i;
        if (object.smallest <= radii[i] && radii[i] <= object.largest) found |= bit;
        const double off = std::abs(std::log(radii[i] * radii[i] / (object.smallest * object.largest)));
        if (off < least) {
            least = off;
            nearest = bit;
        }
    }
    return found | nearest;
}

int checked(int px) {
    if (px < 1 || px > 1 << 16) throw std::invalid_argument("an allotment needs a sensor and 1 to 64 networks");
    return px;
}

}  // namespace

Allotment::Allotment(int width, int height, const std::vector<double>& radii, std::int64_t start_us,
                     std::int64_t stop_us, const std::vector<Followed>& followed)
    : width_(width), height_(height), networks_(radii.size()),
      all_(radii.size() < kMost ? (std::uint64_t{1} << radii.size()) - 1 : ~std::uint64_t{0}),
      grid_(checked(width), checked(height)) {
    if (radii.empty() || radii.size() > kMost)
        throw std::invalid_argument("an allotment needs a sensor and 1 to 64 networks");
    for (const Followed& object : followed) {
        const Ring ring{object.t_us, object.x, object.y, object.vx, object.vy, object.ax / 2, object.ay / 2,
                        object.least > 0 ? object.least * object.least : 0, object.most * object.most,
                        networks_of(object, radii)};
        if (!std::isfinite(ring.x + ring.vx + ring.half_ax + ring.y + ring.vy + ring.half_ay + ring.most2)) continue;
        grid_.enter(static_cast<int>(rings_.size()), place_of(ring, object.most, start_us, stop_us));
        rings_.push_back(ring);
    }
}

// Around where it is in the middle of that time: as far as it is then at the ends, and as its bend takes it from that.
Place Allotment::place_of(const Ring& ring, double most, std::int64_t start_us, std::int64_t stop_us) const {
    constexpr double kFar = 1e6;  // px, beyond any sensor
    const double a = seconds(ring.t_us, start_us), b = seconds(ring.t_us, stop_us), middle = (a + b) / 2;
    const double x = ring.x_at(middle), y = ring.y_at(middle);
    const double away = std::max({std::abs(ring.x_at(a) - x), std::abs(ring.x_at(b) - x), std::abs(ring.y_at(a) - y),
                                  std::abs(ring.y_at(b) - y)});
    const double bend = std::max(std::abs(ring.half_ax), std::abs(ring.half_ay)) * (b - a) * (b - a) / 4;
    return grid_.around(std::clamp(x, -kFar, kFar), std::clamp(y, -kFar, kFar), std::min(most + away + bend, kFar));
}

std::uint64_t Allotment::of(std::int64_t t, int x, int y) const {
    if (x >= width_ || y >= height_) return all_;
    std::uint64_t found = 0;
    for (const int number : grid_.at(x, y)) {
        const Ring& ring = rings_[static_cast<std::size_t>(number)];
        const double s = seconds(ring.t_us, t), dx = x - ring.x_at(s), dy = y - ring.y_at(s), d2 = dx * dx + dy * dy;
        if (ring.least2 <= d2 && d2 <= ring.most2) found |= ring.networks;
    }
    return found != 0 ? found : all_;
}

}  // namespace velocell
