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

constexpr std::int32_t kWidth = 256, kHeight = 128;  // px, of a tile
// Planes of membranes and currents are made of blocks of 4 x 4 px, one cache line each: what a round kernel reaches
// takes half as many of them as of lines along a row.
constexpr std::int32_t kSide = 4, kSideBits = 2;  // px, of a block
constexpr std::int32_t kBlock = kSide * kSide;   // floats
constexpr std::int32_t kColumns = kWidth / kSide, kLines = kHeight / kSide;  // of blocks, in a tile
using Line = std::uint64_t;  // a bit per block of one
// What patches of up to kMargin + 1 blocks add beyond a tile goes to a margin, which is never read: cheaper than to cut
// them. The margin to the right of a line is that to the left of the next one. Lines lie an odd number of cache lines
// apart: with a power of two, those that a patch reaches would share their addresses modulo 4096, and the processor
// takes a load for one of a store that is still on the way.
constexpr std::int32_t kMargin = 7;                  // blocks
constexpr std::int32_t kPitch = kColumns + kMargin;  // blocks
constexpr std::int32_t kPlane = kLines * kPitch * kBlock;  // floats, of membranes, which have no lines beyond the tile
constexpr std::int32_t kBeyond = (kMargin * kPitch + kMargin) * kBlock;  // floats, of currents before and behind those
// Spikes in a row that are closer together than this make one event. (With 4 px there are eight patterns, whose weights
// push each other out of the first cache, for a tenth fewer events.)
constexpr std::int32_t kSpan = 2;
constexpr std::int32_t kPatterns = 2;  // of such spikes, the first is always there
constexpr std::int32_t kReach[kPatterns] = {0, 1};  // px from an event to the last spike of its pattern

// Where a tile's pixel lies in a plane.
constexpr std::int32_t place_of(std::int32_t x, std::int32_t y) {
    return (y / kSide * kPitch + x / kSide) * kBlock + y % kSide * kSide + x % kSide;
}

// One event, or up to kSpan spikes of one row and channel: bit i of `pattern` stands for x + i + 1.
struct Event {
    std::uint16_t x, y;
    std::uint16_t code;          // which list of patches it drives
    std::uint16_t tick : 13;     // index into the block's table of ticks
    std::uint16_t pattern : 3;
};
static_assert(sizeof(Event) == 8);

// Where in a block an event's patch begins.
struct Beginning {
    std::ptrdiff_t weights;  // the first of these
    const Line* marks;       // a bit for each block with weights, line by line; none for patches wider than a tile
    std::int32_t columns;    // blocks that are added to
};

// A kernel, mirrored and cropped to its weights; its first weight goes to (x + left, y + top). It is kept as columns,
// kSide floats wide, with zeros above and below, so that the floats for a block lie in one piece wherever the patch
// begins in it, and once for each column of a block where it may begin: of a column (4 lines + 3, kSide) floats, `column`
// of them; of a beginning `shift`; of a pattern (then the sum of the patches) `size`.
struct Patch {
    std::int32_t buffer;
    std::int32_t left, top, width, rows;  // px; without pattern
    std::int32_t lines;             // blocks that are added to
    std::int32_t columns[kPatterns];
    std::ptrdiff_t column, shift, size;
    const float* weights;
    const std::int16_t* counts;     // the same in units; none where these are not counted
    const Beginning* beginnings;    // (pattern, row where it begins, column where it begins)
    bool small;                     // never reaches beyond the margin
};

// Blocks of a tile, a bit each, by line; there are kMargin lines more before and behind the tile's, which are never read.
struct alignas(64) Marks {
    Line of[kLines + 2 * kMargin];

    const Line* lines() const { return of + kMargin; }
    Line* lines() { return of + kMargin; }
};

// Currents of one tick, summed before any membrane is touched. A buffer serves all channels that
// see the same sum. Where all weights are small multiples of a unit it counts these, which is exact and takes half
// the memory of floats; `spill` must be called before a count may overflow (see Plan::most).
struct Buffer {
    Marks touched;
    float* currents;       // a plane, with kBeyond before and behind it; of a buffer that counts: what was spilled
    std::int16_t* counts;  // likewise a plane; none: floats are added
    float unit;
    std::uint32_t last;    // the highest channel that it serves, behind which it is cleared
    bool active;           // any touched
    bool spilled;
};

// Which blocks of a channel's membranes hold values of its present period (see Decay), and which of the others those of
// the period before. What is older is 0, whatever stands there: a change of period touches no membrane.
struct Age {
    Line present[kLines], before[kLines];
};
constexpr float kPeriod = 0x1p-96F;  // of a value of the period before, in the present one
// What stays of it is above 2^-86 of a kernel's largest weight; no denormal numbers, they are slow.
constexpr float kLeast = 0x1p+10F;

// A channel in one tick. Membrane S = (v - v_leak), scaled: S += weight * I; spike where S > threshold.
struct Channel {
    float weight, threshold, reset;
    bool memoryless;               // S is 0 before every tick
    float* membranes;              // a plane
    Age* age;
    std::uint32_t* spikes;         // room for those of all pixels of the tile, and kBlock more
    std::uint32_t* spikes_end;     // set by `update`
    const Buffer* const* buffers;  // whose sum is the current
    std::size_t buffer_count;      // at least 1
    std::uint32_t number;
};

struct Extent {
    std::int32_t x, y, width, height;
};

struct PatchOps {
    const char* name;
    // Adds the patches of events of one tick to the currents.
    void (*add)(const Extent& tile, const Event* events, std::size_t count, const Patch* patches,
                const std::uint32_t* first, Buffer* buffers);
    // Moves what a buffer counted to its floats.
    void (*spill)(Buffer& buffer);
    // Adds the currents of the active buffers to the membranes, resets what spikes and clears the
    // buffers. Writes spikes as y << 16 | x. settled: of each line, blocks of the present
    // period in every channel; updated where `all` channels are given.
    void (*update)(const Extent& tile, Buffer* const* active, std::size_t active_count, Channel* channels,
                   std::size_t channel_count, Line* settled, bool all);
    // Brings blocks of membranes to the present period: those of these lines, null: all.
    void (*settle)(float* membranes, Age& age, const Line* blocks);
};

// Slowest first; those this processor cannot run are left out.
struct PatchVariants {
    const PatchOps* ops[4];
    std::size_t count;
};
const PatchVariants& patch_variants();

}  // namespace velocell
