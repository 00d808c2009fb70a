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
    static Floats all(float value) { return Floats{} + value; }
};
using Lanes = Vector<kLanes>;
using Floats = Lanes::Floats;

// One bit per lane that is above the threshold.
inline std::uint32_t above(Floats v, float threshold) {
#if defined(__AVX512F__)
    return _mm512_cmp_ps_mask(reinterpret_cast<__m512>(v), _mm512_set1_ps(threshold), _CMP_GT_OQ);
#elif defined(__AVX2__)
    return static_cast<std::uint32_t>(
        _mm256_movemask_ps(_mm256_cmp_ps(reinterpret_cast<__m256>(v), _mm256_set1_ps(threshold), _CMP_GT_OQ)));
#elif defined(__SSE2__)
    return static_cast<std::uint32_t>(_mm_movemask_ps(_mm_cmpgt_ps(reinterpret_cast<__m128>(v), _mm_set1_ps(threshold))));
#else
    std::uint32_t bits = 0;
    for (int i = 0; i < kLanes; ++i) bits |= static_cast<std::uint32_t>(v[i] > threshold) << i;
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

inline std::uint64_t* update_block(const Extent& tile, std::int32_t row, std::int32_t block, const Buffer* buffers,
                                   const Channel& channel, std::uint64_t* spikes) {
    const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(row) * kStride + block * kBlock;
    float* s = channel.membranes + static_cast<std::ptrdiff_t>(row) * kTile + (block - 1) * kBlock;
    const auto weight = Lanes::all(channel.weight);
    std::uint32_t fired = 0;
    for (int i = 0; i < kBlock; i += kLanes) {
        auto current = Lanes::load(buffers[channel.buffers[0]].currents + at + i);
        for (std::int32_t j = 1; j < channel.buffer_count; ++j)
            current += Lanes::load(buffers[channel.buffers[j]].currents + at + i);
        auto sum = weight * current;
        if (!channel.memoryless) {
            sum = Lanes::load(s + i) + sum;
            Lanes::store(s + i, sum);
        }
        fired |= above(sum, channel.threshold) << i;
    }
    if (fired == 0) return spikes;
    const std::uint64_t base = static_cast<std::uint64_t>(channel.number) << 32 |
                               static_cast<std::uint64_t>(tile.y + row) << 16 |
                               static_cast<std::uint64_t>(tile.x + (block - 1) * kBlock);
    for (; fired != 0; fired &= fired - 1) {
        const int lane = __builtin_ctz(fired);
        s[lane] = channel.reset;
        *spikes = base + static_cast<std::uint64_t>(lane);
        spikes += (block - 1) * kBlock + lane < tile.width;
    }
    return spikes;
}

std::int32_t update(const Extent& tile, std::int32_t row, Buffer* buffers, std::size_t buffer_count,
                    const Channel* channels, std::size_t channel_count, std::uint64_t*& spikes,
                    const std::uint64_t* room) {
    const std::int32_t last = (tile.width + kBlock - 1) / kBlock;  // block 0 lies beyond the tile, and so does last + 1
    for (; row < tile.height; ++row) {
        std::uint32_t touched = 0;
        for (std::size_t i = 0; i < buffer_count; ++i)
            if (buffers[i].active) touched |= buffers[i].touched[row];
        if (touched == 0) continue;
        if (room - spikes < static_cast<std::ptrdiff_t>(channel_count) * kTile + 1) return row;
        for (std::uint32_t rest = touched; rest != 0; rest &= rest - 1) {
            const auto block = static_cast<std::int32_t>(__builtin_ctz(rest));
            if (block < 1 || block > last) continue;
            for (std::size_t c = 0; c < channel_count; ++c)
                spikes = update_block(tile, row, block, buffers, channels[c], spikes);
        }
        for (std::size_t i = 0; i < buffer_count; ++i) {
            if (!buffers[i].active) continue;
            for (std::uint32_t rest = buffers[i].touched[row]; rest != 0; rest &= rest - 1)
                for (int j = 0; j < kBlock; j += kLanes)
                    Lanes::store(buffers[i].currents + row * kStride + __builtin_ctz(rest) * kBlock + j, Floats{});
            buffers[i].touched[row] = 0;
        }
    }
    return row;
}
