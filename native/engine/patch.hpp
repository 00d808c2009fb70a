// The innermost work on one tile in one tick, compiled once per instruction set and chosen at run
// time. All variants give the same bits: products are rounded before they are added (no fused
// multiply-add), and a pixel's additions keep their order.
//
// Only plain types here: this header is compiled with other instruction sets than the rest, and
// an inline function of the standard library must not end up in the program in such a form.
#pragma once

#include <cstddef>
#include <cstdint>

namespace velocell {

constexpr std::int32_t kWidth = 128, kHeight = 128;  // px, of a tile
constexpr std::int32_t kBlock = 16;    // floats, one cache line: what an update works on
constexpr std::int32_t kUnit = 8;      // floats; rows of patches are padded with zeros to a multiple
constexpr std::int32_t kColumns = kWidth / kBlock;
constexpr std::int32_t kSpan = 4;      // px: spikes in a row that are this close together make one event
constexpr std::int32_t kPatterns = 8;  // of such spikes, the first is always there
// Before each row of currents lies a block that takes what patches add beyond the tile, to the left of
// this row and to the right of the one before; it is never read. Rows lie an odd number of cache lines
// apart: with a power of two the rows of a patch would share their addresses modulo 4096, and the
// processor takes a load for one of a store that is still on the way.
constexpr std::int32_t kStride = kWidth + kBlock;
constexpr std::int32_t kPlane = kHeight * kStride + kBlock;  // floats, the first block of them before row 0

// One event, or up to kSpan spikes of one row and channel: bit i of `pattern` stands for x + i + 1.
struct Event {
    std::uint16_t x, y;
    std::uint16_t code;          // which list of patches it drives
    std::uint16_t tick : 13;     // index into the block's table of ticks
    std::uint16_t pattern : 3;
};
static_assert(sizeof(Event) == 8);

// A kernel, mirrored and cropped to its weights; its first weight goes to (x + left, y + top).
// Rows have `units` * kUnit floats. For every pattern there is the sum of the patches, `size` floats apart.
struct Patch {
    std::int32_t buffer;
    std::int32_t left, top, rows, units, size;
    const float* weights;  // aligned to 32 bytes
};

// Blocks of a tile: for each column of blocks a bit per pair of rows.
struct alignas(64) Marks {
    std::uint64_t rows[kColumns];
};

// Currents of one tick, summed before any membrane is touched. A buffer serves all channels that
// see the same sum.
struct Buffer {
    Marks touched;
    float* currents;  // (kHeight, kStride)
    bool active;      // any touched
};

// A channel in one tick. Membrane S = (v - v_leak), scaled: S += weight * I; spike where S > threshold.
struct Channel {
    float weight, threshold, reset;
    bool memoryless;              // S is 0 before every tick
    float* membranes;             // (kHeight, kStride) of this tile
    std::uint32_t* spikes_end;    // set by `update`: its spikes lie before, those of the channel before end where they begin
    const Buffer* const* buffers; // whose sum is the current
    std::size_t buffer_count;     // at least 1
};

struct Extent {
    std::int32_t x, y, width, height;
};

struct PatchOps {
    const char* name;
    // Adds the patches of events of one tick to the currents.
    void (*add)(const Extent& tile, const Event* events, std::size_t count, const Patch* patches,
                const std::uint32_t* first, Buffer* buffers);
    // Adds the currents of the active buffers to the membranes, resets what spikes and clears the
    // buffers. Writes spikes as y << 16 | x, one channel after the other; there must be room for all
    // pixels of the tile in all channels, and kBlock more.
    void (*update)(const Extent& tile, Buffer* const* active, std::size_t active_count, Channel* channels,
                   std::size_t channel_count, std::uint32_t* spikes);
    // Multiplies a plane of membranes; those below `least` become 0.
    void (*fade)(float* membranes, float factor, float least);
};

// Slowest first; those this processor cannot run are left out.
struct PatchVariants {
    const PatchOps* ops[4];
    std::size_t count;
};
const PatchVariants& patch_variants();

}  // namespace velocell
