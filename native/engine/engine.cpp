// How a step runs. Events are staged in blocks of ticks (`stage`): copied, clamped to the sensor and
// passed through the trail filter. A layer lists a block's events for every tile of 256 x 128 px that
// their patches reach and runs one tile after the other (`Layer::run_tiles`), so that its membranes
// stay in cache. In a tick a tile adds one kernel patch per event to a plane of currents, counted in whole
// units where the weights allow it; then every touched cache line of the membranes, 4 x 4 px, takes its
// currents, times the channel's weight, and is compared with the threshold. The decay is in that weight
// (decay.hpp), so nothing sweeps over pixels. The sorted spikes of a block are the next layer's events;
// neighbours in a row make one of them (kSpan). One thread stages the next block meanwhile. Tiles
// share nothing: the same bits for any number of threads.
//
// Tried and rejected (2.6 million events of HD-300, CPU time on one core with AVX-512 in alternating runs, times what
// is here; "detect" is the two-layer network with the trail filter; more of it in docs/benchmarks.md):
//   tiles of 128 x 128 px    detect 1.04 and more; of 128 x 256 px 1.1, of 256 x 256 px 1.06
//   blocks of 2^16 events    detect 1.11; layer 1 alone the same
//   one array for a worker's spikes: as fast, but growing it held up Ctrl-C for 0.1 s and more
//   std::vector for the tiles' lists of events: slower than the plain list in layer.hpp
#include "engine.hpp"

#include <algorithm>
#include <limits>
#include <string>

#include "fault.hpp"
#include "pages.hpp"

namespace velocell {

namespace {

constexpr std::int64_t kLastTime = std::int64_t{1} << 56;  // us, 2283 years
constexpr std::size_t kBlockEvents = 1 << 18;
constexpr std::size_t kTableEntries = 1 << 16;         // ticks * channels of a block
constexpr std::size_t kEventsPerThread = 1 << 13;      // below this, starting a thread costs more than it gives

constexpr std::size_t kCopyWork = 32;                   // of a spike, as floats added
constexpr std::size_t kAhead = 64;                     // events, to prefetch

std::int64_t floor_div(std::int64_t a, std::int64_t b) { return a / b - (a % b < 0); }

}  // namespace

Engine::Engine(NetworkSpec spec, std::size_t threads_, std::size_t max_spikes_)
    : threads(threads_), max_spikes(max_spikes_), spec_(std::move(spec)) {
    velocell::check(spec_);
    if (threads < 1) throw EngineFault("the engine needs at least 1 thread");
    if (max_spikes < 1) throw EngineFault("the engine must be allowed at least 1 spike per step");
    const bool filtered = !spec_.trail.silence_us.empty();
    sees_polarity_ = filtered ? spec_.trail.flips : spec_.layers[0].in == 2;
    if (filtered) trail_.emplace(spec_.trail, spec_.width, spec_.height);
    std::int32_t most = 1;
    for (std::size_t i = 0; i < spec_.layers.size(); ++i) {
        const auto order = i == 0 && filtered ? trail_->order() : std::vector<std::int32_t>{};
        layers_.emplace_back(std::make_shared<const Plan>(spec_.layers[i], order, i > 0), spec_.width, spec_.height);
        most = std::max(most, spec_.layers[i].out);
    }
    block_ticks_ = std::clamp<std::size_t>(kTableEntries / most, 16, kMaxTicks);
}

Engine::Use::Use(const Engine& engine) : engine_(engine) {
    if (engine.busy_.exchange(true)) throw EngineFault("this state is in use by another thread; give each thread a copy");
}

Engine::Engine(const Engine& other, const Use&)
    : threads(other.threads),
      max_spikes(other.max_spikes),
      spec_(other.spec_),
      sees_polarity_(other.sees_polarity_),
      trail_(other.trail_),
      layers_(other.layers_),
      next_tick_(other.next_tick_),
      pending_(other.pending_),
      broken_(other.broken_),
      block_ticks_(other.block_ticks_) {}

std::size_t Engine::membrane_bytes() const {
    std::size_t total = 0;
    for (const Layer& layer : layers_) total += layer.membrane_bytes();
    return total;
}

void Engine::allocate() {
    const Use use(*this);
    if (trail_) trail_->allocate();
    for (Layer& layer : layers_) layer.allocate();
}

SpikeColumns Engine::step(const Chunk& chunk, std::optional<std::int64_t> until_us, std::function<bool()> interrupted,
                          bool final_only) {
    const Use use(*this);
    if (broken_) throw EngineFault("a step of this state was cut short; start again with init or an earlier copy");
    check(chunk, std::max(pending_.t.empty() ? 0 : pending_.t.back(), next_us()));
    const std::int64_t dt = spec_.dt_us;
    const bool any = chunk.size > 0 || !pending_.t.empty();
    const std::int64_t last_us = chunk.size > 0 ? chunk.t[chunk.size - 1] : any ? pending_.t.back() : 0;
    const std::int64_t stop_tick = floor_div(until_us.value_or(last_us), dt);
    if (!next_tick_ && any) next_tick_ = floor_div(pending_.t.empty() ? chunk.t[0] : pending_.t[0], dt);
    // Events of ticks from stop_tick on wait.
    const auto ready = [&](const std::int64_t* begin, std::size_t n) {
        return static_cast<std::size_t>(
            std::partition_point(begin, begin + n, [&](std::int64_t t) { return t / dt < stop_tick; }) - begin);
    };
    std::vector<Block> blocks;
    broken_ = true;
    const std::size_t waited = ready(pending_.t.data(), pending_.t.size()), fresh = ready(chunk.t, chunk.size);
    const std::size_t work = waited + fresh;
    Budget budget(std::move(interrupted), max_spikes);
    Team team(std::min(threads, 1 + work / kEventsPerThread), [&] { budget.poll(); });
    std::size_t joined = 0;
    if (waited > 0) {
        // The open tick of the step before gets its last events.
        const std::int64_t tick = pending_.t[waited - 1] / dt;
        while (joined < fresh && chunk.t[joined] / dt == tick) ++joined;
        if (joined > 0) pending_.append(chunk.to(joined));  // then nothing else waits behind them
        run(team, pending_.chunk().to(waited + joined), budget, blocks);
        pending_.drop(waited + joined);
    }
    run(team, chunk.to(fresh).from(joined), budget, blocks);
    pending_.append(chunk.from(fresh));
    if (next_tick_) next_tick_ = std::max(*next_tick_, stop_tick);
    SpikeColumns spikes = columns_of(team, budget, blocks, final_only ? layers_.size() - 1 : 0);
    budget.spend(0, 0, 0);  // a signal during the last work
    broken_ = false;
    return spikes;
}

void Engine::check(const Chunk& chunk, std::int64_t not_before_us) const {
    if (chunk.p == nullptr && sees_polarity_)
        throw RecordingFault("this network needs polarity but the recording has none; calibrate with polarity merge");
    std::int64_t last = not_before_us;
    bool rising = true;
    std::uint16_t right = 0, bottom = 0;
    for (std::size_t i = 0; i < chunk.size; ++i) {
        rising &= chunk.t[i] >= last;
        last = chunk.t[i];
        right = std::max(right, chunk.x[i]);
        bottom = std::max(bottom, chunk.y[i]);
    }
    if (!rising) throw RecordingFault("times go back, within a chunk or between two; chunks must follow in time");
    if (chunk.size > 0 && last > kLastTime)
        throw RecordingFault("times reach beyond 2^56 us; tick numbers would overflow, shift the times");
    if (chunk.size > 0 && (right >= spec_.width || bottom >= spec_.height))
        throw RecordingFault("events lie outside the " + std::to_string(spec_.width) + "x" +
                             std::to_string(spec_.height) + " sensor; give the true size");
}

void Engine::run(Team& team, Chunk chunk, Budget& budget, std::vector<Block>& blocks) {
    std::vector<std::int64_t> next_ticks;
    const auto stage_next = [&] {
        const std::size_t taken = stage(chunk, next_, next_ticks);
        chunk = chunk.from(taken);
    };
    stage_next();
    while (!next_ticks.empty()) {
        Block block;
        std::swap(here_, next_);
        std::swap(block.ticks, next_ticks);
        for (std::size_t i = 0; i < layers_.size(); ++i) {
            if (i > 0) std::swap(here_, between_);
            block.layers.push_back(layers_[i].run(team, here_, block.ticks, budget,
                                                  i + 1 < layers_.size() ? &between_ : nullptr,
                                                  i == 0 ? std::function<void()>(stage_next) : nullptr));
        }
        blocks.push_back(std::move(block));
    }
}

// Copies whole ticks of events, at least one where there are any, into `block`; returns how many events were taken.
// The copy is what all later work trusts: an array that another thread changes meanwhile can give
// wrong spikes, but no access out of bounds.
std::size_t Engine::stage(const Chunk& chunk, BlockEvents& block, std::vector<std::int64_t>& ticks) {
    if (trail_) {
        const auto right = static_cast<std::uint16_t>(spec_.width - 1), bottom = static_cast<std::uint16_t>(spec_.height - 1);
        const TrailFilter::View view = trail_->view();
        return stage_with(chunk, block, ticks, [=](std::size_t i, std::uint16_t x, std::uint16_t y, bool on) {
            const std::size_t ahead = std::min(i + kAhead, chunk.size - 1);
            view.prefetch(std::min(chunk.x[ahead], right), std::min(chunk.y[ahead], bottom));
            return view.rank(chunk.t[i], x, y, on);
        });
    }
    return stage_with(chunk, block, ticks, [polarity = sees_polarity_](std::size_t, std::uint16_t, std::uint16_t, bool on) {
        return static_cast<std::uint16_t>(polarity && on);
    });
}

// code_of(i, x, y, on): the code of the i-th event.
template <typename CodeOf>
std::size_t Engine::stage_with(const Chunk& chunk, BlockEvents& block, std::vector<std::int64_t>& ticks,
                               const CodeOf& code_of) const {
    const std::int64_t dt = spec_.dt_us;
    const auto right = static_cast<std::uint16_t>(spec_.width - 1), bottom = static_cast<std::uint16_t>(spec_.height - 1);
    const Chunk from = chunk;
    const bool filtered = trail_.has_value();
    block.clear();
    ticks.clear();
    std::size_t taken = 0, staged = 0;
    while (taken < from.size && taken < kBlockEvents && ticks.size() < block_ticks_) {
        const std::int64_t tick = from.t[taken] / dt, end = (tick + 1) * dt;
        const auto number = static_cast<std::uint16_t>(ticks.size() & 0x1fff);
        block.starts.push_back(staged);
        bool more = true;
        while (more) {
            if (staged == block.events.size()) block.events.resize(std::max<std::size_t>(2 * staged, 1024));
            Event* const events = block.events.data();
            for (const std::size_t room = block.events.size(); more && staged < room;) {
                const std::uint16_t x = std::min(from.x[taken], right), y = std::min(from.y[taken], bottom);
                const std::uint16_t code = code_of(taken, x, y, from.p != nullptr && from.p[taken] != 0);
                events[staged] = {x, y, code, number, 0};
                staged += !filtered || code != 0;  // rank 0: no channel sees it
                more = ++taken < from.size && from.t[taken] < end;
            }
        }
        ticks.push_back(tick);
        block.ends.push_back(staged);
    }
    return taken;
}

// Canonical order: by tick, then by layer, then as they are.
SpikeColumns Engine::columns_of(Team& team, Budget& budget, const std::vector<Block>& blocks, std::size_t from_layer) const {
    SpikeColumns columns;
    std::vector<std::size_t> starts;
    for (const Block& block : blocks) {
        starts.push_back(columns.size);
        for (std::size_t layer = from_layer; layer < block.layers.size(); ++layer) columns.size += block.layers[layer].size();
    }
    columns.t_us = std::make_unique_for_overwrite<std::int64_t[]>(columns.size);
    prefer_large_pages(columns.t_us.get(), columns.size * sizeof(std::int64_t));
    for (auto* column : {&columns.x, &columns.y, &columns.channel, &columns.layer}) {
        *column = std::make_unique_for_overwrite<std::int32_t[]>(columns.size);
        prefer_large_pages(column->get(), columns.size * sizeof(std::int32_t));
    }
    team.run(blocks.size(), [&](std::size_t worker, std::size_t number) {
        const Block& block = blocks[number];
        std::size_t to = starts[number];
        for (std::size_t tick = 0; tick < block.ticks.size(); ++tick) {
            const std::size_t first = to;
            for (std::size_t layer = from_layer; layer < block.layers.size(); ++layer) {
                const BlockSpikes& spikes = block.layers[layer];
                for (std::size_t c = 0; c < spikes.channels; ++c) {
                    const std::size_t from = spikes.starts[tick * spikes.channels + c];
                    const std::size_t count = spikes.starts[tick * spikes.channels + c + 1] - from;
                    std::fill_n(&columns.t_us[to], count, block.ticks[tick] * spec_.dt_us);
                    std::fill_n(&columns.channel[to], count, static_cast<std::int32_t>(c));
                    std::fill_n(&columns.layer[to], count, static_cast<std::int32_t>(layer));
                    for (std::size_t i = 0; i < count; ++i, ++to) {
                        columns.x[to] = static_cast<std::int32_t>(spikes.pixels[from + i] & 0xffff);
                        columns.y[to] = static_cast<std::int32_t>(spikes.pixels[from + i] >> 16);
                    }
                }
            }
            budget.spend(worker, 0, kCopyWork * (to - first));
        }
    });
    return columns;
}

void Engine::Pending::append(const Chunk& chunk) {
    t.insert(t.end(), chunk.t, chunk.t + chunk.size);
    x.insert(x.end(), chunk.x, chunk.x + chunk.size);
    y.insert(y.end(), chunk.y, chunk.y + chunk.size);
    if (chunk.p != nullptr)
        p.insert(p.end(), chunk.p, chunk.p + chunk.size);
    else
        p.resize(t.size());
}

void Engine::Pending::drop(std::size_t n) {
    t.erase(t.begin(), t.begin() + static_cast<std::ptrdiff_t>(n));
    x.erase(x.begin(), x.begin() + static_cast<std::ptrdiff_t>(n));
    y.erase(y.begin(), y.begin() + static_cast<std::ptrdiff_t>(n));
    p.erase(p.begin(), p.begin() + static_cast<std::ptrdiff_t>(n));
}

}  // namespace velocell
