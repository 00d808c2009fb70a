// The functions of PatchOps over vectors of kLanes floats. Included by one file per instruction
// set, inside namespace velocell and an anonymous namespace; see patch.hpp for what must hold.

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX2__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif

template <int kWidth>
struct Vector {
    typedef float Floats __attribute__((vector_size(4 * kWidth)));
    static Floats load(const float* from) {
        Floats value;
        __builtin_memcpy(&value, from, sizeof value);
        return value;
    }
    static void store(float* to, Floats value) { __builtin_memcpy(to, &value, sizeof value); }
    static Floats all(float value) { return value - Floats{}; }  // unlike +, exact for -0: a plain copy
};
using Lanes = Vector<kLanes>;
using Floats = Lanes::Floats;

// One bit per lane that is above the threshold.
inline std::uint32_t above(Floats v, Floats threshold) {
#if defined(__AVX512F__)
    return _mm512_cmp_ps_mask(reinterpret_cast<__m512>(v), reinterpret_cast<__m512>(threshold), _CMP_GT_OQ);
#elif defined(__AVX2__)
    return static_cast<std::uint32_t>(_mm256_movemask_ps(
        _mm256_cmp_ps(reinterpret_cast<__m256>(v), reinterpret_cast<__m256>(threshold), _CMP_GT_OQ)));
#elif defined(__SSE2__)
    return static_cast<std::uint32_t>(
        _mm_movemask_ps(_mm_cmpgt_ps(reinterpret_cast<__m128>(v), reinterpret_cast<__m128>(threshold))));
#else
    std::uint32_t bits = 0;
    for (int i = 0; i < kLanes; ++i) bits |= static_cast<std::uint32_t>(v[i] > threshold[i]) << i;
    return bits;
#endif
}

// I += patch over kWidth columns.
template <int kWidth>
inline void add_columns(float* currents, const float* weights, std::int32_t rows, std::ptrdiff_t pitch) {
    using Strip = Vector<kWidth < kLanes ? kWidth : kLanes>;
    constexpr int kStep = kWidth < kLanes ? kWidth : kLanes;
    for (std::int32_t row = 0; row < rows; ++row, currents += kStride, weights += pitch)
        for (int i = 0; i < kWidth; i += kStep)
            Strip::store(currents + i, Strip::load(currents + i) + Strip::load(weights + i));
}

// Sets `bits` in `count` rows.
inline void touch(std::uint16_t* rows, std::int32_t count, std::uint16_t bits) {
    typedef std::uint16_t Eight __attribute__((vector_size(16)));
    const auto set = [&](std::uint16_t* at) {
        Eight value;
        __builtin_memcpy(&value, at, sizeof value);
        value |= Eight{} + bits;
        __builtin_memcpy(at, &value, sizeof value);
    };
    if (count < 8) {
        for (std::int32_t i = 0; i < count; ++i) rows[i] |= bits;
        return;
    }
    for (std::int32_t i = 0; i + 8 < count; i += 8) set(rows + i);
    set(rows + count - 8);
}

inline void add_patch(const Extent& tile, const Event& event, const Patch& patch, Buffer& buffer) {
    const std::int32_t left = event.x - tile.x + patch.left, top = event.y - tile.y + patch.top;
    // The part that reaches into the tile: whole rows, whole units.
    const std::int32_t row = top < 0 ? -top : 0, unit = left < 0 ? -left / kUnit : 0;
    const std::int32_t end = (tile.width - 1 - left + kUnit) / kUnit;  // numerator may be negative: still <= 0
    const std::int32_t rows = (patch.rows < tile.height - top ? patch.rows : tile.height - top) - row;
    std::int32_t units = (patch.units < end ? patch.units : end) - unit;
    if (rows <= 0 || units <= 0) return;
    const std::int32_t column = kBlock + left + unit * kUnit;
    buffer.active = true;
    const std::int32_t first = column / kBlock, last = (column + units * kUnit - 1) / kBlock;
    touch(buffer.touched + top + row, rows, static_cast<std::uint16_t>((2u << last) - (1u << first)));
    float* currents = buffer.currents + (top + row) * kStride + column;
    const std::ptrdiff_t pitch = static_cast<std::ptrdiff_t>(patch.units) * kUnit;
    const float* weights = patch.weights + event.pattern * static_cast<std::ptrdiff_t>(patch.size) + row * pitch + unit * kUnit;
    for (; units >= 2; units -= 2, currents += 2 * kUnit, weights += 2 * kUnit)
        add_columns<2 * kUnit>(currents, weights, rows, pitch);
    if (units > 0) add_columns<kUnit>(currents, weights, rows, pitch);
}

void add(const Extent& tile, const Event* events, std::size_t count, const Patch* patches, const std::uint32_t* first,
         Buffer* buffers) {
    for (std::size_t i = 0; i < count; ++i)
        for (std::uint32_t j = first[events[i].code]; j < first[events[i].code + 1]; ++j)
            add_patch(tile, events[i], patches[j], buffers[patches[j].buffer]);
}

// A block of 16 pixels that patches touched: where it lies in a channel's membranes and in the currents.
struct Place {
    std::int32_t membrane, current;
};

// Resets the pixels of a block that are above the threshold and writes those on the sensor. May
// write up to kBlock values beyond them.
inline std::uint32_t* fire(const Extent& tile, std::int32_t at, std::uint32_t fired, const Channel& channel,
                           std::uint32_t* spikes) {
    float* const s = channel.membranes + at;
    const std::int32_t column = at % kTile, row = at / kTile, owned = tile.width - column;
    const std::uint32_t first = static_cast<std::uint32_t>(tile.y + row) << 16 | static_cast<std::uint32_t>(tile.x + column);
#if defined(__AVX512F__)
    _mm512_mask_storeu_ps(s, static_cast<__mmask16>(fired), _mm512_set1_ps(channel.reset));
    if (owned < kBlock) fired &= (1u << owned) - 1;
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i pixels = _mm512_add_epi32(lanes, _mm512_set1_epi32(static_cast<int>(first)));
    _mm512_storeu_si512(spikes, _mm512_maskz_compress_epi32(static_cast<__mmask16>(fired), pixels));
    return spikes + __builtin_popcount(fired);
#else
    for (; fired != 0; fired &= fired - 1) {
        const std::int32_t lane = __builtin_ctz(fired);
        s[lane] = channel.reset;
        *spikes = first + static_cast<std::uint32_t>(lane);
        spikes += lane < owned;
    }
    return spikes;
#endif
}

// S += weight * I in the listed blocks, I the sum of kBuffers buffers (0: of any number); spikes and resets.
template <int kBuffers>
inline void update_channel(const Extent& tile, const Place* places, std::size_t count, Channel& channel) {
    const auto weight = Lanes::all(channel.weight), threshold = Lanes::all(channel.threshold);
    const Floats keep = Lanes::all(channel.memoryless ? 0.0F : 1.0F);
    const float* local[kBuffers + 1];  // the compiler knows that nothing else changes it
    for (int b = 0; b < kBuffers; ++b) local[b] = channel.currents[b];
    const float* const* const currents = kBuffers > 0 ? local : channel.currents;
    const int buffers = kBuffers > 0 ? kBuffers : static_cast<int>(channel.buffer_count);
    float* const membranes = channel.membranes;
    std::uint32_t* spikes = channel.spikes;
    for (std::size_t k = 0; k < count; ++k) {
        const Place place = places[k];
        float* const s = membranes + place.membrane;
        std::uint32_t fired = 0;
        for (int i = 0; i < kBlock; i += kLanes) {
            Floats current = Lanes::load(currents[0] + place.current + i);
            for (int b = 1; b < buffers; ++b) current += Lanes::load(currents[b] + place.current + i);
            const Floats sum = keep * Lanes::load(s + i) + weight * current;
            fired |= above(sum, threshold) << i;
            Lanes::store(s + i, sum);
        }
        if (fired != 0) spikes = fire(tile, place.membrane, fired, channel, spikes);
    }
    channel.spikes = spikes;
}

// The blocks of the tile that any patch touched, in rising order. Clears the marks, and what was
// added beyond the tile.
inline std::size_t touched_blocks(const Extent& tile, Buffer* const* active, std::size_t active_count,
                                  Place* places) {
    const std::uint32_t inside = (2u << (tile.width + kBlock - 1) / kBlock) - 2;
    std::size_t count = 0;
    for (std::int32_t row = 0; row < tile.height; ++row) {
        std::uint32_t touched = 0;
        for (std::size_t i = 0; i < active_count; ++i) {
            Buffer& buffer = *active[i];
            for (std::uint32_t out = buffer.touched[row] & ~inside; out != 0; out &= out - 1)
                for (int j = 0; j < kBlock; j += kLanes)
                    Lanes::store(buffer.currents + row * kStride + __builtin_ctz(out) * kBlock + j, Floats{});
            touched |= buffer.touched[row];
            buffer.touched[row] = 0;
        }
        for (touched &= inside; touched != 0; touched &= touched - 1)
            places[count++] = {row * kTile + (__builtin_ctz(touched) - 1) * kBlock,
                               row * kStride + __builtin_ctz(touched) * kBlock};
    }
    return count;
}

// All touched blocks for every channel: where a channel's current is zero nothing changes, and a
// tight loop over them costs less than to find out.
void update(const Extent& tile, Buffer* const* active, std::size_t active_count, Channel* channels,
            std::size_t channel_count) {
    Place places[kTile * kTile / kBlock];
    const std::size_t count = touched_blocks(tile, active, active_count, places);
    for (std::size_t c = 0; c < channel_count; ++c) {
        Channel& channel = channels[c];
        switch (channel.buffer_count) {
            case 1: update_channel<1>(tile, places, count, channel); break;
            case 2: update_channel<2>(tile, places, count, channel); break;
            case 3: update_channel<3>(tile, places, count, channel); break;
            case 4: update_channel<4>(tile, places, count, channel); break;
            default: update_channel<0>(tile, places, count, channel); break;
        }
    }
    for (std::size_t i = 0; i < active_count; ++i) {
        for (std::size_t k = 0; k < count; ++k)
            for (int j = 0; j < kBlock; j += kLanes)
                Lanes::store(active[i]->currents + places[k].current + j, Floats{});
        active[i]->active = false;
    }
}
