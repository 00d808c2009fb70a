// Bytes that come in pieces of any length -> whole words -> events.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "events.hpp"

namespace velocell {

// All formats are little-endian.
template <typename Word>
Word load(const unsigned char* bytes) {
    Word word;
    std::memcpy(&word, bytes, sizeof word);
    if constexpr (std::endian::native == std::endian::big) {
        Word swapped = 0;
        for (std::size_t i = 0; i < sizeof word; ++i) swapped |= static_cast<Word>(Word{bytes[i]} << (8 * i));
        return swapped;
    }
    return word;
}

// `Rules` knows a format: its Word, how many events some words make at most (`bound`), and what they mean.
template <typename Rules>
class WordDecoder {
public:
    // How many events the next bytes make at most.
    std::size_t bound(const unsigned char* bytes, std::size_t size) const;
    // Appends the events of the next bytes, for which there must be room. A word that is cut off waits for
    // the next call.
    void feed(const unsigned char* bytes, std::size_t size, EventColumns& events);
    std::size_t held() const { return held_; }
    const FormatCounts& counts() const { return rules_.counts; }
    // Without the bytes that wait: who goes on there feeds them again.
    DecoderState state() const { return rules_.state(); }
    void restore(const DecoderState& state) {
        StateReader reader(state);
        rules_.restore(reader);
        reader.end();
        held_ = 0;
    }

private:
    static constexpr std::size_t kWord = sizeof(typename Rules::Word);
    // How many bytes complete the word that waits.
    std::size_t missing(std::size_t size) const { return held_ == 0 ? 0 : std::min(kWord - held_, size); }

    Rules rules_;
    std::array<unsigned char, 8> carry_{};
    std::size_t held_ = 0;
};

template <typename Rules>
std::size_t WordDecoder<Rules>::bound(const unsigned char* bytes, std::size_t size) const {
    const std::size_t first = missing(size);
    return (held_ == 0 ? 0 : Rules::kMostEvents) + Rules::bound(bytes + first, (size - first) / kWord);
}

template <typename Rules>
void WordDecoder<Rules>::feed(const unsigned char* bytes, std::size_t size, EventColumns& events) {
    if (held_ > 0) {
        const std::size_t first = missing(size);
        std::copy_n(bytes, first, carry_.data() + held_);
        held_ += first;
        bytes += first;
        size -= first;
        if (held_ < kWord) return;
        rules_.decode(carry_.data(), 1, events);
    }
    const std::size_t words = size / kWord;
    rules_.decode(bytes, words, events);
    held_ = size - words * kWord;
    std::copy_n(bytes + words * kWord, held_, carry_.data());
}

}  // namespace velocell
