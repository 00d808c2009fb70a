#include "aedat4.hpp"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "words.hpp"

namespace velocell {

void PacketEvents::append(const unsigned char* bytes, std::size_t events) {
    if (columns_.capacity - columns_.size < events) {
        EventColumns larger(std::max(columns_.size + events, 2 * columns_.capacity));
        std::copy_n(columns_.t.get(), columns_.size, larger.t.get());
        std::copy_n(columns_.x.get(), columns_.size, larger.x.get());
        std::copy_n(columns_.y.get(), columns_.size, larger.y.get());
        std::copy_n(columns_.p.get(), columns_.size, larger.p.get());
        larger.size = columns_.size;
        columns_ = std::move(larger);
    }
    std::int64_t* const t = columns_.t.get() + columns_.size;
    std::uint16_t *const x = columns_.x.get() + columns_.size, *const y = columns_.y.get() + columns_.size;
    std::uint8_t* const p = columns_.p.get() + columns_.size;
    std::uint16_t all = all_;
    // In runs that stay in the first cache; column by column, which makes vectors of it.
    constexpr std::size_t kRun = 256;
    std::uint64_t rest[kRun];
    for (std::size_t first = 0; first < events; first += kRun, bytes += kRun * kBytes) {
        const std::size_t n = std::min(kRun, events - first);
        for (std::size_t i = 0; i < n; ++i) {
            t[first + i] = load<std::int64_t>(bytes + i * kBytes);
            rest[i] = load<std::uint64_t>(bytes + i * kBytes + 8);
        }
        for (std::size_t i = 0; i < n; ++i) x[first + i] = static_cast<std::uint16_t>(rest[i]);
        for (std::size_t i = 0; i < n; ++i) y[first + i] = static_cast<std::uint16_t>(rest[i] >> 16);
        for (std::size_t i = 0; i < n; ++i) p[first + i] = (rest[i] >> 32 & 0xff) != 0;
        for (std::size_t i = 0; i < n; ++i) all = static_cast<std::uint16_t>(all | x[first + i] | y[first + i]);
    }
    columns_.size += events;
    all_ = all;
}

PacketEvents::Taken PacketEvents::take() {
    // Packets are much alike: the next ones will need as much room.
    EventColumns fresh(columns_.size);
    Taken taken{std::exchange(columns_, std::move(fresh)), all_ >> 15 != 0};
    all_ = 0;
    return taken;
}

}  // namespace velocell
