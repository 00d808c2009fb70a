#include "event_stream.hpp"

#include <algorithm>

namespace velocell {

template <bool kAtis>
bool EventStreamDecoder<kAtis>::between(unsigned char byte) {
    constexpr unsigned char kFirst = kAtis ? 0xfc : 0xfe;  // resets the reader's state, which is right already
    if (byte < kFirst) return false;
    if constexpr (kAtis)
        now_us_ += 63 * (byte & 3);
    else
        now_us_ += 127 * (byte & 1);
    return true;
}

template <bool kAtis>
void EventStreamDecoder<kAtis>::event(const unsigned char* bytes, EventCursor& out) {
    const auto x = static_cast<std::uint32_t>(bytes[1] | bytes[2] << 8);
    const auto y = static_cast<std::uint32_t>(bytes[3] | bytes[4] << 8);
    if constexpr (kAtis) {
        now_us_ += bytes[0] >> 2;
        if (bytes[0] & 1)
            ++counts_.other;
        else
            out.push(now_us_, x, y, (bytes[0] & 2) != 0);
    } else {
        now_us_ += bytes[0] >> 1;
        out.push(now_us_, x, y, (bytes[0] & 1) != 0);
    }
}

template <bool kAtis>
void EventStreamDecoder<kAtis>::feed(const unsigned char* bytes, std::size_t size, EventColumns& events) {
    EventCursor out(events);
    const unsigned char* const end = bytes + size;
    if (held_ > 0) {
        const std::size_t missing = std::min(kEvent - held_, size);
        std::copy_n(bytes, missing, carry_.data() + held_);
        held_ += missing;
        bytes += missing;
        if (held_ == kEvent) {
            event(carry_.data(), out);
            held_ = 0;
        }
    }
    while (bytes < end) {
        if (between(*bytes)) {
            ++bytes;
        } else if (static_cast<std::size_t>(end - bytes) >= kEvent) {
            event(bytes, out);
            bytes += kEvent;
        } else {
            held_ = static_cast<std::size_t>(end - bytes);
            std::copy_n(bytes, held_, carry_.data());
            break;
        }
    }
    events.size = out.size();
}

template class EventStreamDecoder<false>;
template class EventStreamDecoder<true>;

}  // namespace velocell
