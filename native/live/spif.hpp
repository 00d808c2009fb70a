// SPIF words, as `live/spif.py` has them: the usual case, packets of one sender that go on in step, all at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace velocell {

struct SpifEvents {
    std::vector<std::int64_t> t;
    std::vector<std::uint16_t> x, y;
    std::vector<std::uint8_t> p;  // 0 and 1
    std::int64_t newest_us;       // the sender's
    std::int64_t back_steps = 0;
    std::int32_t width = 0, height = 0;  // of what holds all events
};

// The time of a packet's last event; none where its events have no times.
std::optional<std::uint32_t> spif_end(std::string_view packet);

// Times are unwrapped from `newest_us` on, the sender's newest so far, and shifted. None where a packet is not one of
// whole events with times, or a time is more than `far_us` from the newest before it.
std::optional<SpifEvents> spif_in_step(const std::vector<std::string_view>& packets, std::int64_t newest_us,
                                       std::int64_t shift_us, std::int64_t far_us);

}  // namespace velocell
