#include "patch.hpp"
#include "portable.hpp"

#include <arm_neon.h>

#define VELOCELL_NEON 1

namespace velocell {

namespace {
#include "patch_body.hpp"
#include "patch_update.hpp"
}

extern const PatchOps patch_neon;
const PatchOps patch_neon{"neon", add, spill, update, settle};

}  // namespace velocell
