// The innermost work: adding kernel patches of events to one tile's membranes, compiled once per
// instruction set and chosen at run time. All variants give the same bits: products are rounded
// before they are added (no fused multiply-add) and a pixel's additions keep their order.
//
// Only plain types here: this header is compiled with other instruction sets than the rest, and
// an inline function of the standard library must not end up in the program in such a form.
#pragma once

#include <cstddef>
#include <cstdint>

namespace velocell {

constexpr std::int32_t kUnit = 8;  // floats; patch rows are padded with zeros to a multiple

struct Event {
    std::uint16_t x, y;
    std::uint16_t tick;  // index into the block's table of ticks
    std::uint16_t code;  // which list of connections it drives
};

// A kernel, mirrored and cropped to its weights; its first weight goes to (x + left, y + top).
struct Connection {
    std::int32_t channel;
    std::int32_t left, top, rows, units;
    const float* weights;
};

// A channel in one tick: membrane S = (v - v_leak) scaled; S += weight * patch; spike where S > threshold.
struct Now {
    float weight, threshold, reset;
};

// The output pixels a tile owns. A row has kUnit spare floats on both sides, which take what
// patches add beyond the tile and are never read.
struct View {
    float* membranes;
    std::int32_t x, y, width, height;
    std::ptrdiff_t stride, plane;
};

struct Hit {
    std::uint32_t event, connection;
};

struct PatchOps {
    const char* name;
    // Adds the patches of `count` events of one tick. Writes down every patch that left a pixel above
    // its threshold; returns how many. `first` of a code is its first connection.
    std::size_t (*add)(const View& view, const Event* events, std::size_t count, const Connection* connections,
                       const std::uint32_t* first, const Now* now, Hit* hits);
    // Resets the pixels of one patch that are above threshold; writes y << 16 | x of those
    // the tile owns (room for rows * units * kUnit is needed) and returns how many.
    std::size_t (*collect)(const View& view, const Event& event, const Connection& connection, Now now,
                           std::uint32_t* pixels);
    // Sets the pixels of one patch to v_leak.
    void (*clear)(const View& view, const Event& event, const Connection& connection);
};

// Slowest first; those this processor cannot run are left out.
struct PatchVariants {
    const PatchOps* ops[4];
    std::size_t count;
};
const PatchVariants& patch_variants();

}  // namespace velocell
