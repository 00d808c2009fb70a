#include "spif.hpp"

#include <algorithm>

#include "formats/words.hpp"

namespace velocell {

namespace {

std::uint32_t word_at(std::string_view packet, std::size_t at) {
    return load<std::uint32_t>(reinterpret_cast<const unsigned char*>(packet.data() + at));
}

bool has_whole_events(std::string_view packet) { return !packet.empty() && packet.size() % 8 == 0; }

bool has_time(std::uint32_t event) { return event >> 31 == 0; }

}  // namespace

std::optional<std::uint32_t> spif_end(std::string_view packet) {
    if (!has_whole_events(packet) || !has_time(word_at(packet, 0))) return std::nullopt;
    return word_at(packet, packet.size() - 4);
}

std::optional<SpifEvents> spif_in_step(const std::vector<std::string_view>& packets, std::int64_t newest_us,
                                       std::int64_t shift_us, std::int64_t far_us) {
    std::size_t n = 0;
    for (const std::string_view packet : packets) {
        if (!has_whole_events(packet)) return std::nullopt;
        n += packet.size() / 8;
    }
    SpifEvents events;
    events.t.reserve(n);
    events.x.reserve(n);
    events.y.reserve(n);
    events.p.reserve(n);
    std::int64_t now = newest_us;
    for (const std::string_view packet : packets)
        for (std::size_t at = 0; at < packet.size(); at += 8) {
            const std::uint32_t event = word_at(packet, at);
            if (!has_time(event)) return std::nullopt;
            const std::int64_t before = now;
            // A step of less than half a turn is as it looks.
            now += static_cast<std::int32_t>(word_at(packet, at + 4) - static_cast<std::uint32_t>(before));
            if (now - newest_us > far_us || newest_us - now > far_us) return std::nullopt;
            newest_us = std::max(newest_us, now);
            if (!events.t.empty() && now < before) ++events.back_steps;
            const auto x = static_cast<std::uint16_t>(event >> 16 & 0x7fff), y = static_cast<std::uint16_t>(event & 0x7fff);
            events.width = std::max(events.width, x + 1);
            events.height = std::max(events.height, y + 1);
            events.t.push_back(now + shift_us);
            events.x.push_back(x);
            events.y.push_back(y);
            events.p.push_back((event & 0x8000) != 0);
        }
    events.newest_us = newest_us;
    return events;
}

}  // namespace velocell
