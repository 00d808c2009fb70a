// Decay: the factor (1 - a)^-n of the event-driven form, exact for every tick n.
//
//     (1 - a)^-n = 2^(n L),    L = -log2(1 - a) as a 64.64 fixed-point number
//
// n L is a product of integers, so nothing accumulates: after an hour or a year two neighbouring
// ticks still have the ratio 1 / (1 - a) to the last bit of a double. Membranes are kept relative
// to 2^(96 period) with period = floor(n L / 96); moving to another period multiplies by a power
// of two, which is exact, so when it happens changes nothing.
#pragma once

#include <cmath>
#include <cstdint>

#include "portable.hpp"

namespace velocell {

class Decay {
public:
    static constexpr int kPeriodBits = 96;

    // 2^(96 period) * scale, 1 <= scale < 2^96
    struct Factor {
        std::int64_t period;
        double scale;
    };

    explicit Decay(float a) : memoryless_(a >= 1.0F) {
        if (memoryless_) return;
        const double precise = static_cast<double>(a);
        // 1 - a is exact in a double unless a is tiny.
        const double rate = precise > 0x1p-20 ? -std::log2(1.0 - precise) : -std::log1p(-precise) / kLn2;
        const double whole = std::floor(rate);
        whole_ = static_cast<std::uint64_t>(whole);
        part_ = static_cast<std::uint64_t>(std::ldexp(rate - whole, 64));
    }

    // a = 1: nothing is left of a tick in the next one.
    bool memoryless() const { return memoryless_; }

    Factor at(std::int64_t tick) const {
        const auto n = static_cast<std::uint64_t>(tick);
        const std::uint64_t whole = whole_ * n + high_product(part_, n), part = part_ * n;
        const double fraction = std::ldexp(static_cast<double>(part >> 11), -53);
        return {static_cast<std::int64_t>(whole / kPeriodBits),
                std::ldexp(exp2(fraction), static_cast<int>(whole % kPeriodBits))};
    }

private:
    static constexpr double kLn2 = 0.693147180559945309417;

    // Taylor's series for 0 <= f < 1, to the last bits of a double. Not std::exp2, whose last bit
    // depends on the machine.
    static double exp2(double f) {
        const double z = f * kLn2;
        double sum = 1.0;
        for (int n = 18; n > 0; --n) sum = 1.0 + sum * z / n;
        return sum;
    }

    bool memoryless_;
    std::uint64_t whole_ = 0, part_ = 0;  // L
};

}  // namespace velocell
