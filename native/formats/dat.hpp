// Prophesee's DAT entries -> events. 64 bits: time in us 32 | address 32.
#pragma once

#include <cstddef>
#include <cstdint>

#include "words.hpp"

namespace velocell {

// Version 1: x 9 bits, y 8 bits, polarity 1 bit. Version 2: x 14, y 14, polarity 4, of which the lowest counts.
template <int kVersion>
struct DatRules {
    using Word = std::uint64_t;
    static constexpr std::size_t kMostEvents = 1;  // of one word
    static std::size_t bound(const unsigned char* bytes, std::size_t words);
    void decode(const unsigned char* bytes, std::size_t words, EventColumns& events);
    DecoderState state() const {
        DecoderState numbers;
        clock_.save(numbers);
        return numbers;
    }
    void restore(StateReader& numbers) { clock_.load(numbers); }
    FormatCounts counts;

private:
    Clock clock_{32};
};

using Dat1Decoder = WordDecoder<DatRules<1>>;
using Dat2Decoder = WordDecoder<DatRules<2>>;

}  // namespace velocell
