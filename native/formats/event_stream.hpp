// Event Stream (.es), version 2 -> events. A byte of 0xff (DVS), or 0xfd to 0xff (ATIS), lengthens the time to the
// next event; any other starts an event of 5 bytes: time since the event before and two flags, x 16 bits, y 16 bits.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "events.hpp"

namespace velocell {

// ATIS streams also hold threshold crossings, which measure exposure: counted as `other`. y counts upwards.
template <bool kAtis>
class EventStreamDecoder {
public:
    std::size_t bound(const unsigned char*, std::size_t size) const { return (held_ + size) / kEvent; }
    // Appends the events of the next bytes. An event that is cut off waits for the next call.
    void feed(const unsigned char* bytes, std::size_t size, EventColumns& events);
    std::size_t held() const { return held_; }
    const FormatCounts& counts() const { return counts_; }
    DecoderState state() const { return {now_us_}; }
    void restore(const DecoderState& state) {
        StateReader reader(state);
        now_us_ = reader.next(StateReader::kTimes);
        reader.end();
        held_ = 0;
    }

private:
    static constexpr std::size_t kEvent = 5;
    // Whether a byte between events is none's first byte; it may lengthen the time.
    bool between(unsigned char byte);
    void event(const unsigned char* bytes, EventCursor& out);

    FormatCounts counts_;
    std::int64_t now_us_ = 0;
    std::array<unsigned char, kEvent> carry_{};
    std::size_t held_ = 0;
};

using DvsStreamDecoder = EventStreamDecoder<false>;
using AtisStreamDecoder = EventStreamDecoder<true>;

}  // namespace velocell
