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

inline bool any_above(Vector<4>::Floats v, float threshold) {
#if defined(__SSE2__)
    return _mm_movemask_ps(_mm_cmpgt_ps(reinterpret_cast<__m128>(v), _mm_set1_ps(threshold))) != 0;
#else
    return (v[0] > threshold) | (v[1] > threshold) | (v[2] > threshold) | (v[3] > threshold);
#endif
}

#if defined(__AVX2__)
inline bool any_above(Vector<8>::Floats v, float threshold) {
    return _mm256_movemask_ps(_mm256_cmp_ps(reinterpret_cast<__m256>(v), _mm256_set1_ps(threshold), _CMP_GT_OQ)) != 0;
}
#endif

#if defined(__AVX512F__)
inline bool any_above(Vector<16>::Floats v, float threshold) {
    return _mm512_cmp_ps_mask(reinterpret_cast<__m512>(v), _mm512_set1_ps(threshold), _CMP_GT_OQ) != 0;
}
#endif

// The part of a patch that reaches into the tile.
struct Reach {
    std::int32_t rows, units;
    float* membranes;
    const float* weights;
};

inline Reach reach_of(const View& view, const Event& event, const Connection& connection) {
    const std::int32_t left = event.x - view.x + connection.left, top = event.y - view.y + connection.top;
    const std::int32_t row = top < 0 ? -top : 0, unit = left < 0 ? -left / kUnit : 0;
    const std::int32_t rows = connection.rows < view.height - top ? connection.rows : view.height - top;
    const std::int32_t right = (view.width - 1 - left + kUnit) / kUnit;  // numerator may be negative: still <= 0
    const std::int32_t units = connection.units < right ? connection.units : right;
    return {rows - row, units - unit,
            view.membranes + connection.channel * view.plane + (top + row) * view.stride + (left + (unit + 1) * kUnit),
            connection.weights + (static_cast<std::ptrdiff_t>(row) * connection.units + unit) * kUnit};
}

// S += weight * patch over kUnits * kUnit columns; true where a sum ended above the threshold.
template <int kUnits>
inline bool add_columns(const Reach& reach, std::ptrdiff_t stride, std::ptrdiff_t pitch, Now now) {
    using Wide = Vector<kLanes>;
    using Rest = Vector<kUnit>;
    constexpr int kWide = kUnits * kUnit / kLanes, kDone = kWide * kLanes;
    constexpr bool kRest = kDone < kUnits * kUnit;
    const auto weight = Wide::all(now.weight);
    auto peak = Wide::all(-__builtin_inff());
    [[maybe_unused]] auto rest_peak = Rest::all(-__builtin_inff());
    float* s = reach.membranes;
    const float* k = reach.weights;
    for (std::int32_t row = 0; row < reach.rows; ++row, s += stride, k += pitch) {
        for (int i = 0; i < kWide; ++i) {
            const auto sum = Wide::load(s + i * kLanes) + weight * Wide::load(k + i * kLanes);
            Wide::store(s + i * kLanes, sum);
            peak = sum > peak ? sum : peak;
        }
        if constexpr (kRest) {
            const auto sum = Rest::load(s + kDone) + now.weight * Rest::load(k + kDone);
            Rest::store(s + kDone, sum);
            rest_peak = sum > rest_peak ? sum : rest_peak;
        }
    }
    bool above = false;
    if constexpr (kWide > 0) above = any_above(peak, now.threshold);
    if constexpr (kRest) above |= any_above(rest_peak, now.threshold);
    return above;
}

inline bool add_patch(Reach reach, std::ptrdiff_t stride, std::ptrdiff_t pitch, Now now) {
    bool above = false;
    for (; reach.units > 8; reach.units -= 8, reach.membranes += 8 * kUnit, reach.weights += 8 * kUnit)
        above |= add_columns<8>(reach, stride, pitch, now);
    switch (reach.units) {
        case 1: return above | add_columns<1>(reach, stride, pitch, now);
        case 2: return above | add_columns<2>(reach, stride, pitch, now);
        case 3: return above | add_columns<3>(reach, stride, pitch, now);
        case 4: return above | add_columns<4>(reach, stride, pitch, now);
        case 5: return above | add_columns<5>(reach, stride, pitch, now);
        case 6: return above | add_columns<6>(reach, stride, pitch, now);
        case 7: return above | add_columns<7>(reach, stride, pitch, now);
        default: return above | add_columns<8>(reach, stride, pitch, now);
    }
}

std::size_t add(const View& view, const Event* events, std::size_t count, const Connection* connections,
                const std::uint32_t* first, const Now* now, Hit* hits) {
    std::size_t found = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const Event event = events[i];
        for (std::uint32_t j = first[event.code]; j < first[event.code + 1]; ++j) {
            const Connection& connection = connections[j];
            const Reach reach = reach_of(view, event, connection);
            if (reach.rows <= 0 || reach.units <= 0) continue;
            const bool above = add_patch(reach, view.stride, connection.units * kUnit, now[connection.channel]);
            hits[found] = {static_cast<std::uint32_t>(i), j};
            found += above;
        }
    }
    return found;
}

std::size_t collect(const View& view, const Event& event, const Connection& connection, Now now,
                    std::uint32_t* pixels) {
    const Reach reach = reach_of(view, event, connection);
    std::size_t found = 0;
    for (std::int32_t row = 0; row < reach.rows; ++row) {
        float* s = reach.membranes + row * view.stride;
        for (std::int32_t lane = 0; lane < reach.units * kUnit; ++lane) {
            if (!(s[lane] > now.threshold)) continue;
            s[lane] = now.reset;
            const std::ptrdiff_t at = s + lane - view.membranes - connection.channel * view.plane;
            const auto y = static_cast<std::int32_t>(at / view.stride);
            const auto x = static_cast<std::int32_t>(at % view.stride) - kUnit;
            pixels[found] = static_cast<std::uint32_t>(view.y + y) << 16 | static_cast<std::uint32_t>(view.x + x);
            found += x >= 0 && x < view.width;
        }
    }
    return found;
}

void clear(const View& view, const Event& event, const Connection& connection) {
    const Reach reach = reach_of(view, event, connection);
    if (reach.units <= 0) return;
    for (std::int32_t row = 0; row < reach.rows; ++row)
        for (std::int32_t lane = 0; lane < reach.units * kUnit; ++lane) reach.membranes[row * view.stride + lane] = 0;
}
