// Layer: the membranes of one layer, in tiles, and one block of ticks through it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <vector>

#include "plan.hpp"
#include "team.hpp"

namespace velocell {

constexpr std::size_t kMaxTicks = 4096;  // of a block

// A layer's spikes in a block, sorted by tick, channel, y, x. Those of one tick and channel are
// pixels[starts[tick * channels + channel]] up to the next start; a pixel is y << 16 | x.
struct BlockSpikes {
    std::size_t channels = 0;
    std::vector<std::uint32_t> starts, pixels;
};

// What ends a step early: a signal (asked for by worker 0 now and then) or too many spikes.
class Budget {
public:
    Budget(std::function<bool()> interrupted, std::size_t spikes) : interrupted_(std::move(interrupted)), left_(spikes) {}

    // Throws Interrupted or EngineFault. `spikes`, `work` (floats added): since the last call.
    void spend(std::size_t worker, std::size_t spikes, std::size_t work);

private:
    std::function<bool()> interrupted_;
    std::atomic<std::size_t> left_;
    std::size_t work_ = 0;  // of worker 0
};

class Layer {
public:
    Layer(std::shared_ptr<const Plan> plan, std::int32_t width, std::int32_t height);
    Layer(const Layer& other);
    Layer& operator=(const Layer&) = delete;

    // Run a block whose i-th tick with events is ticks[i]: events in the order of their times, or
    // the spikes of the layer before.
    BlockSpikes run(Team& team, const std::vector<Event>& events, const std::vector<std::int64_t>& ticks, Budget& budget);
    BlockSpikes run(Team& team, const BlockSpikes& before, const std::vector<std::int64_t>& ticks, Budget& budget);

    std::size_t bytes() const;  // of membranes

private:
    friend class Archive;

    struct Free {
        void operator()(float* memory) const { ::operator delete[](memory, std::align_val_t{64}); }
    };
    using Floats = std::unique_ptr<float[], Free>;
    struct Tile {
        Extent extent;
        std::vector<std::int64_t> periods;  // per channel
        Floats membranes;                   // (channels, height, kTile); none before the first event
        std::size_t worker = 0, first_run = 0, last_run = 0;  // of the block
    };
    // Spikes of one tile, tick and channel: worker's spikes[begin..end)
    struct Run {
        std::uint32_t tick, channel, worker;
        std::size_t begin, end;
    };
    struct Worker {
        std::vector<std::size_t> fill;  // per tile: how many events, then where the next one goes
        Floats currents;
        std::vector<std::uint16_t> touched;
        std::vector<Buffer> buffers;
        std::vector<Channel> channels;
        std::vector<std::uint32_t> numbers;    // of those channels
        std::vector<const float*> of_channel;  // their lists of buffers
        std::vector<Buffer*> active;
        std::vector<std::uint32_t> room;                 // spikes of one tick, per channel
        std::vector<std::uint32_t> spikes;               // of the block
        std::vector<Run> runs;
        std::vector<std::uint32_t> rows;  // for sorting
    };

    static Floats floats(std::size_t count);
    void allocate(Tile& tile) const;
    std::ptrdiff_t plane(const Tile& tile) const;
    void prepare(Team& team, const std::vector<std::int64_t>& ticks);
    template <typename Source>
    void distribute(Team& team, const Source& source);
    void run_tiles(Team& team, Budget& budget);
    std::size_t run_tick(Tile& tile, const Event* events, std::size_t count, std::size_t number);
    void change_period(Tile& tile, std::size_t channel, std::int64_t period) const;
    BlockSpikes collect(Team& team, std::size_t ticks);
    void sort_tick(const Run* begin, const Run* end, Worker& worker, std::uint32_t* starts, std::uint32_t* pixels) const;

    std::shared_ptr<const Plan> plan_;
    std::int32_t width_, height_, columns_, rows_;
    std::vector<Tile> tiles_;
    const PatchOps* ops_ = nullptr;
    // Of the block that is run:
    std::vector<Now> now_;
    std::vector<std::int64_t> periods_;
    std::vector<Event> sorted_;        // by tile, then in the order of the stream
    std::vector<std::size_t> starts_;  // of each tile in sorted_
    std::vector<Worker> workers_;
};

// The variant of PatchOps that steps use from now on, by name; throws EngineFault for an unknown one.
void select_patch_ops(const char* name);

}  // namespace velocell
