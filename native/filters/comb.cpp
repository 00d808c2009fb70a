#include "filters/comb.hpp"

#include <bit>
#include <stdexcept>

namespace velocell {

namespace {

// Bit k of a past stands for k bins before, in two words.
struct Mask {
    std::uint64_t near = 0, far = 0;
};

constexpr Mask every_period(int first) {
    Mask mask;
    for (int k = first; k <= (Comb::kPeriods - 1) * Comb::kBins; k += Comb::kBins)
        (k < 64 ? mask.near : mask.far) |= std::uint64_t{1} << k % 64;
    return mask;
}

constexpr Mask kPhase = every_period(Comb::kBins), kOpposite = every_period(Comb::kBins / 2);

}  // namespace

Comb::Comb(int width, int height, double period_us, int least)
    : width_(width),
      height_(height),
      columns_((width + kCell - 1) / kCell),
      least_(least),
      bins_per_us_(kBins / period_us),
      slot_(static_cast<std::size_t>(columns_) * ((height + kCell - 1) / kCell), -1) {}

void Comb::add_cell(int column, int row) {
    std::int32_t& slot = slot_.at(static_cast<std::size_t>(row) * columns_ + column);
    if (slot >= 0) return;
    slot = static_cast<std::int32_t>(past_.size() / (2 * kCell * kCell));
    past_.resize(past_.size() + 2 * kCell * kCell);
}

void Comb::Past::go_to(std::int64_t bin) {
    const std::int64_t gone = bin - last;
    last = bin;
    if (gone <= 0) return;
    if (gone >= 128) {
        near = far = 0;
    } else if (gone >= 64) {
        far = near << (gone - 64);
        near = 0;
    } else {
        far = far << gone | near >> (64 - gone);
        near <<= gone;
    }
}

bool Comb::repeats(const Past& past, bool polarity) const {
    const std::uint64_t near = past.near | past.near << 1 | past.near >> 1 | past.far << 63;
    const std::uint64_t far = past.far | past.far << 1 | past.far >> 1 | past.near >> 63;
    const int hits = std::popcount(near & kPhase.near) + std::popcount(far & kPhase.far);
    if (hits < least_) return false;
    // Without polarity brightening and dimming look the same.
    return !polarity || std::popcount(past.near & kOpposite.near) + std::popcount(past.far & kOpposite.far) <= hits - least_;
}

void Comb::filter(const std::int64_t* t, const std::uint16_t* x, const std::uint16_t* y, const std::uint8_t* p,
                  std::size_t n, std::uint8_t* keep) {
    for (std::size_t i = 0; i < n; ++i) {
        if (x[i] >= width_ || y[i] >= height_) throw std::out_of_range("an event lies outside the sensor");
        const std::int32_t slot = slot_[static_cast<std::size_t>(y[i] / kCell) * columns_ + x[i] / kCell];
        if (slot < 0) continue;
        const std::size_t pixel = (static_cast<std::size_t>(slot) * kCell + y[i] % kCell) * kCell + x[i] % kCell;
        Past& past = past_[2 * pixel + (p != nullptr && p[i] != 0)];
        past.go_to(static_cast<std::int64_t>(static_cast<double>(t[i]) * bins_per_us_));
        if (repeats(past, p != nullptr)) keep[i] = 0;
        past.near |= 1;
    }
}

}  // namespace velocell
