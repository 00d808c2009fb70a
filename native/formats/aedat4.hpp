// AEDAT4's events -> columns: 16 bytes each, the time 8, x 2, y 2, polarity 1 and three that are not used.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "events.hpp"

namespace velocell {

// A packet is a FlatBuffer, its length first: an identifier of four letters, and a table whose first field is a vector.
// Where the elements of that stand and how many there are; 0, 0 where there are none, and for a frame (FRME); nothing
// where the packet is damaged, is of another kind, or is too short for that many elements of `bytes_each`.
constexpr std::string_view kFrame = "FRME";  // the kind whose packets are one entry each
constexpr std::size_t kTableBytes = 4;       // of an element that is a table of its own: the way there
struct Elements {
    std::size_t first = 0, n = 0;
};
std::optional<Elements> packet_elements(const unsigned char* packet, std::size_t size, std::string_view kind,
                                        std::size_t bytes_each);

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
    std::uint64_t all_ = 0;  // the bits of all events, as they are behind their times
};

// The lead of a packet: the number of its stream, and how many bytes follow.
struct PacketLead {
    static constexpr std::size_t kBytes = 8;
    std::int32_t stream = 0, length = 0;
};
PacketLead packet_lead(const unsigned char* bytes);

}  // namespace velocell
