#include "patch.hpp"
#include "portable.hpp"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace velocell {

namespace {
#include "patch_body.hpp"
#include "patch_update.hpp"
}

extern const PatchOps patch_avx512;
const PatchOps patch_avx512{"avx512", add, spill, update, settle};

}  // namespace velocell
