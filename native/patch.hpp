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

constexpr std::int32_t kTile = 128;   // px, side of a tile
constexpr std::int32_t kBlock = 16;   // floats, one cache line: what an update works on
constexpr std::int32_t kUnit = 8;     // floats; rows of patches are padded with zeros to a multiple
constexpr std::int32_t kSpan = 4;     // px: spikes in a row that are this close together make one event
constexpr std::int32_t kPatterns = 8; // of such spikes, the first is always there
// A row of currents has a block more on both sides, for what patches add beyond the tile.
constexpr std::int32_t kStride = kTile + 2 * kBlock;
constexpr std::int32_t kTouchedRows = kTile + kBlock;

// One event, or up to kSpan spikes of one row and channel: bit i of `pattern` stands for x + i + 1.
struct Event {
    std::uint16_t x, y;
    std::uint16_t code;          // which list of patches it drives
    std::uint16_t tick : 13;     // index into the block's table of ticks
    std::uint16_t pattern : 3;
};
static_assert(sizeof(Event) == 8);

// A kernel, mirrored and cropped to its weights; its first weight goes to (x + left, y + top).
// For every pattern there is the sum of the patches, `size` floats apart.
struct Patch {
    std::int32_t buffer;
    std::int32_t left, top, rows, units, size;
    const float* weights;
};

// Currents of one tick, summed before any membrane is touched. A buffer serves all channels that
// see the same sum.
struct Buffer {
    float* currents;         // (kTile, kStride)
    std::uint16_t* touched;  // (kTouchedRows): bit b: block b of the row
    bool active;             // any touched
};

// A channel in one tick. Membrane S = (v - v_leak), scaled: S += weight * I; spike where S > threshold.
struct Channel {
    float weight, threshold, reset;
    bool memoryless;              // S is 0 before every tick
    float* membranes;             // (height, kTile) of this tile
    std::uint32_t* spikes;        // where the next spike is written, as y << 16 | x
    const float* const* currents; // of the buffers whose sum is the current
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
    // buffers. Every channel must have room for as many spikes as the tile has pixels, and kBlock more.
    void (*update)(const Extent& tile, Buffer* const* active, std::size_t active_count, Channel* channels,
                   std::size_t channel_count);
};

// Slowest first; those this processor cannot run are left out.
struct PatchVariants {
    const PatchOps* ops[4];
    std::size_t count;
};
const PatchVariants& patch_variants();

}  // namespace velocell
