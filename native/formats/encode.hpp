// Events -> Prophesee's EVT2, EVT3 and DAT (version 2) words, little-endian.
//
// Times must not go back, coordinates must fit (11 bits; DAT: 14). The caller takes from all times a multiple
// of the clock's turn, so that the first lies in the first turn; of later turns the words tell, except in DAT, whose
// clock wraps silently: there, two events must be less than half a turn apart.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace velocell {

struct EventColumnsView {
    const std::int64_t* t;
    const std::uint16_t *x, *y;
    const std::uint8_t* p;
    std::size_t size;
};

// The readings of a clock's high part on the way to a time: the next one, and no step of more than half a turn.
class HighPart {
public:
    explicit HighPart(int bits) : turn_(std::int64_t{1} << bits) {}
    template <typename Tell>
    void go_to(std::int64_t high, Tell&& tell);

private:
    std::int64_t turn_, now_ = -1;
};

class Evt2Encoder {
public:
    void feed(const EventColumnsView& events, std::string& bytes);

private:
    HighPart high_{28};
};

class Evt3Encoder {
public:
    void feed(const EventColumnsView& events, std::string& bytes);

private:
    HighPart high_{12};
    std::int64_t t_us_ = -1;
    std::int32_t y_ = -1;
};

class Dat2Encoder {
public:
    void feed(const EventColumnsView& events, std::string& bytes);
};

}  // namespace velocell
