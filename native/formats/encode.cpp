#include "encode.hpp"

#include <algorithm>

namespace velocell {

namespace {

template <typename Word>
void put(Word word, std::string& bytes) {
    char out[sizeof word];
    for (std::size_t i = 0; i < sizeof word; ++i) out[i] = static_cast<char>(word >> (8 * i) & 0xff);
    bytes.append(out, sizeof word);
}

}  // namespace

template <typename Tell>
void HighPart::go_to(std::int64_t high, Tell&& tell) {
    if (now_ < 0) tell(now_ = high);
    while (now_ < high) {
        // Some readers see a wrap only between the last and the first readings of a turn.
        const std::int64_t last = now_ | (turn_ - 1);
        now_ = now_ == last ? now_ + 1 : std::min({high, last, now_ + turn_ / 2});
        tell(now_ & (turn_ - 1));
    }
}

void Evt2Encoder::feed(const EventColumnsView& events, std::string& bytes) {
    bytes.reserve(bytes.size() + 4 * events.size + events.size);
    for (std::size_t i = 0; i < events.size; ++i) {
        high_.go_to(events.t[i] >> 6, [&](std::int64_t high) {
            put(static_cast<std::uint32_t>(0x80000000u | static_cast<std::uint32_t>(high)), bytes);
        });
        const std::uint32_t type = events.p[i] != 0, low = events.t[i] & 0x3f;
        put(type << 28 | low << 22 | std::uint32_t{events.x[i]} << 11 | events.y[i], bytes);
    }
}

void Evt3Encoder::feed(const EventColumnsView& events, std::string& bytes) {
    const auto word = [&](std::int64_t type, std::int64_t content) {
        put(static_cast<std::uint16_t>(type << 12 | content), bytes);
    };
    bytes.reserve(bytes.size() + 6 * events.size);
    for (std::size_t i = 0; i < events.size; ++i) {
        if (events.t[i] != t_us_) {
            high_.go_to(events.t[i] >> 12, [&](std::int64_t high) { word(0x8, high); });
            t_us_ = events.t[i];
            word(0x6, t_us_ & 0xfff);
        }
        if (events.y[i] != y_) word(0x0, y_ = events.y[i]);
        word(0x2, (events.p[i] != 0) << 11 | events.x[i]);
    }
}

void Dat2Encoder::feed(const EventColumnsView& events, std::string& bytes) {
    bytes.reserve(bytes.size() + 8 * events.size);
    for (std::size_t i = 0; i < events.size; ++i) {
        put(static_cast<std::uint32_t>(events.t[i] & 0xffffffff), bytes);
        const std::uint32_t on = events.p[i] != 0;
        put(on << 28 | std::uint32_t{events.y[i]} << 14 | events.x[i], bytes);
    }
}

}  // namespace velocell
