#include "layer.hpp"

#include <algorithm>
#include <cstring>
#include <string>

#include "fault.hpp"

namespace velocell {

namespace {

std::atomic<const PatchOps*> selected{nullptr};

constexpr std::size_t kWorkPerPoll = 1 << 22;  // floats added, about 1 ms

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

const PatchOps& selected_patch_ops() {
    const PatchOps* ops = selected;
    if (ops != nullptr) return *ops;
    const PatchVariants& variants = patch_variants();
    return *variants.ops[variants.count - 1];
}

void Events::clear() { resize(0); }

void Events::resize(std::size_t n) {
    x.resize(n);
    y.resize(n);
    tick.resize(n);
    code.resize(n);
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

Layer::Layer(Plan plan, std::int32_t width, std::int32_t height)
    : plan_(std::move(plan)),
      width_(width),
      height_(height),
      columns_((width + kTile - 1) / kTile),
      rows_((height + kTile - 1) / kTile) {
    tiles_.resize(static_cast<std::size_t>(columns_) * rows_);
    for (std::int32_t row = 0; row < rows_; ++row)
        for (std::int32_t column = 0; column < columns_; ++column) {
            Tile& tile = tiles_[static_cast<std::size_t>(row) * columns_ + column];
            tile.x = column * kTile;
            tile.y = row * kTile;
            tile.width = std::min(kTile, width - tile.x);
            tile.height = std::min(kTile, height - tile.y);
            // 16 floats more per row and 5 cache lines more per plane: rows of neighbouring
            // channels must not share their address modulo 4096.
            tile.stride = (tile.width + kUnit - 1) / kUnit * kUnit + 2 * kUnit;
            tile.plane = tile.height * tile.stride + 80;
        }
}

Layer::Layer(const Layer& other) : Layer(other.plan_, other.width_, other.height_) {
    for (std::size_t i = 0; i < tiles_.size(); ++i) {
        if (!other.tiles_[i].membranes) continue;
        allocate(tiles_[i]);
        std::copy_n(other.tiles_[i].membranes.get(), tiles_[i].floats(), tiles_[i].membranes.get());
        tiles_[i].periods = other.tiles_[i].periods;
    }
}

void Layer::allocate(Tile& tile) const {
    tile.periods.assign(plan_.channels(), 0);
    void* memory = ::operator new[](tile.floats() * sizeof(float), std::align_val_t{64});
    std::memset(memory, 0, tile.floats() * sizeof(float));
    tile.membranes.reset(static_cast<float*>(memory));
}

void Layer::run(Team& team, const Events& events, const std::vector<std::int64_t>& ticks, Budget& budget,
                std::vector<Key>& spikes) {
    spikes.clear();
    if (events.size() == 0) return;
    ops_ = &selected_patch_ops();
    const auto channels = static_cast<std::size_t>(plan_.channels());
    now_.resize(ticks.size() * channels);
    periods_.resize(ticks.size() * channels);
    for (std::size_t i = 0; i < ticks.size(); ++i) plan_.at(ticks[i], &now_[i * channels], &periods_[i * channels]);
    distribute(team, events);

    // The fullest tiles first, so that no thread is left with one at the end.
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < tiles_.size(); ++i)
        if (starts_[i + 1] > starts_[i]) order.push_back(i);
    std::stable_sort(order.begin(), order.end(), [this](std::size_t a, std::size_t b) {
        return starts_[a + 1] - starts_[a] > starts_[b + 1] - starts_[b];
    });
    for (Worker& worker : workers_) worker.spikes.clear();
    team.run(order.size(), [&](std::size_t worker, std::size_t i) {
        const std::size_t tile = order[i];
        run_tile(tiles_[tile], &sorted_[starts_[tile]], &sorted_[starts_[tile]] + (starts_[tile + 1] - starts_[tile]),
                 worker, workers_[worker], budget);
    });
    for (const Worker& worker : workers_) spikes.insert(spikes.end(), worker.spikes.begin(), worker.spikes.end());
    std::sort(spikes.begin(), spikes.end());
}

// Which tiles the patches of each event reach: visit(tile, i).
template <typename Visit>
void Layer::visit_tiles(const Events& events, std::size_t begin, std::size_t end, Visit&& visit) const {
    for (std::size_t i = begin; i < end; ++i) {
        const std::int32_t x = events.x[i], y = events.y[i];
        const std::int32_t left = std::max(x + plan_.left, 0) / kTile, right = std::min(x + plan_.right, width_ - 1) / kTile;
        const std::int32_t top = std::max(y + plan_.top, 0) / kTile, bottom = std::min(y + plan_.bottom, height_ - 1) / kTile;
        for (std::int32_t row = top; row <= bottom; ++row)
            for (std::int32_t column = left; column <= right; ++column)
                visit(static_cast<std::size_t>(row) * columns_ + column, i);
    }
}

// A counting sort by tile, in parallel over ranges of events; the order within a tile stays.
void Layer::distribute(Team& team, const Events& events) {
    const std::size_t parts = team.size(), n = events.size();
    workers_.resize(parts);
    const auto begin = [&](std::size_t part) { return n * part / parts; };
    team.run(parts, [&](std::size_t, std::size_t part) {
        auto& fill = workers_[part].fill;
        fill.assign(tiles_.size(), 0);
        visit_tiles(events, begin(part), begin(part + 1), [&](std::size_t tile, std::size_t) { ++fill[tile]; });
    });
    starts_.resize(tiles_.size() + 1);
    std::size_t total = 0;
    for (std::size_t tile = 0; tile < tiles_.size(); ++tile) {
        starts_[tile] = total;
        for (Worker& worker : workers_) total += std::exchange(worker.fill[tile], total);
    }
    starts_.back() = total;
    sorted_.resize(total);
    team.run(parts, [&](std::size_t, std::size_t part) {
        auto& fill = workers_[part].fill;
        visit_tiles(events, begin(part), begin(part + 1), [&](std::size_t tile, std::size_t i) {
            sorted_[fill[tile]++] = {events.x[i], events.y[i], events.tick[i], events.code[i]};
        });
    });
}

void Layer::run_tile(Tile& tile, const Event* begin, const Event* end, std::size_t number, Worker& worker,
                     Budget& budget) {
    if (!tile.membranes) allocate(tile);
    while (begin < end) {
        const Event* stop = begin + 1;
        while (stop < end && stop->tick == begin->tick) ++stop;
        const std::size_t before = worker.spikes.size(), count = static_cast<std::size_t>(stop - begin);
        run_tick(tile, begin, count, worker);
        budget.spend(number, worker.spikes.size() - before, static_cast<std::size_t>(count * plan_.mean_cost) + 64);
        begin = stop;
    }
}

void Layer::run_tick(Tile& tile, const Event* events, std::size_t count, Worker& worker) {
    const std::size_t row = events->tick * tile.periods.size();
    const Now* now = &now_[row];
    for (std::size_t c = 0; c < tile.periods.size(); ++c)
        if (tile.periods[c] != periods_[row + c]) change_period(tile, static_cast<std::int32_t>(c), periods_[row + c]);
    const View view = tile.view();
    worker.hits.resize(std::max(worker.hits.size(), count * plan_.most_connections + 1));
    worker.pixels.resize(plan_.largest_patch + 1);
    const std::size_t hits =
        ops_->add(view, events, count, plan_.connections.data(), plan_.first.data(), now, worker.hits.data());
    // Only now, after all of the tick's events, is it known which pixels stay above: negative
    // weights may have pulled them back. The last patch on a pixel that does has hit.
    for (std::size_t i = 0; i < hits; ++i) {
        const Connection& connection = plan_.connections[worker.hits[i].connection];
        const std::size_t found = ops_->collect(view, events[worker.hits[i].event], connection,
                                                now[connection.channel], worker.pixels.data());
        const Key base = Key{events->tick} << kTickShift | Key(connection.channel) << kChannelShift;
        for (std::size_t j = 0; j < found; ++j) worker.spikes.push_back(base | worker.pixels[j]);
    }
    if (!plan_.any_memoryless()) return;
    for (std::size_t i = 0; i < count; ++i)
        for (std::uint32_t j = plan_.first[events[i].code]; j < plan_.first[events[i].code + 1]; ++j)
            if (plan_.memoryless(plan_.connections[j].channel)) ops_->clear(view, events[i], plan_.connections[j]);
}

void Layer::change_period(Tile& tile, std::int32_t channel, std::int64_t period) const {
    float* s = tile.membranes.get() + channel * tile.plane;
    const std::int64_t passed = period - tile.periods[channel];
    tile.periods[channel] = period;
    // What is left after two periods is below 2^-128 of a kernel's largest weight.
    const float factor = passed < 2 ? 0x1p-64F : 0.0F;
    for (std::ptrdiff_t i = 0; i < tile.plane; ++i) {
        const float value = s[i] * factor;
        s[i] = std::abs(value) < 0x1p-90F ? 0.0F : value;  // no denormal numbers, they are slow
    }
}

}  // namespace velocell
