// Layer: the membranes of one layer, in tiles, and one block of ticks through it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <vector>

#include "floats.hpp"
#include "plan.hpp"
#include "team.hpp"

namespace velocell {

constexpr std::size_t kMaxTicks = 4096;  // of a block
// 5 cache lines more than needed: the same pixel of two channels must not share its address modulo
// 4096, the processor would take one for the other.
constexpr std::size_t kChannelPlane = kPlane + 5 * kBlock;

// What a layer sees in a block: the events of its i-th tick are events[starts[i]] up to events[ends[i]],
// each in the order of the stream. There may be unused events between and behind.
struct BlockEvents {
    std::vector<Event> events;
    std::vector<std::size_t> starts, ends;  // of each tick

    void clear();
    std::size_t ticks() const { return ends.size(); }
};

// A layer's spikes in a block, sorted by tick, channel, y, x. Those of one tick and channel are
// pixels[starts[tick * channels + channel]] up to the next start; a pixel is y << 16 | x.
struct BlockSpikes {
    std::size_t channels = 0;
    std::vector<std::uint32_t> starts;
    std::unique_ptr<std::uint32_t[]> pixels;

    std::size_t size() const { return starts.back(); }
};

// What ends a step early: a signal, or too many spikes.
class Budget {
public:
    // interrupted: whether a signal handler raised; asked on the calling thread only.
    Budget(std::function<bool()> interrupted, std::size_t spikes) : interrupted_(std::move(interrupted)), left_(spikes) {}

    // `spikes`, `work` (about the floats added): since the last call. Throws Interrupted or EngineFault.
    // To be called every few milliseconds by whoever works.
    void spend(std::size_t worker, std::size_t spikes, std::size_t work);
    // For the calling thread: notes a signal, which the next `spend` of every worker throws.
    void poll() noexcept { if (interrupted_()) stopped_ = true; }

    static constexpr std::size_t kWorkPerPoll = 1 << 22;  // 1 to 4 ms

private:
    std::function<bool()> interrupted_;
    std::atomic<std::size_t> left_;
    std::atomic<bool> stopped_ = false;
    std::size_t work_ = 0;  // of worker 0
};

class Layer {
public:
    Layer(std::shared_ptr<const Plan> plan, std::int32_t width, std::int32_t height);
    Layer(const Layer& other);
    Layer& operator=(const Layer&) = delete;

    // Runs a block whose i-th tick with events is ticks[i]. `next`, where given, gets what the next
    // layer sees. `meanwhile`, where given, is other work, for a thread that has no tile to do.
    BlockSpikes run(Team& team, const BlockEvents& events, const std::vector<std::int64_t>& ticks, Budget& budget,
                    BlockEvents* next, const std::function<void()>& meanwhile);

    std::size_t membrane_bytes() const;
    void allocate();  // the membranes of all tiles, which else come with a tile's first event

private:
    friend class Archive;

    struct Tile {
        Extent extent;
        std::vector<std::int64_t> periods;  // per channel
        Floats membranes;                   // a plane per channel; none before the first event
        std::unique_ptr<Age[]> ages;        // per channel
        Line settled[kLines] = {};          // blocks of the present period in every channel; there may be more
        std::size_t worker = 0, first_run = 0, last_run = 0;  // of the block
    };
    // Spikes of one tile, tick and channel.
    struct Run {
        std::uint32_t tick, channel;
        const std::uint32_t *begin, *end;

        std::size_t size() const { return static_cast<std::size_t>(end - begin); }
    };
    // Spikes of a block, in pieces of memory that stay where they are: growing one array takes too long.
    class SpikeStore {
    public:
        std::uint32_t* room(std::size_t count);
        void take(std::size_t count) { used_ += count; }
        void clear() { piece_ = used_ = 0; }

    private:
        struct Piece {
            std::unique_ptr<std::uint32_t[]> first;
            std::size_t size;
        };
        std::vector<Piece> pieces_;
        std::size_t piece_ = 0, used_ = 0;
    };
    // The tiles that an event's patches reach, along a row or a column; none: first > last.
    struct Reach {
        std::uint16_t first, last;
    };
    // A plain growing list: std::vector's push_back is measurably slower here.
    struct TileEvents {
        std::unique_ptr<Event[]> first;
        Event *end = nullptr, *room = nullptr;

        void push(const Event& event) {
            if (end == room) grow();
            *end++ = event;
        }
        void grow();
        void clear() { end = first.get(); }
        std::size_t size() const { return static_cast<std::size_t>(end - first.get()); }
    };
    struct Worker {
        std::vector<TileEvents> events;  // per tile, of the ticks this worker distributed
        Floats currents;
        Counts counts;
        std::unique_ptr<std::uint32_t[]> found;  // spikes of a tick, channel by channel
        std::vector<Buffer> buffers;
        std::vector<Channel> channels;
        std::vector<const Buffer*> of_channel;  // their lists of buffers
        std::vector<Buffer*> active;
        SpikeStore spikes;
        std::vector<Run> runs;
        std::vector<std::uint32_t> rows;  // for sorting
    };

    static std::vector<Reach> reaches(std::int32_t size, std::int32_t low, std::int32_t high, int bits);
    void allocate(Tile& tile) const;
    void prepare(Team& team, const std::vector<std::int64_t>& ticks);
    void distribute(Team& team, const BlockEvents& events, Budget& budget);
    void run_tiles(Team& team, Budget& budget, const std::function<void()>& meanwhile);
    void equip(Worker& worker) const;
    void run_tick(Tile& tile, const Event* events, std::size_t count, std::size_t number, Budget& budget);
    static void change_period(Tile& tile, std::size_t channel, std::int64_t period);
    static void settle(const Tile& tile);
    static void settle(const Tile& tile, std::size_t channel);
    BlockSpikes collect(Team& team, std::size_t ticks, Budget& budget, BlockEvents* next);
    void sort_tick(const Run* begin, const Run* end, Worker& worker, std::uint32_t* starts, std::uint32_t* pixels) const;

    std::shared_ptr<const Plan> plan_;
    std::int32_t width_, height_, columns_, rows_;
    std::vector<Reach> across_, down_;  // of each x, of each y
    std::vector<Tile> tiles_;
    const PatchOps* ops_ = nullptr;
    // Of the block that is run:
    std::vector<Now> now_;
    std::vector<std::int64_t> periods_;
    std::vector<std::size_t> order_;  // tiles with events
    std::vector<Worker> workers_;
};

// The variant of PatchOps that steps use from now on, by name; throws EngineFault for an unknown one.
void select_patch_ops(const char* name);

}  // namespace velocell
