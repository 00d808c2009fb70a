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

// Events of a block in the order of their times; `tick` counts the block's ticks that have events.
struct Events {
    std::vector<std::uint16_t> x, y, tick, code;

    std::size_t size() const { return x.size(); }
    void clear();
    void resize(std::size_t n);
};

// tick << 50 | channel << 32 | y << 16 | x: sorted, it is the canonical order of one layer's spikes
using Key = std::uint64_t;
constexpr int kTickShift = 50, kChannelShift = 32, kRowShift = 16;
constexpr std::size_t kMaxTicks = std::size_t{1} << (64 - kTickShift);

// What ends a step early: a signal (asked for by worker 0 now and then) or too many spikes.
class Budget {
public:
    Budget(std::function<bool()> interrupted, std::size_t spikes) : interrupted_(std::move(interrupted)), left_(spikes) {}

    // Throws Interrupted or EngineFault. `spikes`, `work`: since the last call.
    void spend(std::size_t worker, std::size_t spikes, std::size_t work);

private:
    std::function<bool()> interrupted_;
    std::atomic<std::size_t> left_;
    std::size_t work_ = 0;  // of worker 0
};

class Layer {
public:
    static constexpr std::int32_t kTile = 128;  // px

    Layer(Plan plan, std::int32_t width, std::int32_t height);
    Layer(const Layer& other);
    Layer& operator=(const Layer&) = delete;

    const Plan& plan() const { return plan_; }

    // Runs a block whose i-th tick with events is ticks[i]; leaves its spikes, sorted, in `spikes`.
    void run(Team& team, const Events& events, const std::vector<std::int64_t>& ticks, Budget& budget,
             std::vector<Key>& spikes);

private:
    friend class Archive;

    struct Free {
        void operator()(float* memory) const { ::operator delete[](memory, std::align_val_t{64}); }
    };
    struct Tile {
        std::int32_t x, y, width, height;
        std::ptrdiff_t stride, plane;
        std::vector<std::int64_t> periods;            // per channel
        std::unique_ptr<float[], Free> membranes;     // (channels, height, stride); none before the first event
        std::size_t floats() const { return static_cast<std::size_t>(plane) * periods.size(); }
        View view() const { return {membranes.get(), x, y, width, height, stride, plane}; }
    };
    struct Worker {
        std::vector<std::size_t> fill;  // per tile: events, then where the next one goes
        std::vector<Hit> hits;
        std::vector<std::uint32_t> pixels;
        std::vector<Key> spikes;
    };

    void allocate(Tile& tile) const;
    void distribute(Team& team, const Events& events);
    template <typename Visit>
    void visit_tiles(const Events& events, std::size_t begin, std::size_t end, Visit&& visit) const;
    void run_tile(Tile& tile, const Event* begin, const Event* end, std::size_t number, Worker& worker, Budget& budget);
    void run_tick(Tile& tile, const Event* events, std::size_t count, Worker& worker);
    void change_period(Tile& tile, std::int32_t channel, std::int64_t period) const;

    Plan plan_;
    std::int32_t width_, height_, columns_, rows_;
    std::vector<Tile> tiles_;
    const PatchOps* ops_ = nullptr;
    // Of the block that is run:
    std::vector<Now> now_;
    std::vector<std::int64_t> periods_;
    std::vector<Event> sorted_;         // by tile, then in the order of the stream
    std::vector<std::size_t> starts_;   // of each tile in sorted_
    std::vector<Worker> workers_;
};

// The variant of PatchOps that steps use from now on, by name; throws EngineFault for an unknown one.
void select_patch_ops(const char* name);
const PatchOps& selected_patch_ops();

}  // namespace velocell
