// The functions of PatchOps over vectors of kLanes floats. Included by one file per instruction
// set, inside namespace velocell and an anonymous namespace; see patch.hpp for what must hold.

#include "lanes.hpp"

static_assert(kPlane <= 1 << 16);

// I += patch over kUnits units.
template <int kUnits>
inline void add_columns(float* currents, const float* weights, std::int32_t rows, std::ptrdiff_t pitch) {
    constexpr int kStep = kUnits * kUnit % kLanes == 0 ? kLanes : kUnit;  // an odd unit is half a vector of 16
    using Step = Vector<kStep>;
    for (std::int32_t row = 0; row < rows; ++row, currents += kStride, weights += pitch)
        for (int i = 0; i < kUnits * kUnit; i += kStep)
            Step::store(currents + i, Step::load(currents + i) + Step::load(weights + i));
}

// For each column c of blocks: all columns from c on, and all up to c.
struct ColumnSets {
    alignas(64) std::uint64_t from[kColumns][kColumns], to[kColumns][kColumns];
};
constexpr ColumnSets column_sets() {
    ColumnSets sets{};
    for (int c = 0; c < kColumns; ++c)
        for (int i = 0; i < kColumns; ++i) {
            sets.from[c][i] = i >= c ? ~std::uint64_t{0} : 0;
            sets.to[c][i] = i <= c ? ~std::uint64_t{0} : 0;
        }
    return sets;
}
constexpr ColumnSets kSets = column_sets();

// A part of a patch that lies within the tile, apart from columns in the block before each row.
struct Part {
    std::int32_t column, row, units, rows;
    const float* weights;
};

inline void add_part(const Part& part, std::ptrdiff_t pitch, Buffer& buffer) {
    buffer.active = true;
    const std::int32_t right = part.column + part.units * kUnit - 1;
    const std::int32_t first = part.row / 2, last = (part.row + part.rows - 1) / 2;
    const std::uint64_t bits = ~std::uint64_t{0} >> (63 - (last - first)) << first;
    const std::uint64_t* const from = kSets.from[part.column < 0 ? 0 : part.column / kBlock];
    const std::uint64_t* const to = kSets.to[right < kWidth ? right / kBlock : kColumns - 1];
    for (int i = 0; i < kColumns; i += kWords)
        words_at(buffer.touched.rows + i) |= words_at(from + i) & words_at(to + i) & bits;
    float* currents = buffer.currents + part.row * kStride + part.column;
    const float* weights = part.weights;
    std::int32_t units = part.units;
    for (; units > 4; units -= 4, currents += 4 * kUnit, weights += 4 * kUnit)
        add_columns<4>(currents, weights, part.rows, pitch);
    switch (units) {
        case 1: add_columns<1>(currents, weights, part.rows, pitch); break;
        case 2: add_columns<2>(currents, weights, part.rows, pitch); break;
        case 3: add_columns<3>(currents, weights, part.rows, pitch); break;
        default: add_columns<4>(currents, weights, part.rows, pitch); break;
    }
}

inline void add_patch(const Extent& tile, std::int32_t x, std::int32_t y, const Patch& patch, const float* weights,
                      Buffer& buffer) {
    const std::int32_t left = x + patch.left, top = y + patch.top, pitch = patch.units * kUnit;
    if ((left >= 0) & (top >= 0) & (left + pitch <= tile.width) & (top + patch.rows <= tile.height)) {
        add_part({left, top, patch.units, patch.rows, weights}, pitch, buffer);
        return;
    }
    // Only whole rows and whole units that reach into the tile.
    const std::int32_t end = (tile.width - 1 - left + kUnit) / kUnit;  // numerator may be negative: still <= 0
    const std::int32_t row = top < 0 ? -top : 0, unit = left < 0 ? -left / kUnit : 0;
    const std::int32_t rows = (patch.rows < tile.height - top ? patch.rows : tile.height - top) - row;
    const std::int32_t units = (patch.units < end ? patch.units : end) - unit;
    if (rows <= 0 || units <= 0) return;
    weights += static_cast<std::ptrdiff_t>(row) * pitch + unit * kUnit;
    add_part({left + unit * kUnit, top + row, units, rows, weights}, pitch, buffer);
}

void add(const Extent& tile, const Event* events, std::size_t count, const Patch* patches, const std::uint32_t* first,
         Buffer* buffers) {
    for (std::size_t i = 0; i < count; ++i) {
        const Event event = events[i];
        const std::int32_t x = event.x - tile.x, y = event.y - tile.y;
        for (std::uint32_t j = first[event.code]; j < first[event.code + 1]; ++j) {
            const Patch& patch = patches[j];
            const float* const weights = patch.weights + event.pattern * static_cast<std::ptrdiff_t>(patch.size);
            add_patch(tile, x, y, patch, weights, buffers[patch.buffer]);
        }
    }
}

// Resets the pixels of a block that are above the threshold and writes those on the sensor. May
// write up to kBlock values beyond them.
inline std::uint32_t* fire(const Extent& tile, std::uint32_t at, std::uint32_t fired, const Channel& channel,
                           std::uint32_t* spikes) {
    float* const s = channel.membranes + at;
    const auto row = static_cast<std::int32_t>(at / kStride), column = static_cast<std::int32_t>(at % kStride);
    // Not above 0 where a patch's padding reaches a block beyond the sensor.
    const std::int32_t owned = tile.width - column;
    const std::uint32_t first = static_cast<std::uint32_t>(tile.y + row) << 16 | static_cast<std::uint32_t>(tile.x + column);
#if defined(__AVX512F__) && defined(VELOCELL_GNU)
    _mm512_mask_storeu_ps(s, static_cast<__mmask16>(fired), _mm512_set1_ps(channel.reset));
    if (owned < kBlock) fired &= owned > 0 ? (1u << owned) - 1 : 0;
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i pixels = _mm512_add_epi32(lanes, _mm512_set1_epi32(static_cast<int>(first)));
    _mm512_storeu_si512(spikes, _mm512_maskz_compress_epi32(static_cast<__mmask16>(fired), pixels));
    return spikes + ones(fired);
#else
    for (; fired != 0; fired &= fired - 1) {
        const std::int32_t lane = lowest(fired);
        s[lane] = channel.reset;
        *spikes = first + static_cast<std::uint32_t>(lane);
        spikes += lane < owned;
    }
    return spikes;
#endif
}

// S += weight * I in the listed blocks, I the sum of kBuffers buffers (0: of any number); spikes and resets.
template <int kBuffers, bool kMemoryless>
inline std::uint32_t* update_channel(const Extent& tile, const std::uint16_t* blocks, std::size_t count,
                                     const Channel& channel, std::uint32_t* spikes) {
    const auto weight = Lanes::all(channel.weight), threshold = Lanes::all(channel.threshold);
    const float* currents[kBuffers + 1];
    for (int b = 0; b < kBuffers; ++b) currents[b] = channel.buffers[b]->currents;
    const int buffers = kBuffers > 0 ? kBuffers : static_cast<int>(channel.buffer_count);
    const auto current_of = [&](int b) { return kBuffers > 0 ? currents[b] : channel.buffers[b]->currents; };
    float* const membranes = channel.membranes;
    for (std::size_t k = 0; k < count; ++k) {
        const std::uint32_t at = blocks[k];
        Fired found;
        for (int i = 0; i < kBlock; i += kLanes) {
            Floats current = Lanes::load(current_of(0) + at + i);
            for (int b = 1; b < buffers; ++b) current += Lanes::load(current_of(b) + at + i);
            Floats sum = weight * current;
            if constexpr (!kMemoryless) sum = Lanes::load(membranes + at + i) + sum;
            found.compare(i, sum, threshold);
            Lanes::store(membranes + at + i, sum);
        }
        if (const std::uint32_t fired = found.bits(); fired != 0) [[unlikely]] spikes = fire(tile, at, fired, channel, spikes);
    }
    return spikes;
}

template <int kBuffers>
inline std::uint32_t* update_channel(const Extent& tile, const std::uint16_t* blocks, std::size_t count,
                                     const Channel& channel, std::uint32_t* spikes) {
    return channel.memoryless ? update_channel<kBuffers, true>(tile, blocks, count, channel, spikes)
                              : update_channel<kBuffers, false>(tile, blocks, count, channel, spikes);
}

inline void merge(Marks& into, const Marks& marks) {
    for (int i = 0; i < kColumns; i += kWords) words_at(into.rows + i) |= words_at(marks.rows + i);
}

// Blocks as offsets of their first float, column by column.
struct Blocks {
    std::size_t count;
    std::uint16_t at[kHeight * kColumns + 16];  // what list_run may write beyond its end

    void list_run(std::int32_t first, std::int32_t rows) {
        for (std::int32_t row = 0; row < rows; row += 16)
            for (std::int32_t i = 0; i < 16; ++i)
                at[count + row + i] = static_cast<std::uint16_t>(first + (row + i) * kStride);
        count += static_cast<std::size_t>(rows);
    }

    void list(const Marks& marks) {
        count = 0;
        for (std::int32_t column = 0; column < kColumns; ++column)
            for (std::uint64_t rest = marks.rows[column]; rest != 0;) {
                const std::int32_t begin = lowest(rest);
                const std::uint64_t after = ~(rest >> begin);
                const std::int32_t end = after != 0 ? begin + lowest(after) : 64;
                list_run(2 * begin * kStride + column * kBlock, 2 * (end - begin));
                rest &= end < 64 ? ~std::uint64_t{0} << end : 0;
            }
    }
};

// The blocks marked by some buffers: those marked by any, which costs nothing more, unless that would
// be many more than needed. (Where a current is zero an update changes nothing.)
inline const Blocks& blocks_of(const Marks& marks, const Blocks& all, Blocks& own) {
    std::size_t count = 0;
    for (const std::uint64_t rows : marks.rows) count += 2 * static_cast<std::size_t>(ones(rows));
    if (4 * count > 3 * all.count) return all;
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
        Marks marks = {};
        for (std::size_t i = 0; i < channel.buffer_count; ++i) merge(marks, channel.buffers[i]->touched);
        const Blocks& blocks = blocks_of(marks, all, own);
        switch (channel.buffer_count) {
            case 1: spikes = update_channel<1>(tile, blocks.at, blocks.count, channel, spikes); break;
            case 2: spikes = update_channel<2>(tile, blocks.at, blocks.count, channel, spikes); break;
            case 3: spikes = update_channel<3>(tile, blocks.at, blocks.count, channel, spikes); break;
            case 4: spikes = update_channel<4>(tile, blocks.at, blocks.count, channel, spikes); break;
            default: spikes = update_channel<0>(tile, blocks.at, blocks.count, channel, spikes); break;
        }
        channel.spikes_end = spikes;
    }
    for (std::size_t i = 0; i < active_count; ++i) {
        const Blocks& blocks = blocks_of(active[i]->touched, all, own);
        float* const currents = active[i]->currents;
        for (std::size_t k = 0; k < blocks.count; ++k)
            for (int j = 0; j < kBlock; j += kLanes) Lanes::store(currents + blocks.at[k] + j, Floats{});
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
