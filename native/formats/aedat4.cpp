#include "aedat4.hpp"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "words.hpp"

namespace velocell {

namespace {

// Numbers at places that the packet itself names; `good` turns false outside of it.
class Packet {
public:
    Packet(const unsigned char* bytes, std::size_t size) : bytes_(bytes), size_(static_cast<std::int64_t>(size)) {}
    template <typename Number>
    std::int64_t at(std::int64_t place) {
        if (place < 0 || place > size_ - static_cast<std::int64_t>(sizeof(Number))) {
            good = false;
            return 0;
        }
        return static_cast<std::int64_t>(load<Number>(bytes_ + place));
    }
    bool good = true;

private:
    const unsigned char* bytes_;
    std::int64_t size_;
};

}  // namespace

std::optional<Elements> packet_elements(const unsigned char* bytes, std::size_t size, std::string_view kind,
                                        std::size_t bytes_each) {
    const std::string_view all(reinterpret_cast<const char*>(bytes), size);
    if (size < 8 || all.substr(8, 4) != kind) return std::nullopt;
    if (kind == kFrame) return Elements{};  // its first field is no vector
    // Places are sums of at most three numbers of 32 bits: no overflow.
    Packet packet(bytes, size);
    const std::int64_t table = 4 + packet.at<std::uint32_t>(4);
    const std::int64_t fields = table - static_cast<std::int32_t>(packet.at<std::uint32_t>(table));
    const std::int64_t length = packet.at<std::uint16_t>(fields);
    if (!packet.good) return std::nullopt;
    if (length < 6) return Elements{};  // the table has no first field
    const std::int64_t offset = packet.at<std::uint16_t>(fields + 4);
    if (!packet.good) return std::nullopt;
    if (offset == 0) return Elements{};
    const std::int64_t vector = table + offset + packet.at<std::uint32_t>(table + offset);
    const auto n = static_cast<std::uint64_t>(packet.at<std::uint32_t>(vector));
    if (!packet.good) return std::nullopt;
    const std::uint64_t first = static_cast<std::uint64_t>(vector) + 4;
    if (n != 0 && n * bytes_each > size - first) return std::nullopt;
    return Elements{static_cast<std::size_t>(first), static_cast<std::size_t>(n)};
}

PacketLead packet_lead(const unsigned char* bytes) {
    return {static_cast<std::int32_t>(load<std::uint32_t>(bytes)), static_cast<std::int32_t>(load<std::uint32_t>(bytes + 4))};
}

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
    std::uint64_t all = all_;
    // In runs that stay in the first cache; column by column, which makes vectors of it.
    constexpr std::size_t kRun = 64;
    std::uint64_t rest[kRun];
    std::uint16_t on[kRun];  // of the width of the coordinates: from eight bytes to one, GCC makes no vectors
    for (std::size_t first = 0; first < events; first += kRun, bytes += kRun * kBytes) {
        const std::size_t n = std::min(kRun, events - first);
        for (std::size_t i = 0; i < n; ++i) {
            t[first + i] = load<std::int64_t>(bytes + i * kBytes);
            rest[i] = load<std::uint64_t>(bytes + i * kBytes + 8);
            all |= rest[i];
        }
        for (std::size_t i = 0; i < n; ++i) x[first + i] = static_cast<std::uint16_t>(rest[i]);
        for (std::size_t i = 0; i < n; ++i) y[first + i] = static_cast<std::uint16_t>(rest[i] >> 16);
        for (std::size_t i = 0; i < n; ++i) on[i] = static_cast<std::uint16_t>(rest[i] >> 32 & 0xff);
        for (std::size_t i = 0; i < n; ++i) p[first + i] = on[i] != 0;
    }
    columns_.size += events;
    all_ = all;
}

PacketEvents::Taken PacketEvents::take() {
    // Packets are much alike: the next ones will need as much room, or a little more.
    EventColumns fresh(columns_.size + columns_.size / 8);
    Taken taken{std::exchange(columns_, std::move(fresh)), ((all_ | all_ >> 16) & 0x8000) != 0};
    all_ = 0;
    return taken;
}

}  // namespace velocell
