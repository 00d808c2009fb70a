#include "patch.hpp"

#if defined(_MSC_VER)
#include <immintrin.h>
#include <intrin.h>
#endif

namespace velocell {

extern const PatchOps patch_baseline;
#if defined(VELOCELL_X86)
extern const PatchOps patch_avx2, patch_avx512;
#endif
#if defined(VELOCELL_ARM64)
extern const PatchOps patch_neon;
#endif

#if defined(VELOCELL_X86)
namespace {

struct Abilities {
    bool avx2, avx512;
};

// Of the processor, where the system keeps the registers. With AVX2 goes BMI2, which nearly all processors with it have:
// a shift by a variable number takes one step and not three.
Abilities abilities() {
#if defined(_MSC_VER)
    int leaf[4];
    __cpuid(leaf, 0);
    const int leaves = leaf[0];
    __cpuid(leaf, 1);
    if (leaves < 7 || (leaf[2] & 1 << 27) == 0) return {false, false};
    const auto kept = static_cast<unsigned>(_xgetbv(0));
    __cpuidex(leaf, 7, 0);
    const auto has = [&](int bit) { return (leaf[1] >> bit & 1) != 0; };
    const bool avx2 = (kept & 0x06) == 0x06 && has(5) && has(8);
    return {avx2, avx2 && (kept & 0xe6) == 0xe6 && has(16)};
#else
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("bmi2") != 0;
    return {avx2, avx2 && __builtin_cpu_supports("avx512f") != 0};
#endif
}

}  // namespace
#endif

const PatchVariants& patch_variants() {
    static const PatchVariants found = [] {
        PatchVariants variants{{&patch_baseline}, 1};
#if defined(VELOCELL_X86)
        const Abilities can = abilities();
        if (can.avx2) variants.ops[variants.count++] = &patch_avx2;
        if (can.avx512) variants.ops[variants.count++] = &patch_avx512;
#endif
#if defined(VELOCELL_ARM64)
        variants.ops[variants.count++] = &patch_neon;  // every such processor has it
#endif
        return variants;
    }();
    return found;
}

}  // namespace velocell
