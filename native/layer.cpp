#include "layer.hpp"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "fault.hpp"

namespace velocell {

namespace {

std::atomic<const PatchOps*> selected{nullptr};

constexpr std::size_t kWorkPerPoll = 1 << 22;  // floats added, about 1 ms
constexpr std::size_t kFewSpikes = 192;        // of a tick: sorted by comparison

const PatchOps& selected_patch_ops() {
    const PatchOps* ops = selected;
    const PatchVariants& variants = patch_variants();
    return ops != nullptr ? *ops : *variants.ops[variants.count - 1];
}

// Sources of events, in parts for several threads: visit(event) for each in order.
struct Stream {
    const std::vector<Event>& events;

    template <typename Visit>
    void visit(std::size_t part, std::size_t parts, Visit&& visit) const {
        for (std::size_t i = events.size() * part / parts; i < events.size() * (part + 1) / parts; ++i) visit(events[i]);
    }
};

// Spikes of one row within kSpan px make one event: their patches were summed beforehand.
struct SpikeSource {
    const BlockSpikes& spikes;

    template <typename Visit>
    void visit(std::size_t part, std::size_t parts, Visit&& visit) const {
        const std::size_t ticks = (spikes.starts.size() - 1) / spikes.channels;
        for (std::size_t tick = ticks * part / parts; tick < ticks * (part + 1) / parts; ++tick)
            for (std::size_t c = 0; c < spikes.channels; ++c) {
                const std::uint32_t end = spikes.starts[tick * spikes.channels + c + 1];
                for (std::uint32_t i = spikes.starts[tick * spikes.channels + c]; i < end;) {
                    const std::uint32_t pixel = spikes.pixels[i];
                    unsigned pattern = 0;
                    for (++i; i < end && spikes.pixels[i] - pixel < kSpan && (spikes.pixels[i] ^ pixel) >> 16 == 0; ++i)
                        pattern |= 1u << (spikes.pixels[i] - pixel - 1);
                    visit(Event{static_cast<std::uint16_t>(pixel), static_cast<std::uint16_t>(pixel >> 16),
                                static_cast<std::uint16_t>(c), static_cast<std::uint16_t>(tick & 0x1fff),
                                static_cast<std::uint16_t>(pattern & 7)});
                }
            }
    }
};

}  // namespace

void select_patch_ops(const char* name) {
    const PatchVariants& variants = patch_variants();
    for (std::size_t i = 0; i < variants.count; ++i)
        if (std::strcmp(variants.ops[i]->name, name) == 0) {
            selected = variants.ops[i];
            return;
        }
    throw EngineFault(std::string("this processor has no variant '") + name + "' of the engine");
}

void Budget::spend(std::size_t worker, std::size_t spikes, std::size_t work) {
    if (spikes > 0 && left_.fetch_sub(spikes) < spikes) {
        left_ = 0;
        throw EngineFault("the network spikes more often than one step may report; raise v_th or feed shorter chunks");
    }
    if (worker != 0) return;
    work_ += work;
    if (work_ < kWorkPerPoll) return;
    work_ = 0;
    if (interrupted_()) throw Interrupted();
}

Layer::Layer(std::shared_ptr<const Plan> plan, std::int32_t width, std::int32_t height)
    : plan_(std::move(plan)),
      width_(width),
      height_(height),
      columns_((width + kTile - 1) / kTile),
      rows_((height + kTile - 1) / kTile) {
    tiles_.resize(static_cast<std::size_t>(columns_) * rows_);
    for (std::size_t i = 0; i < tiles_.size(); ++i) {
        Extent& extent = tiles_[i].extent;
        extent.x = static_cast<std::int32_t>(i) % columns_ * kTile;
        extent.y = static_cast<std::int32_t>(i) / columns_ * kTile;
        extent.width = std::min(kTile, width - extent.x);
        extent.height = std::min(kTile, height - extent.y);
    }
}

Layer::Layer(const Layer& other) : Layer(other.plan_, other.width_, other.height_) {
    for (std::size_t i = 0; i < tiles_.size(); ++i) {
        const Tile& tile = other.tiles_[i];
        if (!tile.membranes) continue;
        allocate(tiles_[i]);
        tiles_[i].periods = tile.periods;
        std::copy_n(tile.membranes.get(), plane(tile) * plan_->channels(), tiles_[i].membranes.get());
    }
}

Layer::Floats Layer::floats(std::size_t count) {
    void* memory = ::operator new[](count * sizeof(float), std::align_val_t{64});
    std::memset(memory, 0, count * sizeof(float));
    return Floats(static_cast<float*>(memory));
}

void Layer::allocate(Tile& tile) const {
    tile.membranes = floats(plane(tile) * plan_->channels());
    tile.periods.assign(plan_->channels(), 0);
}

// 5 cache lines more than needed: the same pixel of two channels must not share its address modulo
// 4096, the processor would take one for the other.
std::ptrdiff_t Layer::plane(const Tile& tile) const {
    return static_cast<std::ptrdiff_t>(tile.extent.height) * kTile + 5 * kBlock;
}

std::size_t Layer::bytes() const {
    std::size_t total = 0;
    for (const Tile& tile : tiles_)
        if (tile.membranes) total += plane(tile) * plan_->channels() * sizeof(float);
    return total;
}

BlockSpikes Layer::run(Team& team, const std::vector<Event>& events, const std::vector<std::int64_t>& ticks,
                       Budget& budget) {
    prepare(team, ticks);
    distribute(team, Stream{events});
    run_tiles(team, budget);
    return collect(team, ticks.size());
}

BlockSpikes Layer::run(Team& team, const BlockSpikes& before, const std::vector<std::int64_t>& ticks, Budget& budget) {
    prepare(team, ticks);
    distribute(team, SpikeSource{before});
    run_tiles(team, budget);
    return collect(team, ticks.size());
}

void Layer::prepare(Team& team, const std::vector<std::int64_t>& ticks) {
    ops_ = &selected_patch_ops();
    const std::size_t channels = plan_->channels(), buffers = plan_->buffer_count;
    now_.resize(ticks.size() * channels);
    periods_.resize(ticks.size() * channels);
    for (std::size_t i = 0; i < ticks.size(); ++i) plan_->at(ticks[i], &now_[i * channels], &periods_[i * channels]);
    workers_.resize(std::max(workers_.size(), team.size()));
    for (Worker& worker : workers_) {
        worker.runs.clear();
        worker.spikes.clear();
        if (worker.currents) continue;
        worker.currents = floats(buffers * kTile * kStride);
        worker.touched.resize(buffers * kTouchedRows);
        for (std::size_t i = 0; i < buffers; ++i)
            worker.buffers.push_back({&worker.currents[i * kTile * kStride], &worker.touched[i * kTouchedRows], false});
    }
}

// A counting sort by the tiles that an event's patches reach, in parallel over parts of the source;
// the order within a tile stays.
template <typename Source>
void Layer::distribute(Team& team, const Source& source) {
    const std::size_t parts = team.size();
    const auto visit = [&](std::size_t part, auto&& visit_tile) {
        source.visit(part, parts, [&](const Event& event) {
            const std::int32_t x = event.x, y = event.y;
            const std::int32_t left = std::max(x + plan_->left, 0) / kTile, right = std::min(x + plan_->right, width_ - 1) / kTile;
            const std::int32_t top = std::max(y + plan_->top, 0) / kTile, bottom = std::min(y + plan_->bottom, height_ - 1) / kTile;
            for (std::int32_t row = top; row <= bottom; ++row)
                for (std::int32_t column = left; column <= right; ++column)
                    visit_tile(static_cast<std::size_t>(row) * columns_ + column, event);
        });
    };
    team.run(parts, [&](std::size_t, std::size_t part) {
        auto& fill = workers_[part].fill;
        fill.assign(tiles_.size(), 0);
        visit(part, [&](std::size_t tile, const Event&) { ++fill[tile]; });
    });
    starts_.resize(tiles_.size() + 1);
    std::size_t total = 0;
    for (std::size_t tile = 0; tile < tiles_.size(); ++tile) {
        starts_[tile] = total;
        for (std::size_t part = 0; part < parts; ++part) total += std::exchange(workers_[part].fill[tile], total);
    }
    starts_.back() = total;
    sorted_.resize(total);
    team.run(parts, [&](std::size_t, std::size_t part) {
        auto& fill = workers_[part].fill;
        visit(part, [&](std::size_t tile, const Event& event) { sorted_[fill[tile]++] = event; });
    });
}

void Layer::run_tiles(Team& team, Budget& budget) {
    // The fullest tiles first, so that no thread is left with one at the end.
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < tiles_.size(); ++i)
        if (starts_[i + 1] > starts_[i]) order.push_back(i);
    const auto size = [this](std::size_t tile) { return starts_[tile + 1] - starts_[tile]; };
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return size(a) > size(b); });
    team.run(order.size(), [&](std::size_t number, std::size_t i) {
        Tile& tile = tiles_[order[i]];
        Worker& worker = workers_[number];
        if (!tile.membranes) allocate(tile);
        tile.worker = number;
        tile.first_run = worker.runs.size();
        const Event* const end = sorted_.data() + starts_[order[i] + 1];
        for (const Event* event = sorted_.data() + starts_[order[i]]; event < end;) {
            const Event* stop = event + 1;
            while (stop < end && stop->tick == event->tick) ++stop;
            const auto count = static_cast<std::size_t>(stop - event);
            const std::size_t spikes = run_tick(tile, event, count, number);
            budget.spend(number, spikes, static_cast<std::size_t>(count * plan_->mean_cost) + 64);
            event = stop;
        }
        tile.last_run = worker.runs.size();
    });
}

std::size_t Layer::run_tick(Tile& tile, const Event* events, std::size_t count, std::size_t number) {
    Worker& worker = workers_[number];
    ops_->add(tile.extent, events, count, plan_->patches.data(), plan_->first.data(), worker.buffers.data());
    const std::size_t now = events->tick * plan_->channels(), room = kTile * kTile + kBlock;
    worker.channels.clear();
    worker.numbers.clear();
    worker.of_channel.clear();
    worker.room.resize(plan_->channels() * room);
    for (std::size_t c = 0; c < plan_->channels(); ++c) {
        const auto first = worker.of_channel.size();
        for (const std::uint32_t buffer : plan_->buffers[c])
            if (worker.buffers[buffer].active) worker.of_channel.push_back(worker.buffers[buffer].currents);
        if (worker.of_channel.size() == first) continue;
        if (tile.periods[c] != periods_[now + c]) change_period(tile, c, periods_[now + c]);
        const Now& numbers = now_[now + c];
        worker.numbers.push_back(static_cast<std::uint32_t>(c));
        worker.channels.push_back({numbers.weight, numbers.threshold, numbers.reset, plan_->memoryless(c),
                                   &tile.membranes[c * plane(tile)], &worker.room[c * room], nullptr,
                                   worker.of_channel.size() - first});
    }
    const float* const* lists = worker.of_channel.data();
    for (Channel& channel : worker.channels) channel.currents = std::exchange(lists, lists + channel.buffer_count);
    worker.active.clear();
    for (Buffer& buffer : worker.buffers)
        if (buffer.active) worker.active.push_back(&buffer);
    ops_->update(tile.extent, worker.active.data(), worker.active.size(), worker.channels.data(),
                 worker.channels.size());
    const std::size_t before = worker.spikes.size();
    for (std::size_t i = 0; i < worker.channels.size(); ++i) {
        const std::uint32_t c = worker.numbers[i], *begin = &worker.room[c * room], *end = worker.channels[i].spikes;
        if (begin == end) continue;
        worker.runs.push_back({events->tick, c, static_cast<std::uint32_t>(number), worker.spikes.size(),
                               worker.spikes.size() + static_cast<std::size_t>(end - begin)});
        worker.spikes.insert(worker.spikes.end(), begin, end);
    }
    return worker.spikes.size() - before;
}

void Layer::change_period(Tile& tile, std::size_t channel, std::int64_t period) const {
    float* s = &tile.membranes[channel * plane(tile)];
    // What is left after two periods is below 2^-128 of a kernel's largest weight.
    const float factor = period - tile.periods[channel] < 2 ? 0x1p-64F : 0.0F;
    tile.periods[channel] = period;
    for (std::ptrdiff_t i = 0; i < plane(tile); ++i) {
        const float value = s[i] * factor;
        s[i] = std::abs(value) < 0x1p-90F ? 0.0F : value;  // no denormal numbers, they are slow
    }
}

BlockSpikes Layer::collect(Team& team, std::size_t ticks) {
    const std::size_t channels = plan_->channels();
    // Runs by tick, then by tile: a counting sort, since within a tile ticks rise.
    std::vector<std::size_t> first(ticks + 1), at(ticks + 1);
    const auto visit = [&](auto&& each) {
        for (std::size_t i = 0; i < tiles_.size(); ++i)
            if (starts_[i + 1] > starts_[i])
                for (std::size_t j = tiles_[i].first_run; j < tiles_[i].last_run; ++j)
                    each(workers_[tiles_[i].worker].runs[j]);
    };
    visit([&](const Run& run) {
        ++first[run.tick + 1];
        at[run.tick + 1] += run.end - run.begin;
    });
    for (std::size_t tick = 0; tick < ticks; ++tick) {
        first[tick + 1] += first[tick];
        at[tick + 1] += at[tick];
    }
    std::vector<Run> runs(first[ticks]);
    {
        auto next = first;
        visit([&](const Run& run) { runs[next[run.tick]++] = run; });
    }
    BlockSpikes spikes;
    spikes.channels = channels;
    spikes.starts.resize(ticks * channels + 1);
    spikes.pixels.resize(at[ticks]);
    spikes.starts.back() = static_cast<std::uint32_t>(at[ticks]);
    team.run(ticks, [&](std::size_t worker, std::size_t tick) {
        std::uint32_t* starts = &spikes.starts[tick * channels];
        starts[0] = static_cast<std::uint32_t>(at[tick]);
        sort_tick(runs.data() + first[tick], runs.data() + first[tick + 1], workers_[worker], starts, spikes.pixels.data());
    });
    return spikes;
}

// By channel, y, x. Runs come in the order of their tiles, and within a run x rises in each row:
// a counting sort by channel and row is enough.
void Layer::sort_tick(const Run* begin, const Run* end, Worker& worker, std::uint32_t* starts,
                      std::uint32_t* pixels) const {
    const std::size_t channels = plan_->channels();
    const auto visit = [&](auto&& each) {
        for (const Run* run = begin; run < end; ++run)
            for (std::size_t i = run->begin; i < run->end; ++i) each(run->channel, workers_[run->worker].spikes[i]);
    };
    const std::uint32_t base = starts[0];
    std::size_t total = 0;
    for (const Run* run = begin; run < end; ++run) total += run->end - run->begin;
    if (total <= kFewSpikes) {
        std::uint64_t keys[kFewSpikes];
        std::size_t n = 0, c = 0;
        visit([&](std::uint32_t channel, std::uint32_t pixel) { keys[n++] = std::uint64_t{channel} << 32 | pixel; });
        std::sort(keys, keys + n);
        for (std::size_t i = 0; i < n; ++i) {
            for (; c < keys[i] >> 32; ++c) starts[c + 1] = static_cast<std::uint32_t>(base + i);
            pixels[base + i] = static_cast<std::uint32_t>(keys[i]);
        }
        for (; c + 1 < channels; ++c) starts[c + 1] = static_cast<std::uint32_t>(base + n);
        return;
    }
    auto& rows = worker.rows;
    rows.assign(channels * height_ + 1, 0);
    visit([&](std::uint32_t channel, std::uint32_t pixel) { ++rows[channel * height_ + (pixel >> 16) + 1]; });
    std::uint32_t sum = base;
    for (std::uint32_t& row : rows) sum = row += sum;
    for (std::size_t c = 0; c < channels; ++c) starts[c] = rows[c * height_];
    visit([&](std::uint32_t channel, std::uint32_t pixel) { pixels[rows[channel * height_ + (pixel >> 16)]++] = pixel; });
}

}  // namespace velocell
