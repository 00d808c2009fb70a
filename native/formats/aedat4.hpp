// AEDAT4's events -> columns: 16 bytes each, the time 8, x 2, y 2, polarity 1 and three that are not used.
#pragma once

#include <cstddef>
#include <cstdint>

#include "events.hpp"

namespace velocell {

// The events of some packets, one after the other. Each is taken up as soon as it is unpacked, while the cache has it.
class PacketEvents {
public:
    static constexpr std::size_t kBytes = 16;  // of an event

    void append(const unsigned char* bytes, std::size_t events);
    // What was taken up since the last time.
    struct Taken {
        EventColumns columns;
        bool negative;  // whether any coordinate is: as signed numbers, which they are in the file
    };
    Taken take();
    std::size_t size() const { return columns_.size; }

private:
    EventColumns columns_{0};
    std::uint16_t all_ = 0;  // the bits of all coordinates
};

}  // namespace velocell
