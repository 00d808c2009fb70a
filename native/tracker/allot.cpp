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

}  // namespace

Allotment::Allotment(int width, int height, const std::vector<double>& radii, std::int64_t start_us,
                     std::int64_t stop_us, const std::vector<Followed>& followed)
    : width_(width), height_(height), columns_((width + kCell - 1) / kCell),
      networks_(radii.size()), all_(radii.size() < kMost ? (std::uint64_t{1} << radii.size()) - 1 : ~std::uint64_t{0}) {
    if (width < 1 || height < 1 || width > kLargest || height > kLargest || radii.empty() || radii.size() > kMost)
        throw std::invalid_argument("an allotment needs a sensor and 1 to 64 networks");
    const int rows = (height + kCell - 1) / kCell;
    std::vector<std::array<int, 4>> places;
    for (const Followed& object : followed) {
        const double a = seconds(object.t_us, start_us), b = seconds(object.t_us, stop_us);
        const Ring ring{object.t_us, object.x, object.y, object.vx, object.vy, object.ax / 2, object.ay / 2,
                        object.least > 0 ? object.least * object.least : 0, object.most * object.most,
                        networks_of(object, radii)};
        if (!std::isfinite(ring.x + ring.vx + ring.half_ax + ring.y + ring.vy + ring.half_ay + ring.most2)) continue;
        // Where it is at three times, and half as far again as its bend takes it from a straight way.
        const auto range = [&](double at, double v, double half_a, int count) {
            const double mean = (a + b) / 2;
            const std::array<double, 3> way{at + v * a + half_a * a * a, at + v * b + half_a * b * b,
                                            at + v * mean + half_a * mean * mean};
            const auto [low, high] = std::minmax_element(way.begin(), way.end());
            const double reach = object.most + std::abs(half_a) * (b - a) * (b - a) / 4;
            const auto cell = [&](double px) {
                return static_cast<int>(std::floor(std::clamp(px, -1.0, 1e6) / kCell));
            };
            return std::array<int, 2>{std::max(cell(*low - reach), 0), std::min(cell(*high + reach), count - 1)};
        };
        const auto x = range(object.x, object.vx, ring.half_ax, columns_), y = range(object.y, object.vy, ring.half_ay, rows);
        rings_.push_back(ring);
        places.push_back({x[0], x[1], y[0], y[1]});
    }
    starts_.assign(static_cast<std::size_t>(columns_) * rows + 1, 0);
    const auto each = [&](const std::array<int, 4>& place, auto visit) {
        for (int row = place[2]; row <= place[3]; ++row)
            for (int column = place[0]; column <= place[1]; ++column)
                visit(static_cast<std::size_t>(row) * columns_ + column);
    };
    for (const auto& place : places) each(place, [&](std::size_t cell) { ++starts_[cell + 1]; });
    for (std::size_t cell = 1; cell < starts_.size(); ++cell) starts_[cell] += starts_[cell - 1];
    listed_.resize(starts_.back());
    std::vector<std::uint32_t> next(starts_.begin(), starts_.end() - 1);
    for (std::uint32_t i = 0; i < places.size(); ++i) each(places[i], [&](std::size_t cell) { listed_[next[cell]++] = i; });
}

std::uint64_t Allotment::of(std::int64_t t, int x, int y) const {
    if (x >= width_ || y >= height_) return all_;
    const std::size_t cell = static_cast<std::size_t>(y / kCell) * columns_ + x / kCell;
    std::uint64_t found = 0;
    for (std::uint32_t i = starts_[cell]; i < starts_[cell + 1]; ++i) {
        const Ring& ring = rings_[listed_[i]];
        const double s = seconds(ring.t_us, t);
        const double dx = x - (ring.x + (ring.vx + ring.half_ax * s) * s), dy = y - (ring.y + (ring.vy + ring.half_ay * s) * s);
        const double d2 = dx * dx + dy * dy;
        if (ring.least2 <= d2 && d2 <= ring.most2) found |= ring.networks;
    }
    return found != 0 ? found : all_;
}

}  // namespace velocell
