// Engine: a network's state and the events that step through it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "layer.hpp"
#include "plan.hpp"
#include "trail.hpp"

namespace velocell {

// A chunk of a recording; p is null where it has no polarity.
struct Chunk {
    const std::int64_t* t;
    const std::uint16_t* x;
    const std::uint16_t* y;
    const std::uint8_t* p;
    std::size_t size;

    Chunk from(std::size_t first) const { return {t + first, x + first, y + first, p ? p + first : nullptr, size - first}; }
    Chunk to(std::size_t last) const { return {t, x, y, p, last}; }
};

struct SpikeColumns {
    std::size_t size = 0;
    std::unique_ptr<std::int64_t[]> t_us;
    std::unique_ptr<std::int32_t[]> x, y, channel, layer;
};

class Engine {
public:
    Engine(NetworkSpec spec, std::size_t threads, std::size_t max_spikes);
    Engine(const Engine& other) : Engine(other, Use(other)) {}
    Engine& operator=(const Engine&) = delete;

    // Runs all ticks that end at or before `until_us` (without: the last event's time). Events of
    // later ticks wait. `interrupted` is asked every few milliseconds, on the calling thread.
    // final_only: the spikes of the last layer alone are given; there are many of the others.
    SpikeColumns step(const Chunk& chunk, std::optional<std::int64_t> until_us, std::function<bool()> interrupted,
                      bool final_only = false);

    // Events before this time were run already.
    std::int64_t next_us() const { return next_tick_ ? *next_tick_ * spec_.dt_us : 0; }
    const NetworkSpec& spec() const { return spec_; }
    std::size_t membrane_bytes() const;
    // All memory of the state, so that no step has to.
    void allocate();

    std::size_t threads, max_spikes;

private:
    friend class Archive;

    // Held while a state is used: Python calls without its lock, from any thread.
    class Use {
    public:
        explicit Use(const Engine& engine);
        ~Use() { engine_.busy_ = false; }
        Use(const Use&) = delete;
        Use& operator=(const Use&) = delete;

    private:
        const Engine& engine_;
    };

    Engine(const Engine& other, const Use&);

    struct Pending {
        std::vector<std::int64_t> t;
        std::vector<std::uint16_t> x, y;
        std::vector<std::uint8_t> p;

        void append(const Chunk& chunk);
        void drop(std::size_t n);
        Chunk chunk() const { return {t.data(), x.data(), y.data(), p.data(), t.size()}; }
    };

    void check(const Chunk& chunk, std::int64_t not_before_us) const;
    // The spikes of one block of ticks.
    struct Block {
        std::vector<std::int64_t> ticks;
        std::vector<BlockSpikes> layers;
    };

    void run(Team& team, Chunk chunk, Budget& budget, std::vector<Block>& blocks);
    std::size_t stage(const Chunk& chunk, BlockEvents& block, std::vector<std::int64_t>& ticks);
    template <typename CodeOf>
    std::size_t stage_with(const Chunk& chunk, BlockEvents& block, std::vector<std::int64_t>& ticks, const CodeOf& code_of) const;
    SpikeColumns columns_of(Team& team, Budget& budget, const std::vector<Block>& blocks, std::size_t from_layer) const;

    NetworkSpec spec_;
    bool sees_polarity_;
    std::optional<TrailFilter> trail_;
    std::vector<Layer> layers_;
    std::optional<std::int64_t> next_tick_;
    Pending pending_;
    bool broken_ = false;  // a step ended within a tick
    mutable std::atomic<bool> busy_ = false;
    // Of the block that is run and the one after it; a layer's spikes for the next. Kept for their memory.
    BlockEvents here_, next_, between_;
    std::size_t block_ticks_;
};

}  // namespace velocell
