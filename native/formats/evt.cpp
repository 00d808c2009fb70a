#include "evt.hpp"

#include <algorithm>
#include <bit>

namespace velocell {

namespace {

// Types that EVT2 and EVT2.1 share.
enum : unsigned { kOff = 0x0, kOn = 0x1, kTimeHigh = 0x8, kTrigger = 0xA, kImu = 0xD, kOther = 0xE, kContinued = 0xF };

// No sensor has such a column: masks without a new base must not wrap around to the first ones.
constexpr std::uint32_t kBeyond = 0x8000;
constexpr std::uint32_t kRowColumnLow = 1u << 0x0 | 1u << 0x2 | 1u << 0x6;  // types of EVT3
constexpr std::uint32_t kColumns = 0x800;  // that its words of 11 bits can name
// Where the contents of those types stand in an event that waits (see EventCursor::unpack), by eight bits for each type.
constexpr std::uint64_t kField = 0xfff;
constexpr unsigned kPolarityAt = 11, kRowAt = 12, kTimeAt = 24;
constexpr std::uint64_t kPlaces = std::uint64_t{kRowAt} << 8 * 0x0 | std::uint64_t{kTimeAt} << 8 * 0x6;

void count_word(unsigned type, FormatCounts& counts) {
    switch (type) {
        case kTrigger: ++counts.triggers; break;
        case kImu: ++counts.imu; break;
        case kOther:
        case kContinued: ++counts.other; break;
        default: ++counts.unknown;
    }
}

template <bool kSwapped>
std::uint64_t load21(const unsigned char* bytes) {
    const auto word = load<std::uint64_t>(bytes);
    return kSwapped ? std::rotl(word, 32) : word;
}

}  // namespace

std::size_t Evt2Rules::bound(const unsigned char*, std::size_t words) { return words; }

void Evt2Rules::decode(const unsigned char* bytes, std::size_t words, EventColumns& events) {
    EventCursor out(events);
    std::int64_t base_us = base_us_;
    for (std::size_t i = 0; i < words; ++i) {
        const auto word = load<std::uint32_t>(bytes + 4 * i);
        const unsigned type = word >> 28;
        if (type <= kOn) {
            if (clock_.known()) [[likely]]
                out.push(base_us + (word >> 22 & 0x3f), word >> 11 & 0x7ff, word & 0x7ff, type == kOn);
            else
                ++counts.unplaced;
        } else if (type == kTimeHigh) {
            base_us = clock_.advance(word & 0xfffffff, counts.wraps) * 64;
        } else {
            count_word(type, counts);
        }
    }
    base_us_ = base_us;
    events.size = out.size();
}

template <bool kSwapped>
std::size_t Evt21Rules<kSwapped>::bound(const unsigned char* bytes, std::size_t words) {
    std::size_t events = 0;
    for (std::size_t i = 0; i < words; ++i) {
        const std::uint64_t word = load21<kSwapped>(bytes + 8 * i);
        if (word >> 60 <= kOn) events += static_cast<std::size_t>(std::popcount(static_cast<std::uint32_t>(word)));
    }
    return events;
}

template <bool kSwapped>
void Evt21Rules<kSwapped>::decode(const unsigned char* bytes, std::size_t words, EventColumns& events) {
    EventCursor out(events);
    for (std::size_t i = 0; i < words; ++i) {
        const std::uint64_t word = load21<kSwapped>(bytes + 8 * i);
        const auto type = static_cast<unsigned>(word >> 60);
        if (type <= kOn) {
            auto valid = static_cast<std::uint32_t>(word);
            if (!clock_.known()) {
                counts.unplaced += std::popcount(valid);
                continue;
            }
            const std::int64_t now_us = base_us_ + static_cast<std::int64_t>(word >> 54 & 0x3f);
            const auto x = static_cast<std::uint32_t>(word >> 43 & 0x7ff);
            const auto y = static_cast<std::uint32_t>(word >> 32 & 0x7ff);
            for (; valid != 0; valid &= valid - 1)
                out.push(now_us, x + static_cast<std::uint32_t>(std::countr_zero(valid)), y, type == kOn);
        } else if (type == kTimeHigh) {
            base_us_ = clock_.advance(static_cast<std::int64_t>(word >> 32 & 0xfffffff), counts.wraps) * 64;
        } else {
            count_word(type, counts);
        }
    }
    events.size = out.size();
}

template struct Evt21Rules<false>;
template struct Evt21Rules<true>;

std::size_t Evt3Rules::bound(const unsigned char* bytes, std::size_t words) {
    std::size_t events = 0;
    // In runs that 16 bits can count, for which vector units have most lanes.
    for (std::size_t first = 0; first < words;) {
        const std::size_t end = std::min(first + 0x8000, words);
        std::uint16_t single = 0, twelve = 0, eight = 0;
        for (; first < end; ++first) {
            const auto type = static_cast<std::uint16_t>(load<std::uint16_t>(bytes + 2 * first) & 0xf000);
            single = static_cast<std::uint16_t>(single + (type == 0x2000));
            twelve = static_cast<std::uint16_t>(twelve + (type == 0x4000));
            eight = static_cast<std::uint16_t>(eight + (type == 0x5000));
        }
        events += single + std::size_t{12} * twelve + std::size_t{8} * eight;
    }
    return events;
}

DecoderState Evt3Rules::state() const {
    const State& now = state_;
    DecoderState numbers{now.high_us, now.now_us, now.y, now.base_x, now.base_p, now.row_known, now.base_known};
    clock_.save(numbers);
    return numbers;
}

void Evt3Rules::restore(StateReader& numbers) {
    State now;
    now.high_us = numbers.next(StateReader::kTimes);
    now.now_us = numbers.next(StateReader::kTimes);
    StateReader::require(now.high_us % 4096 == 0 && now.now_us / 4096 * 4096 == now.high_us);
    now.y = static_cast<std::uint32_t>(numbers.next(0x800));
    now.base_x = static_cast<std::uint32_t>(numbers.next(kBeyond + 1));
    now.base_p = numbers.flag();
    now.row_known = numbers.flag();
    now.base_known = numbers.flag();
    clock_.load(numbers);
    state_ = now;
}

void Evt3Rules::decode(const unsigned char* bytes, std::size_t words, EventColumns& events) {
    EventCursor out(events);
    for (std::size_t first = 0; first < words; first += kRun)
        decode_run(bytes + 2 * first, std::min(kRun, words - first), out);
    events.size = out.size();
}

void Evt3Rules::decode_run(const unsigned char* bytes, std::size_t words, EventCursor& out) {
    std::uint64_t waiting[kRun * kMostEvents + 1];  // one is written before it is counted
    std::size_t n = 0;
    State now = state_;
    std::int64_t base_us = now.high_us;
    std::uint64_t here = static_cast<std::uint64_t>(now.now_us - base_us) << kTimeAt | std::uint64_t{now.y} << kRowAt;
    const auto put = [&](unsigned at, std::uint64_t content) { here = (here & ~(kField << at)) | content << at; };
    const auto flush = [&] {
        out.unpack(waiting, n, base_us);
        n = 0;
    };
    static_assert(kRun << 24 <= std::size_t{1} << (64 - kTimeAt));
    bool placed = clock_.known() && now.row_known;
    const auto mask = [&](std::uint32_t valid, std::uint32_t pixels) {
        if (!(placed && now.base_known)) {
            counts.unplaced += std::popcount(valid);
            return;
        }
        if (now.base_x + pixels <= kColumns) [[likely]] {
            const std::uint64_t first = (here & ~kField) | std::uint64_t{now.base_p} << kPolarityAt | now.base_x;
            for (; valid != 0; valid &= valid - 1)
                waiting[n++] = first + static_cast<unsigned>(std::countr_zero(valid));
        } else {  // columns that no word of a single event could name
            flush();
            const std::int64_t now_us = base_us + static_cast<std::int64_t>(here >> kTimeAt);
            for (; valid != 0; valid &= valid - 1)
                out.push(now_us, now.base_x + static_cast<std::uint32_t>(std::countr_zero(valid)),
                         static_cast<std::uint32_t>(here >> kRowAt & (kColumns - 1)), now.base_p);
        }
        now.base_x = std::min(now.base_x + pixels, kBeyond);
    };
    for (std::size_t i = 0; i < words; ++i) {
        const std::uint32_t word = load<std::uint16_t>(bytes + 2 * i);
        const std::uint32_t type = word >> 12, content = word & kField;
        // Row, column and low time come in no order that could be predicted, so their common case has no branch.
        if (placed && (kRowColumnLow >> type & 1)) [[likely]] {
            put(kPlaces >> 8 * type & 0xff, content);
            waiting[n] = here;
            n += type == 0x2;
            continue;
        }
        switch (type) {
            case 0x0:  // row; bit 11 only tells which camera of two
                put(kRowAt, content);
                now.row_known = true;
                placed = clock_.known();
                break;
            case 0x2: ++counts.unplaced; break;
            case 0x3:
                now.base_x = content & (kColumns - 1);
                now.base_p = content >> kPolarityAt != 0;
                now.base_known = true;
                break;
            case 0x4: mask(content, 12); break;
            case 0x5: mask(content & 0xff, 8); break;
            case 0x6: put(kTimeAt, content); break;
            case 0x8: {
                const bool first = !clock_.known();
                const std::int64_t high_us = clock_.advance(content, counts.wraps) * 4096;
                // The low part counts from 0 again, until the word that tells it.
                const std::uint64_t low = first || high_us != now.high_us ? 0 : here >> kTimeAt & kField;
                if (high_us < base_us) {  // a later one is near enough: each of a run's words adds a turn at most
                    flush();
                    base_us = high_us;
                }
                now.high_us = high_us;
                const std::uint64_t time = static_cast<std::uint64_t>(high_us - base_us) | low;
                here = (here & ((std::uint64_t{1} << kTimeAt) - 1)) | time << kTimeAt;
                placed = now.row_known;
                break;
            }
            case 0xA: ++counts.triggers; break;
            case 0x7:
            case 0xE:
            case 0xF: ++counts.other; break;
            default: ++counts.unknown;
        }
    }
    flush();
    now.now_us = base_us + static_cast<std::int64_t>(here >> kTimeAt);
    now.y = static_cast<std::uint32_t>(here >> kRowAt & (kColumns - 1));
    state_ = now;
}

}  // namespace velocell
