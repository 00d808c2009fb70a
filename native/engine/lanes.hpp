// Vectors of floats and of words, and bits, for patch_body.hpp, which includes this inside its anonymous namespace: with
// the vectors of GCC and Clang, or as plain loops for compilers without them. Both give the same bits.

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX2__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif

#if defined(VELOCELL_GNU)

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

// Of int16, as many as a register of the instruction set holds, but no more than a block. Added as unsigned ones: in the
// margin of a plane, which is never read or cleared, they wrap.
struct Whole {
    static constexpr int kLanes = sizeof(Floats) > 16 ? 16 : 8;
    typedef std::uint16_t Numbers __attribute__((vector_size(2 * kLanes)));
    static Numbers load(const std::int16_t* from) {
        Numbers value;
        __builtin_memcpy(&value, from, sizeof value);
        return value;
    }
    static void store(std::int16_t* to, Numbers value) { __builtin_memcpy(to, &value, sizeof value); }
};

// kLanes of int16 as floats.
inline Floats widened(const std::int16_t* from) {
    typedef std::int32_t Long __attribute__((vector_size(4 * kLanes)));
#if defined(__AVX512F__)
    const auto values = _mm512_maskz_cvtepi16_epi32(0xffff, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
    return __builtin_convertvector(reinterpret_cast<Long>(values), Floats);
#elif defined(__AVX2__)
    const auto values = _mm256_cvtepi16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
    return __builtin_convertvector(reinterpret_cast<Long>(values), Floats);
#elif defined(__SSE2__)
    const auto values = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from));
    return __builtin_convertvector(reinterpret_cast<Long>(_mm_srai_epi32(_mm_unpacklo_epi16(values, values), 16)), Floats);
#else
    typedef std::int16_t Short __attribute__((vector_size(2 * kLanes)));
    Short value;
    __builtin_memcpy(&value, from, sizeof value);
    return __builtin_convertvector(__builtin_convertvector(value, Long), Floats);
#endif
}

#if defined(VELOCELL_NEON)

// Which lanes of a block were above the threshold. NEON has no instruction that gathers a bit of each lane, so the
// four comparisons of a block are narrowed to bytes and gathered at once.
class Fired {
public:
    void compare(int lane, Floats v, Floats threshold) {
        above_[lane / kLanes] = vcgtq_f32(reinterpret_cast<float32x4_t>(v), reinterpret_cast<float32x4_t>(threshold));
    }
    std::uint32_t bits() const {
        const uint16x8_t low = vuzp1q_u16(vreinterpretq_u16_u32(above_[0]), vreinterpretq_u16_u32(above_[1]));
        const uint16x8_t high = vuzp1q_u16(vreinterpretq_u16_u32(above_[2]), vreinterpretq_u16_u32(above_[3]));
        const uint8x16_t lanes = vuzp1q_u8(vreinterpretq_u8_u16(low), vreinterpretq_u8_u16(high));
        uint8x16_t sums = vandq_u8(lanes, vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201)));
        for (int i = 0; i < 3; ++i) sums = vpaddq_u8(sums, sums);  // of 2, 4 and 8 neighbours
        return vgetq_lane_u16(vreinterpretq_u16_u8(sums), 0);
    }

private:
    static_assert(kBlock == 4 * kLanes);
    uint32x4_t above_[4];
};

#else

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

#endif

// Whether any lane was above its threshold.
class Any {
public:
#if defined(__AVX512F__)
    void compare(Floats v, Floats threshold) {
        const auto vector = reinterpret_cast<__m512>(v);
        above_ = _mm512_kor(above_, _mm512_cmp_ps_mask(vector, reinterpret_cast<__m512>(threshold), _CMP_GT_OQ));
    }
    void join(const Any& other) { above_ = _mm512_kor(above_, other.above_); }
    bool found() const { return above_ != 0; }

private:
    __mmask16 above_ = 0;
#else
    void compare(Floats v, Floats threshold) { above_ |= v > threshold; }
    void join(const Any& other) { above_ |= other.above_; }
    bool found() const {
#if defined(__AVX2__)
        return _mm256_movemask_ps(reinterpret_cast<__m256>(above_)) != 0;
#elif defined(__SSE2__)
        return _mm_movemask_ps(reinterpret_cast<__m128>(above_)) != 0;
#elif defined(VELOCELL_NEON)
        return vmaxvq_u32(reinterpret_cast<uint32x4_t>(above_)) != 0;
#else
        bool any = false;
        for (int i = 0; i < kLanes; ++i) any |= above_[i] != 0;
        return any;
#endif
    }

private:
    typedef std::int32_t Lanes __attribute__((vector_size(4 * kLanes)));
    Lanes above_ = {};
#endif
};

// 0 where |v| < limit.
inline Floats without_small(Floats v, Floats limit) { return ((v < limit) & (-v < limit)) ? Floats{} : v; }

inline int ones(std::uint64_t bits) { return __builtin_popcountll(bits); }
inline int lowest(std::uint64_t bits) { return __builtin_ctzll(bits); }  // of bits that are not all 0

#else

#if defined(_MSC_VER)
#pragma fp_contract(off)
#endif

template <int kWidth>
struct Vector {
    struct Floats {
        float at[kWidth];
        friend Floats operator+(Floats a, const Floats& b) {
            for (int i = 0; i < kWidth; ++i) a.at[i] += b.at[i];
            return a;
        }
        friend Floats operator*(Floats a, const Floats& b) {
            for (int i = 0; i < kWidth; ++i) a.at[i] *= b.at[i];
            return a;
        }
        Floats& operator+=(const Floats& other) { return *this = *this + other; }
    };
    static Floats load(const float* from) {
        Floats value;
        for (int i = 0; i < kWidth; ++i) value.at[i] = from[i];
        return value;
    }
    static void store(float* to, const Floats& value) {
        for (int i = 0; i < kWidth; ++i) to[i] = value.at[i];
    }
    static Floats all(float value) {
        Floats many;
        for (int i = 0; i < kWidth; ++i) many.at[i] = value;
        return many;
    }
};
using Lanes = Vector<kLanes>;
using Floats = Lanes::Floats;

struct Whole {
    static constexpr int kLanes = 8;
    struct Numbers {
        std::int16_t at[kLanes];
        friend Numbers operator+(Numbers a, const Numbers& b) {
            for (int i = 0; i < kLanes; ++i) a.at[i] = static_cast<std::int16_t>(a.at[i] + b.at[i]);
            return a;
        }
    };
    static Numbers load(const std::int16_t* from) {
        Numbers value;
        for (int i = 0; i < kLanes; ++i) value.at[i] = from[i];
        return value;
    }
    static void store(std::int16_t* to, const Numbers& value) {
        for (int i = 0; i < kLanes; ++i) to[i] = value.at[i];
    }
};

inline Floats widened(const std::int16_t* from) {
    Floats value;
    for (int i = 0; i < kLanes; ++i) value.at[i] = from[i];
    return value;
}

inline std::uint32_t above(const Floats& v, const Floats& threshold) {
    std::uint32_t bits = 0;
    for (int i = 0; i < kLanes; ++i) bits |= static_cast<std::uint32_t>(v.at[i] > threshold.at[i]) << i;
    return bits;
}

class Any {
public:
    void compare(const Floats& v, const Floats& threshold) { bits_ |= above(v, threshold); }
    void join(const Any& other) { bits_ |= other.bits_; }
    bool found() const { return bits_ != 0; }

private:
    std::uint32_t bits_ = 0;
};

inline Floats without_small(Floats v, const Floats& limit) {
    for (int i = 0; i < kLanes; ++i) v.at[i] = v.at[i] < limit.at[i] && -v.at[i] < limit.at[i] ? 0.0F : v.at[i];
    return v;
}

inline int ones(std::uint64_t bits) {
    bits -= bits >> 1 & 0x5555555555555555;
    bits = (bits & 0x3333333333333333) + (bits >> 2 & 0x3333333333333333);
    return static_cast<int>(((bits + (bits >> 4)) & 0x0f0f0f0f0f0f0f0f) * 0x0101010101010101 >> 56);
}
inline int lowest(std::uint64_t bits) { return ones(~bits & (bits - 1)); }

#endif

#if !defined(VELOCELL_NEON)

// Which lanes of a block were above the threshold, vector by vector, each once.
class Fired {
public:
    void compare(int lane, const Floats& v, const Floats& threshold) { bits_ |= above(v, threshold) << lane; }
    std::uint32_t bits() const { return bits_; }

private:
    std::uint32_t bits_ = 0;
};

#endif
