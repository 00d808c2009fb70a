// What compilers and processors have under different names. Where VELOCELL_PLAIN is defined (`make plain`), everything
// is as for a compiler of which nothing is known.
#pragma once

#include <cstdint>

#if (defined(__GNUC__) || defined(__clang__)) && !defined(VELOCELL_PLAIN)
#define VELOCELL_GNU 1  // GCC and Clang, whatever system they build for
#endif

namespace velocell {

// Inlined, or the calls are dropped: to GCC, who only asks the memory has no effect.
#if defined(VELOCELL_GNU)
#define VELOCELL_INLINE [[gnu::always_inline]] inline
#else
#define VELOCELL_INLINE inline
#endif

// Asks the memory for what will soon be written; of no effect but speed. Only to be called by what is inlined too.
VELOCELL_INLINE void prefetch([[maybe_unused]] const void* at) {
#if defined(VELOCELL_GNU)
    __builtin_prefetch(at, 1);
#endif
}

// The upper 64 bits of a product.
inline std::uint64_t high_product(std::uint64_t a, std::uint64_t b) {
#if defined(VELOCELL_GNU) && defined(__SIZEOF_INT128__)
    __extension__ using Wide = unsigned __int128;
    return static_cast<std::uint64_t>((static_cast<Wide>(a) * b) >> 64);
#else
    const std::uint64_t a0 = a & 0xffffffff, a1 = a >> 32, b0 = b & 0xffffffff, b1 = b >> 32;
    const std::uint64_t middle = a1 * b0 + (a0 * b0 >> 32);
    const std::uint64_t other = a0 * b1 + (middle & 0xffffffff);
    return a1 * b1 + (middle >> 32) + (other >> 32);
#endif
}

}  // namespace velocell
