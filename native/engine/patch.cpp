#include "patch.hpp"

namespace velocell {

extern const PatchOps patch_baseline;
#if defined(VELOCELL_X86)
extern const PatchOps patch_avx2, patch_avx512;
#endif

const PatchVariants& patch_variants() {
    static const PatchVariants found = [] {
        PatchVariants variants{{&patch_baseline}, 1};
#if defined(VELOCELL_X86)
        __builtin_cpu_init();
        if (__builtin_cpu_supports("avx2")) variants.ops[variants.count++] = &patch_avx2;
        if (__builtin_cpu_supports("avx512f")) variants.ops[variants.count++] = &patch_avx512;
#endif
        return variants;
    }();
    return found;
}

}  // namespace velocell
