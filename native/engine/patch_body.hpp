// The functions of PatchOps over vectors of kLanes floats. Included by one file per instruction
// set, inside namespace velocell and an anonymous namespace; see patch.hpp for what must hold.

#include "lanes.hpp"

static_assert(kLines * kPitch <= 1 << 16 && kColumns == 8 * sizeof(Line) && kSide == 4 && kSide == 1 << kSideBits);

// I += patch, in columns of `lines` blocks.
template <int kLinesAtOnce>
inline void add_lines(float* currents, const float* weights, std::int32_t columns, std::ptrdiff_t pitch) {
    for (std::int32_t column = 0; column < columns; ++column, currents += kBlock, weights += pitch)
        for (int line = 0; line < kLinesAtOnce; ++line)
            for (int i = 0; i < kBlock; i += kLanes) {
                float* const to = currents + line * kPitch * kBlock + i;
                Lanes::store(to, Lanes::load(to) + Lanes::load(weights + line * kBlock + i));
            }
}

inline void add_blocks(float* currents, const float* weights, std::int32_t columns, std::int32_t lines, std::ptrdiff_t pitch) {
    constexpr int kMost = 8;
    for (; lines > kMost; lines -= kMost, currents += kMost * kPitch * kBlock, weights += kMost * kBlock)
        add_lines<kMost>(currents, weights, columns, pitch);
    switch (lines) {
        case 1: add_lines<1>(currents, weights, columns, pitch); break;
        case 2: add_lines<2>(currents, weights, columns, pitch); break;
        case 3: add_lines<3>(currents, weights, columns, pitch); break;
        case 4: add_lines<4>(currents, weights, columns, pitch); break;
        case 5: add_lines<5>(currents, weights, columns, pitch); break;
        case 6: add_lines<6>(currents, weights, columns, pitch); break;
        case 7: add_lines<7>(currents, weights, columns, pitch); break;
        default: add_lines<8>(currents, weights, columns, pitch); break;
    }
}

// Where a patch goes.
struct Place {
    std::int32_t column, line;  // of its first block
    const float* weights;
    std::ptrdiff_t marks;  // the first of its own
};

inline Place place_patch(std::int32_t x, std::int32_t y, const Patch& patch, std::int32_t lines, std::int32_t pattern) {
    const std::int32_t left = x + patch.left, top = y + patch.top, beginning = left & (kSide - 1), above = top & (kSide - 1);
    return {left >> kSideBits, top >> kSideBits,
            patch.weights + (pattern * kSide + beginning) * patch.shift + (kSide - 1 - above) * kSide,
            static_cast<std::ptrdiff_t>((pattern * kSide + above) * kSide + beginning) * lines};
}

// A line's marks where the first block is that column.
inline Line shifted(Line marks, std::int32_t column) { return column < 0 ? marks >> -column : marks << column; }

// Patches that fit the margin.
template <int kLinesAtOnce>
void add_whole(const Extent& tile, const Event* events, const Event* end, const Patch& given, Buffer& buffer) {
    const Patch patch = given;  // nothing that is written can be part of it
    Line* const lines = buffer.touched.lines();
    float* const currents = buffer.currents;
    const std::int32_t tile_x = tile.x, tile_y = tile.y;
    for (; events < end; ++events) {
        const std::int32_t pattern = events->pattern;
        const Place place = place_patch(events->x - tile_x, events->y - tile_y, patch, kLinesAtOnce, pattern);
        const Line* const marks = patch.marks + place.marks;
        if (static_cast<std::uint32_t>(place.column) < std::uint32_t{kColumns}) [[likely]]
            for (int i = 0; i < kLinesAtOnce; ++i) lines[place.line + i] |= marks[i] << place.column;
        else if (place.column < 0)
            for (int i = 0; i < kLinesAtOnce; ++i) lines[place.line + i] |= marks[i] >> -place.column;
        add_lines<kLinesAtOnce>(currents + (place.line * kPitch + place.column) * kBlock, place.weights, patch.columns[pattern],
                                patch.column);
    }
}

// Of larger ones, what reaches into the tile.
void add_cut(const Extent& tile, const Event* events, const Event* end, const Patch& patch, Buffer& buffer) {
    for (; events < end; ++events) {
        const Place place = place_patch(events->x - tile.x, events->y - tile.y, patch, patch.lines, events->pattern);
        const std::int32_t columns = patch.columns[events->pattern];
        const std::int32_t first = place.column < 0 ? -place.column : 0, begin = place.line < 0 ? -place.line : 0;
        const std::int32_t last = kColumns - place.column < columns ? kColumns - place.column : columns;
        const std::int32_t stop = kLines - place.line < patch.lines ? kLines - place.line : patch.lines;
        if (first >= last || begin >= stop) continue;
        const std::int32_t at = place.column + first;
        const Line within = ~Line{0} >> (kColumns - (last - first)) << at;
        for (std::int32_t i = begin; i < stop; ++i) {
            buffer.touched.lines()[place.line + i] |=
                patch.marks == nullptr ? within : shifted(patch.marks[place.marks + i], place.column) & within;
        }
        add_blocks(buffer.currents + ((place.line + begin) * kPitch + at) * kBlock,
                   place.weights + first * patch.column + begin * kBlock, last - first,
                   stop - begin, patch.column);
    }
}

inline void add_patch(const Extent& tile, const Event* events, const Event* end, const Patch& patch, Buffer& buffer) {
    buffer.active = true;
    switch (patch.small ? patch.lines : 0) {
        case 1: return add_whole<1>(tile, events, end, patch, buffer);
        case 2: return add_whole<2>(tile, events, end, patch, buffer);
        case 3: return add_whole<3>(tile, events, end, patch, buffer);
        case 4: return add_whole<4>(tile, events, end, patch, buffer);
        case 5: return add_whole<5>(tile, events, end, patch, buffer);
        case 6: return add_whole<6>(tile, events, end, patch, buffer);
        case 7: return add_whole<7>(tile, events, end, patch, buffer);
        case 8: return add_whole<8>(tile, events, end, patch, buffer);
        default: return add_cut(tile, events, end, patch, buffer);
    }
}

// Those that drive the same patches one after the other, patch by patch.
void add(const Extent& tile, const Event* events, std::size_t count, const Patch* patches, const std::uint32_t* first,
         Buffer* buffers) {
    for (const Event* const stop = events + count; events < stop;) {
        const std::uint32_t code = events->code;
        const Event* end = events + 1;
        while (end < stop && end->code == code) ++end;
        for (std::uint32_t j = first[code]; j < first[code + 1]; ++j)
            add_patch(tile, events, end, patches[j], buffers[patches[j].buffer]);
        events = end;
    }
}

inline std::int32_t within_block(std::int32_t left) { return left < 0 ? 0 : left < kSide ? left : kSide; }

// Resets the pixels of a block that are above the threshold and writes those on the sensor. May
// write up to kBlock values beyond them.
inline std::uint32_t* fire(const Extent& tile, std::uint32_t block, std::uint32_t fired, const Channel& channel,
                           std::uint32_t* spikes) {
    float* const s = channel.membranes + block * kBlock;
    const auto x = static_cast<std::int32_t>(block % kPitch) * kSide, y = static_cast<std::int32_t>(block / kPitch) * kSide;
    // Those within the sensor: of each row as many lanes as columns are left, of the block as many rows.
    const std::int32_t across = within_block(tile.width - x), down = within_block(tile.height - y);
    const std::uint32_t owned = 0x1111u * ((1u << across) - 1) & ((1u << kSide * down) - 1);
    const std::uint32_t first = static_cast<std::uint32_t>(tile.y + y) << 16 | static_cast<std::uint32_t>(tile.x + x);
#if defined(__AVX512F__) && defined(VELOCELL_GNU)
    _mm512_mask_storeu_ps(s, static_cast<__mmask16>(fired), _mm512_set1_ps(channel.reset));
    fired &= owned;
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 0x10000, 0x10001, 0x10002, 0x10003, 0x20000, 0x20001, 0x20002,
                                            0x20003, 0x30000, 0x30001, 0x30002, 0x30003);
    const __m512i pixels = _mm512_add_epi32(lanes, _mm512_set1_epi32(static_cast<int>(first)));
    _mm512_storeu_si512(spikes, _mm512_maskz_compress_epi32(static_cast<__mmask16>(fired), pixels));
    return spikes + ones(fired);
#else
    for (; fired != 0; fired &= fired - 1) {
        const std::int32_t lane = lowest(fired);
        s[lane] = channel.reset;
        *spikes = first + (static_cast<std::uint32_t>(lane / kSide) << 16 | static_cast<std::uint32_t>(lane % kSide));
        spikes += owned >> lane & 1;
    }
    return spikes;
#endif
}

// S += weight * I in the listed blocks, I the sum of kBuffers buffers (0: of any number); spikes and resets. kCleared:
// a bit for each buffer that no other channel needs, which becomes zero.
template <int kBuffers, unsigned kCleared, bool kMemoryless>
inline std::uint32_t* update_blocks(const Extent& tile, const std::uint16_t* blocks, std::size_t count,
                                    const Channel& channel, std::uint32_t* spikes) {
    const auto weight = Lanes::all(channel.weight), threshold = Lanes::all(channel.threshold);
    float* currents[kBuffers + 1];
    for (int b = 0; b < kBuffers; ++b) currents[b] = channel.buffers[b]->currents;
    const int buffers = kBuffers > 0 ? kBuffers : static_cast<int>(channel.buffer_count);
    const auto current_of = [&](int b) { return kBuffers > 0 ? currents[b] : channel.buffers[b]->currents; };
    float* const membranes = channel.membranes;
    for (std::size_t k = 0; k < count; ++k) {
        const std::uint32_t at = blocks[k] * kBlock;
        Fired found;
        for (int i = 0; i < kBlock; i += kLanes) {
            Floats current = Lanes::load(current_of(0) + at + i);
            for (int b = 1; b < buffers; ++b) current += Lanes::load(current_of(b) + at + i);
            for (int b = 0; b < kBuffers; ++b)
                if (kCleared >> b & 1) Lanes::store(currents[b] + at + i, Floats{});
            Floats sum = weight * current;
            if constexpr (!kMemoryless) sum = Lanes::load(membranes + at + i) + sum;
            found.compare(i, sum, threshold);
            Lanes::store(membranes + at + i, sum);
        }
        if (const std::uint32_t fired = found.bits(); fired != 0) [[unlikely]]
            spikes = fire(tile, blocks[k], fired, channel, spikes);
    }
    if (kBuffers == 0)
        for (int b = 0; b < buffers; ++b)
            if (channel.buffers[b]->last == channel.number)
                for (std::size_t k = 0; k < count; ++k)
                    for (int i = 0; i < kBlock; i += kLanes) Lanes::store(current_of(b) + blocks[k] * kBlock + i, Floats{});
    return spikes;
}

template <int kBuffers, unsigned kCleared = 0>
inline std::uint32_t* update_some(const Extent& tile, const std::uint16_t* blocks, std::size_t count, const Channel& channel,
                                  unsigned cleared, std::uint32_t* spikes) {
    if constexpr (kCleared >> kBuffers == 0) {
        if (cleared == kCleared) return update_blocks<kBuffers, kCleared, false>(tile, blocks, count, channel, spikes);
        return update_some<kBuffers, kCleared + 1>(tile, blocks, count, channel, cleared, spikes);
    }
    return spikes;
}

inline std::uint32_t* update_channel(const Extent& tile, const std::uint16_t* blocks, std::size_t count, const Channel& channel,
                                     std::uint32_t* spikes) {
    if (channel.memoryless) return update_blocks<0, 0, true>(tile, blocks, count, channel, spikes);
    unsigned cleared = 0;
    for (std::size_t b = 0; b < channel.buffer_count && b < 3; ++b) cleared |= (channel.buffers[b]->last == channel.number) << b;
    switch (channel.buffer_count) {
        case 1: return update_some<1>(tile, blocks, count, channel, cleared, spikes);
        case 2: return update_some<2>(tile, blocks, count, channel, cleared, spikes);
        case 3: return update_some<3>(tile, blocks, count, channel, cleared, spikes);
        default: return update_blocks<0, 0, false>(tile, blocks, count, channel, spikes);
    }
}

inline void merge(Marks& into, const Marks& marks) {
    for (int i = 0; i < kLines; ++i) into.lines()[i] |= marks.lines()[i];
}

// Of each byte, its bits' numbers.
struct Numbers {
    alignas(64) std::uint16_t of[256][8];
};
constexpr Numbers numbers_of_bits() {
    Numbers numbers{};
    for (int byte = 0; byte < 256; ++byte)
        for (int bit = 0, n = 0; bit < 8; ++bit)
            if (byte >> bit & 1) numbers.of[byte][n++] = static_cast<std::uint16_t>(bit);
    return numbers;
}
constexpr Numbers kNumbers = numbers_of_bits();

// Blocks by number, line by line.
struct Blocks {
    std::size_t count;
    std::uint16_t at[kLines * kColumns + 8];  // what `list` may write beyond their end

    void list(const Marks& marks) {
        count = 0;
        for (std::int32_t line = 0; line < kLines; ++line) {
            if (marks.lines()[line] == 0) continue;
            for (std::int32_t column = 0; column < kColumns; column += 8) {
                const auto byte = static_cast<std::uint32_t>(marks.lines()[line] >> column & 0xff);
                const auto first = static_cast<std::uint16_t>(line * kPitch + column);
                for (int i = 0; i < 8; ++i) at[count + i] = static_cast<std::uint16_t>(first + kNumbers.of[byte][i]);
                count += static_cast<std::size_t>(ones(byte));
            }
        }
    }
};

// The blocks of a channel: those of all, unless these are many more than needed. (Where a current is zero an update
// changes nothing, and a list of its own costs as much as some dozens of updates.)
inline const Blocks& blocks_of(const Channel& channel, std::size_t active_count, const Blocks& all, Blocks& own) {
    if (channel.buffer_count == active_count) return all;
    Marks marks = {};
    for (std::size_t i = 0; i < channel.buffer_count; ++i) merge(marks, channel.buffers[i]->touched);
    std::size_t count = 0;
    for (int i = 0; i < kLines; ++i) count += static_cast<std::size_t>(ones(marks.lines()[i]));
    if (count + 48 > all.count) return all;
    own.list(marks);
    return own;
}

void update(const Extent& tile, Buffer* const* active, std::size_t active_count, Channel* channels,
            std::size_t channel_count, std::uint32_t* spikes) {
    Marks any = {};
    for (std::size_t i = 0; i < active_count; ++i) merge(any, active[i]->touched);
    Blocks all, own;
    all.list(any);
    for (std::size_t c = 0; c < channel_count; ++c) {
        Channel& channel = channels[c];
        const Blocks& blocks = blocks_of(channel, active_count, all, own);
        spikes = update_channel(tile, blocks.at, blocks.count, channel, spikes);
        channel.spikes_end = spikes;
    }
    for (std::size_t i = 0; i < active_count; ++i) {
        active[i]->touched = {};
        active[i]->active = false;
    }
}

void fade(float* membranes, float factor, float least) {
    const auto scale = Lanes::all(factor), limit = Lanes::all(least);
    for (std::int32_t i = 0; i < kPlane; i += kLanes) {
        const Floats s = Lanes::load(membranes + i);
        Lanes::store(membranes + i, scale * without_small(s, limit));
    }
}
