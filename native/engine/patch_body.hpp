// The functions of PatchOps over vectors of kLanes floats. Included by one file per instruction
// set, inside namespace velocell and an anonymous namespace; see patch.hpp for what must hold.

#include "lanes.hpp"

static_assert(kPlane <= 1 << 16 && kColumns == 8 * sizeof(Line) && kSide == 4 && kSide == 1 << kSideBits);

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
template <int kLinesAtOnce>
inline void add_lines(std::int16_t* counts, const std::int16_t* weights, std::int32_t columns, std::ptrdiff_t pitch) {
    for (std::int32_t column = 0; column < columns; ++column, counts += kBlock, weights += pitch)
        for (int line = 0; line < kLinesAtOnce; ++line)
            for (int i = 0; i < kBlock; i += Whole::kLanes) {
                std::int16_t* const to = counts + line * kPitch * kBlock + i;
                Whole::store(to, Whole::load(to) + Whole::load(weights + line * kBlock + i));
            }
}

template <typename Number>
inline void add_blocks(Number* currents, const Number* weights, std::int32_t columns, std::int32_t lines, std::ptrdiff_t pitch) {
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
    const Beginning* beginning;
};

inline Place place_patch(std::int32_t x, std::int32_t y, const Patch& patch, std::uint32_t pattern) {
    const std::int32_t left = x + patch.left, top = y + patch.top;
    const std::uint32_t within = static_cast<std::uint32_t>((top & (kSide - 1)) * kSide + (left & (kSide - 1)));
    return {left >> kSideBits, top >> kSideBits, patch.beginnings + (pattern * kBlock + within)};
}

// A line's marks where the first block is that column.
inline Line shifted(Line marks, std::int32_t column) { return column < 0 ? marks >> -column : marks << column; }

// Patches that fit the margin. currents, weights: the buffer's and the patch's, floats or counts.
template <int kLinesAtOnce, typename Number>
void add_small(const Extent& tile, const Event* events, const Event* end, const Patch& given, Buffer& buffer,
               Number* currents, const Number* weights) {
    const Patch patch = given;  // nothing that is written can be part of it
    Line* const lines = buffer.touched.lines();
    const std::int32_t tile_x = tile.x, tile_y = tile.y;
    for (; events < end; ++events) {
        const Place place = place_patch(events->x - tile_x, events->y - tile_y, patch, events->pattern);
        const Line* const marks = place.beginning->marks;
        Line* const touched = lines + place.line;
        if (static_cast<std::uint32_t>(place.column) < std::uint32_t{kColumns}) [[likely]]
            for (int i = 0; i < kLinesAtOnce; ++i) touched[i] |= marks[i] << place.column;
        else if (place.column < 0)
            for (int i = 0; i < kLinesAtOnce; ++i) touched[i] |= marks[i] >> -place.column;
        Number* const to = currents + (place.line * kPitch + place.column) * kBlock;
        const Number* const from = weights + place.beginning->weights;
        if (place.beginning->columns == kLinesAtOnce)
            add_lines<kLinesAtOnce>(to, from, kLinesAtOnce, patch.column);
        else
            add_lines<kLinesAtOnce>(to, from, place.beginning->columns, patch.column);
    }
}

// Of larger ones, what reaches into the tile.
template <typename Number>
void add_cut(const Extent& tile, const Event* events, const Event* end, const Patch& patch, Buffer& buffer,
             Number* currents, const Number* weights) {
    for (; events < end; ++events) {
        const Place place = place_patch(events->x - tile.x, events->y - tile.y, patch, events->pattern);
        const Line* const marks = place.beginning->marks;
        const std::int32_t columns = place.beginning->columns;
        const std::int32_t first = place.column < 0 ? -place.column : 0, begin = place.line < 0 ? -place.line : 0;
        const std::int32_t last = kColumns - place.column < columns ? kColumns - place.column : columns;
        const std::int32_t stop = kLines - place.line < patch.lines ? kLines - place.line : patch.lines;
        if (first >= last || begin >= stop) continue;
        const std::int32_t at = place.column + first;
        const Line within = ~Line{0} >> (kColumns - (last - first)) << at;
        for (std::int32_t i = begin; i < stop; ++i) {
            buffer.touched.lines()[place.line + i] |=
                marks == nullptr ? within : shifted(marks[i], place.column) & within;
        }
        add_blocks(currents + ((place.line + begin) * kPitch + at) * kBlock,
                   weights + place.beginning->weights + first * patch.column + begin * kBlock, last - first,
                   stop - begin, patch.column);
    }
}

template <typename Number>
inline void add_patch(const Extent& tile, const Event* events, const Event* end, const Patch& patch, Buffer& buffer,
                      Number* currents, const Number* weights) {
    buffer.active = true;
    switch (patch.small ? patch.lines : 0) {
        case 1: return add_small<1>(tile, events, end, patch, buffer, currents, weights);
        case 2: return add_small<2>(tile, events, end, patch, buffer, currents, weights);
        case 3: return add_small<3>(tile, events, end, patch, buffer, currents, weights);
        case 4: return add_small<4>(tile, events, end, patch, buffer, currents, weights);
        case 5: return add_small<5>(tile, events, end, patch, buffer, currents, weights);
        case 6: return add_small<6>(tile, events, end, patch, buffer, currents, weights);
        case 7: return add_small<7>(tile, events, end, patch, buffer, currents, weights);
        case 8: return add_small<8>(tile, events, end, patch, buffer, currents, weights);
        default: return add_cut(tile, events, end, patch, buffer, currents, weights);
    }
}

// Those that drive the same patches one after the other, patch by patch.
void add(const Extent& tile, const Event* events, std::size_t count, const Patch* patches, const std::uint32_t* first,
         Buffer* buffers) {
    for (const Event* const stop = events + count; events < stop;) {
        const std::uint32_t code = events->code;
        const Event* end = events + 1;
        while (end < stop && end->code == code) ++end;
        for (std::uint32_t j = first[code]; j < first[code + 1]; ++j) {
            const Patch& patch = patches[j];
            Buffer& buffer = buffers[patch.buffer];
            if (buffer.counts != nullptr)
                add_patch(tile, events, end, patch, buffer, buffer.counts, patch.counts);
            else
                add_patch(tile, events, end, patch, buffer, buffer.currents, patch.weights);
        }
        events = end;
    }
}

inline std::int32_t within_block(std::int32_t left) { return left < 0 ? 0 : left < kSide ? left : kSide; }

// Resets the pixels of a block that are above the threshold and writes those on the sensor. May
// write up to kBlock values beyond them.
inline std::uint32_t* fire(const Extent& tile, std::uint32_t at, std::uint32_t fired, const Channel& channel,
                           std::uint32_t* spikes) {
    float* const s = channel.membranes + at;
    const std::uint32_t block = at / kBlock;
    const auto x = static_cast<std::int32_t>(block % kPitch) * kSide, y = static_cast<std::int32_t>(block / kPitch) * kSide;
    std::uint32_t owned = 0xffff;
    if (x + kSide > tile.width || y + kSide > tile.height) {
        // Those within the sensor: of each row as many lanes as columns are left, of the block as many rows.
        const std::int32_t across = within_block(tile.width - x), down = within_block(tile.height - y);
        owned = 0x1111u * ((1u << across) - 1) & ((1u << kSide * down) - 1);
    }
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

// What a channel's buffers hold: first those that count, whose sum is exact, then what was spilled, which is, too.
template <int kCounts, int kFloats, bool kCleared>
struct Sources {
    std::int16_t* counts[kCounts + 1];
    float* floats[kFloats + 1];
    Floats units[kCounts + 1];

    Sources(const Buffer* const* buffers, std::size_t, std::uint32_t) {
        for (int b = 0; b < kCounts; ++b) counts[b] = buffers[b]->counts, units[b] = Lanes::all(buffers[b]->unit);
        for (int b = 0; b < kFloats; ++b) floats[b] = buffers[kCounts + b]->currents;
    }

    Floats current(std::uint32_t at) const {
        Floats sum = kCounts > 0 ? units[0] * widened(counts[0] + at) : Lanes::load(floats[0] + at);
        for (int b = 1; b < kCounts; ++b) sum += units[b] * widened(counts[b] + at);
        for (int b = kCounts > 0 ? 0 : 1; b < kFloats; ++b) sum += Lanes::load(floats[b] + at);
        return sum;
    }

    void clear(std::uint32_t at) const {
        if (!kCleared) return;
        for (int b = 0; b < kCounts; ++b)
            for (int i = 0; i < kBlock; i += Whole::kLanes) Whole::store(counts[b] + at + i, Whole::Numbers{});
        for (int b = 0; b < kFloats; ++b)
            for (int i = 0; i < kBlock; i += kLanes) Lanes::store(floats[b] + at + i, Floats{});
    }
};

// The same for any number of them.
struct AnySources {
    const Buffer* const* buffers;
    std::size_t count;
    std::uint32_t last;

    // last_channel: behind it, buffers may be needed no more.
    AnySources(const Buffer* const* of, std::size_t how_many, std::uint32_t last_channel)
        : buffers(of), count(how_many), last(last_channel) {}

    static bool counts(const Buffer& buffer) { return buffer.counts != nullptr && !buffer.spilled; }

    Floats current(std::uint32_t at) const {
        Floats sum{};
        for (std::size_t b = 0; b < count; ++b)
            if (counts(*buffers[b])) sum += Lanes::all(buffers[b]->unit) * widened(buffers[b]->counts + at);
        for (std::size_t b = 0; b < count; ++b)
            if (!counts(*buffers[b])) sum += Lanes::load(buffers[b]->currents + at);
        return sum;
    }

    void clear(std::uint32_t at) const {
        for (std::size_t b = 0; b < count; ++b) {
            if (buffers[b]->last > last) continue;
            if (counts(*buffers[b]))
                for (int i = 0; i < kBlock; i += Whole::kLanes) Whole::store(buffers[b]->counts + at + i, Whole::Numbers{});
            else
                for (int i = 0; i < kBlock; i += kLanes) Lanes::store(buffers[b]->currents + at + i, Floats{});
        }
    }
};

// Spikes and resets of a block.
void fire_block(const Extent& tile, std::uint32_t at, Channel& channel) {
    Fired found;
    const auto threshold = Lanes::all(channel.threshold);
    for (int i = 0; i < kBlock; i += kLanes) found.compare(i, Lanes::load(channel.membranes + at + i), threshold);
    if (const std::uint32_t fired = found.bits(); fired != 0)
        channel.spikes_end = fire(tile, at, fired, channel, channel.spikes_end);
}

constexpr std::size_t kSoon = 8;  // blocks ahead the memory is asked for membranes

// S += weight * I in the listed blocks, for channels that see the same buffers; spikes and resets. The list goes on
// behind its end for kSoon blocks that are not meant.
template <int kChannels, typename From, bool kMemoryless>
void update_blocks(const Extent& tile, const std::uint16_t* blocks, std::size_t block_count, Channel* channels) {
    Floats weight[kChannels], threshold[kChannels];
    float* membranes[kChannels];
    for (int c = 0; c < kChannels; ++c) {
        weight[c] = Lanes::all(channels[c].weight);
        threshold[c] = Lanes::all(channels[c].threshold);
        membranes[c] = channels[c].membranes;
        channels[c].spikes_end = channels[c].spikes;
    }
    const From from(channels[0].buffers, channels[0].buffer_count, channels[kChannels - 1].number);
    for (std::size_t k = 0; k < block_count; ++k) {
        const std::uint32_t at = blocks[k];
        for (int c = 0; c < kChannels; ++c) prefetch(membranes[c] + blocks[k + kSoon]);
        Any above[kChannels], any;
        for (int i = 0; i < kBlock; i += kLanes) {
            const Floats current = from.current(at + i);
            for (int c = 0; c < kChannels; ++c) {
                float* const s = membranes[c] + at + i;
                Floats sum = weight[c] * current;
                if constexpr (!kMemoryless) sum = Lanes::load(s) + sum;
                above[kLanes == kBlock ? c : 0].compare(sum, threshold[c]);
                Lanes::store(s, sum);
            }
        }
        from.clear(at);
        for (const Any& here : above) any.join(here);
        if (any.found()) [[unlikely]]
            for (int c = 0; c < kChannels; ++c)
                if (kLanes < kBlock || above[c].found()) fire_block(tile, at, channels[c]);
    }
}

// kind: ten times the buffers that count, and the others.
template <int kChannels, bool kCleared>
inline void update_from(const Extent& tile, const std::uint16_t* blocks, std::size_t block_count, Channel* channels,
                        std::size_t kind) {
    switch (kind) {
        case 10: return update_blocks<kChannels, Sources<1, 0, kCleared>, false>(tile, blocks, block_count, channels);
        case 20: return update_blocks<kChannels, Sources<2, 0, kCleared>, false>(tile, blocks, block_count, channels);
        case 30: return update_blocks<kChannels, Sources<3, 0, kCleared>, false>(tile, blocks, block_count, channels);
        case 1: return update_blocks<kChannels, Sources<0, 1, kCleared>, false>(tile, blocks, block_count, channels);
        case 2: return update_blocks<kChannels, Sources<0, 2, kCleared>, false>(tile, blocks, block_count, channels);
        case 3: return update_blocks<kChannels, Sources<0, 3, kCleared>, false>(tile, blocks, block_count, channels);
        case 4: return update_blocks<kChannels, Sources<0, 4, kCleared>, false>(tile, blocks, block_count, channels);
        case 11: return update_blocks<kChannels, Sources<1, 1, kCleared>, false>(tile, blocks, block_count, channels);
        default: return update_blocks<kChannels, AnySources, false>(tile, blocks, block_count, channels);
    }
}

template <int kChannels>
inline void update_group(const Extent& tile, const std::uint16_t* blocks, std::size_t block_count, Channel* channels) {
    const std::size_t buffer_count = channels[0].buffer_count;
    const Buffer* const* const buffers = channels[0].buffers;
    std::size_t counts = 0, cleared = 0;  // cleared: no channel behind these needs them
    while (counts < buffer_count && AnySources::counts(*buffers[counts])) ++counts;
    bool ordered = buffer_count < 10;  // those that count come first
    for (std::size_t b = counts; b < buffer_count; ++b) ordered &= !AnySources::counts(*buffers[b]);
    for (std::size_t b = 0; b < buffer_count; ++b) cleared += buffers[b]->last <= channels[kChannels - 1].number;
    const std::size_t kind = 9 * counts + buffer_count;
    if (ordered && cleared == 0) return update_from<kChannels, false>(tile, blocks, block_count, channels, kind);
    if (ordered && cleared == buffer_count) return update_from<kChannels, true>(tile, blocks, block_count, channels, kind);
    update_blocks<kChannels, AnySources, false>(tile, blocks, block_count, channels);
}
