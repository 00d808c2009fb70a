#include "dat.hpp"

namespace velocell {

template <int kVersion>
std::size_t DatRules<kVersion>::bound(const unsigned char*, std::size_t words) {
    return words;
}

template <int kVersion>
void DatRules<kVersion>::decode(const unsigned char* bytes, std::size_t words, EventColumns& events) {
    EventCursor out(events);
    Clock clock = clock_;
    std::int64_t wraps = 0;
    for (std::size_t i = 0; i < words; ++i) {
        const auto word = load<std::uint64_t>(bytes + 8 * i);
        const std::int64_t now_us = clock.advance(static_cast<std::int64_t>(word & 0xffffffff), wraps);
        const auto address = static_cast<std::uint32_t>(word >> 32);
        if constexpr (kVersion == 1)
            out.push(now_us, address & 0x1ff, address >> 9 & 0xff, (address >> 17 & 1) != 0);
        else
            out.push(now_us, address & 0x3fff, address >> 14 & 0x3fff, (address >> 28 & 1) != 0);
    }
    clock_ = clock;
    counts.wraps += wraps;
    events.size = out.size();
}

template struct DatRules<1>;
template struct DatRules<2>;

}  // namespace velocell
