// Prophesee's EVT2, EVT2.1 and EVT3 words -> events.
//
// EVT2, 32 bits: type 4 | low time 6 | x 11 | y 11; the high 28 bits of the time come in words of their own.
// EVT2.1, 64 bits: the same, x being the first of 32 pixels, which a mask tells in the lower half.
// EVT3, 16 bits: type 4 | content 12; time high, time low, row, column and masks each in a word of its own.
#pragma once

#include <cstddef>
#include <cstdint>

#include "words.hpp"

namespace velocell {

struct Evt2Rules {
    using Word = std::uint32_t;
    static constexpr std::size_t kMostEvents = 1;  // of one word
    static std::size_t bound(const unsigned char* bytes, std::size_t words);
    void decode(const unsigned char* bytes, std::size_t words, EventColumns& events);
    DecoderState state() const {
        DecoderState numbers{base_us_};
        clock_.save(numbers);
        return numbers;
    }
    void restore(StateReader& numbers) {
        base_us_ = numbers.next(StateReader::kTimes);
        clock_.load(numbers);
    }
    FormatCounts counts;

private:
    Clock clock_{28};
    std::int64_t base_us_ = 0;
};

// `kSwapped`: the older order, upper half first.
template <bool kSwapped>
struct Evt21Rules {
    using Word = std::uint64_t;
    static constexpr std::size_t kMostEvents = 32;  // of one word
    static std::size_t bound(const unsigned char* bytes, std::size_t words);
    void decode(const unsigned char* bytes, std::size_t words, EventColumns& events);
    DecoderState state() const {
        DecoderState numbers{base_us_};
        clock_.save(numbers);
        return numbers;
    }
    void restore(StateReader& numbers) {
        base_us_ = numbers.next(StateReader::kTimes);
        clock_.load(numbers);
    }
    FormatCounts counts;

private:
    Clock clock_{28};
    std::int64_t base_us_ = 0;
};

struct Evt3Rules {
    using Word = std::uint16_t;
    static constexpr std::size_t kMostEvents = 12;  // of one word
    static std::size_t bound(const unsigned char* bytes, std::size_t words);
    void decode(const unsigned char* bytes, std::size_t words, EventColumns& events);
    DecoderState state() const;
    void restore(StateReader& numbers);
    FormatCounts counts;

private:
    struct State {
        std::int64_t high_us = 0, now_us = 0;
        std::uint32_t y = 0, base_x = 0;
        bool base_p = false, row_known = false, base_known = false;
    };
    static constexpr std::size_t kRun = 256;  // words whose events wait together: they stay in the first cache

    void decode_run(const unsigned char* bytes, std::size_t words, EventCursor& out);

    Clock clock_{12};
    State state_;
};

using Evt2Decoder = WordDecoder<Evt2Rules>;
using Evt21Decoder = WordDecoder<Evt21Rules<false>>;
using Evt21SwappedDecoder = WordDecoder<Evt21Rules<true>>;
using Evt3Decoder = WordDecoder<Evt3Rules>;

}  // namespace velocell
