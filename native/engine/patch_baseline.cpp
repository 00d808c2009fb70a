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

extern const PatchOps patch_baseline;
const PatchOps patch_baseline{"baseline", add, spill, update, settle};

}  // namespace velocell
