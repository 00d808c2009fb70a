#include "layer.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

#include "fault.hpp"

namespace velocell {

namespace {

std::atomic<const PatchOps*> selected{nullptr};

constexpr std::size_t kListWork = 32, kSortWork = 64;  // of an event, of a spike, as floats added
constexpr int kWidthBits = std::countr_zero(unsigned{kWidth}), kHeightBits = std::countr_zero(unsigned{kHeight});
constexpr std::size_t kPiece = 1 << 20;        // spikes
constexpr std::size_t kShort = 16;  // ticks of a block for which one waits
constexpr std::size_t kFound = kWidth * kHeight + kBlock;  // spikes of a channel in a tick, and what `update` may write beyond
constexpr std::size_t kFewSpikes = 192;        // of a tick: sorted by comparison

const PatchOps& selected_patch_ops() {
    const PatchOps* ops = selected;
    const PatchVariants& variants = patch_variants();
    return ops != nullptr ? *ops : *variants.ops[variants.count - 1];
}

// How many of these events are no more than so many spikes, at least one event.
std::size_t portion(const Event* events, std::size_t count, std::size_t spikes) {
    std::size_t taken = 0;
    for (std::size_t sum = 0; taken < count; ++taken)
        if ((sum += 1 + std::popcount(static_cast<unsigned>(events[taken].pattern))) > spikes && taken > 0) break;
    return taken;
}

// Spikes of one channel and tick as events for the next layer: those of one row within kSpan px make one.
Event* group_spikes(const std::uint32_t* begin, const std::uint32_t* end, std::size_t channel, std::size_t tick, Event* to) {
    while (begin < end) {
        const std::uint32_t pixel = *begin++;
        std::uint32_t pattern = 0;
        // A difference below kSpan means the same row, unless x reaches 65535.
        for (; begin < end && *begin - pixel < kSpan && (*begin ^ pixel) >> 16 == 0; ++begin)
            pattern |= 1u << (*begin - pixel - 1);
        *to++ = {static_cast<std::uint16_t>(pixel), static_cast<std::uint16_t>(pixel >> 16),
                 static_cast<std::uint16_t>(channel), static_cast<std::uint16_t>(tick & 0x1fff),
                 static_cast<std::uint16_t>(pattern & 7)};
    }
    return to;
}

}  // namespace

void BlockEvents::clear() {
    starts.clear();
    ends.clear();
}

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
    if (worker == 0 && (work_ += work) >= kWorkPerPoll) {
        work_ = 0;
        poll();
    }
    if (stopped_) throw Interrupted();
}

Layer::Layer(std::shared_ptr<const Plan> plan, std::int32_t width, std::int32_t height)
    : plan_(std::move(plan)),
      width_(width),
      height_(height),
      columns_((width + kWidth - 1) / kWidth),
      rows_((height + kHeight - 1) / kHeight),
      across_(reaches(width, plan_->left, plan_->right, kWidthBits)),
      down_(reaches(height, plan_->top, plan_->bottom, kHeightBits)) {
    tiles_.resize(static_cast<std::size_t>(columns_) * rows_);
    for (std::size_t i = 0; i < tiles_.size(); ++i) {
        Extent& extent = tiles_[i].extent;
        extent.x = static_cast<std::int32_t>(i) % columns_ * kWidth;
        extent.y = static_cast<std::int32_t>(i) / columns_ * kHeight;
        extent.width = std::min(kWidth, width - extent.x);
        extent.height = std::min(kHeight, height - extent.y);
    }
}

std::vector<Layer::Reach> Layer::reaches(std::int32_t size, std::int32_t low, std::int32_t high, int bits) {
    std::vector<Reach> found(static_cast<std::size_t>(size), Reach{1, 0});
    for (std::int32_t at = 0; at < size; ++at) {
        const std::int32_t first = std::max(at + low, 0) >> bits, last = std::min(at + high, size - 1) >> bits;
        if (at + low < size && at + high >= 0)
            found[static_cast<std::size_t>(at)] = {static_cast<std::uint16_t>(first), static_cast<std::uint16_t>(last)};
    }
    return found;
}

Layer::Layer(const Layer& other) : Layer(other.plan_, other.width_, other.height_) {
    for (std::size_t i = 0; i < tiles_.size(); ++i) {
        const Tile& tile = other.tiles_[i];
        if (!tile.membranes) continue;
        allocate(tiles_[i]);
        tiles_[i].periods = tile.periods;
        std::copy_n(tile.membranes.get(), kChannelPlane * plan_->channels(), tiles_[i].membranes.get());
        std::copy_n(tile.ages.get(), plan_->channels(), tiles_[i].ages.get());
    }
}

void Layer::allocate(Tile& tile) const {
    tile.membranes = floats(kChannelPlane * plan_->channels());
    tile.periods.assign(plan_->channels(), 0);
    tile.ages = std::make_unique<Age[]>(plan_->channels());
    for (std::size_t c = 0; c < plan_->channels(); ++c) std::fill_n(tile.ages[c].present, kLines, ~Line{0});
}

void Layer::allocate() {
    for (Tile& tile : tiles_)
        if (!tile.membranes) allocate(tile);
}

std::size_t Layer::membrane_bytes() const {
    std::size_t total = 0;
    for (const Tile& tile : tiles_)
        if (tile.membranes) total += kChannelPlane * plan_->channels() * sizeof(float);
    return total;
}

BlockSpikes Layer::run(Team& team, const BlockEvents& events, const std::vector<std::int64_t>& ticks, Budget& budget,
                       BlockEvents* next, const std::function<void()>& meanwhile) {
    prepare(team, ticks);
    distribute(team, events, budget);
    run_tiles(team, budget, meanwhile);
    return collect(team, ticks.size(), budget, next);
}

void Layer::prepare(Team& team, const std::vector<std::int64_t>& ticks) {
    ops_ = &selected_patch_ops();
    const std::size_t channels = plan_->channels();
    now_.resize(ticks.size() * channels);
    periods_.resize(ticks.size() * channels);
    for (std::size_t i = 0; i < ticks.size(); ++i) plan_->at(ticks[i], &now_[i * channels], &periods_[i * channels]);
    workers_.resize(std::max(workers_.size(), team.size()));
    for (Worker& worker : workers_) {
        worker.runs.clear();
        worker.spikes.clear();
        if (!worker.currents) equip(worker);
    }
}

void Layer::equip(Worker& worker) const {
    const std::size_t buffers = plan_->buffer_count;
    const auto counting = buffers - static_cast<std::size_t>(std::count(plan_->units.begin(), plan_->units.end(), 0.0F));
    constexpr std::size_t kWhole = kChannelPlane + 2 * kBeyond;
    worker.events.resize(tiles_.size());
    worker.currents = floats(buffers * kWhole);
    worker.counts = aligned<std::int16_t>(counting * kWhole);
    std::int16_t* counts = worker.counts.get() + kBeyond;
    for (std::size_t i = 0; i < buffers; ++i) {
        const float unit = plan_->units[i];
        float* const currents = &worker.currents[i * kWhole + kBeyond];
        worker.buffers.push_back({{}, currents, unit != 0 ? counts : nullptr, unit, plan_->last[i], false, false});
        if (unit != 0) counts += kWhole;
    }
    worker.found = std::make_unique_for_overwrite<std::uint32_t[]>(plan_->channels() * kFound);
}

std::uint32_t* Layer::SpikeStore::room(std::size_t count) {
    while (piece_ < pieces_.size() && pieces_[piece_].size - used_ < count) {
        ++piece_;
        used_ = 0;
    }
    if (piece_ == pieces_.size()) {
        const std::size_t size = std::max(kPiece, 8 * count);
        pieces_.push_back({std::make_unique_for_overwrite<std::uint32_t[]>(size), size});
    }
    return pieces_[piece_].first.get() + used_;
}

void Layer::TileEvents::grow() {
    const std::size_t count = size(), capacity = std::max<std::size_t>(2 * count, 256);
    auto larger = std::make_unique_for_overwrite<Event[]>(capacity);
    std::copy_n(first.get(), count, larger.get());
    first = std::move(larger);
    end = first.get() + count;
    room = first.get() + capacity;
}

// Lists for every tile the events whose patches reach it, in the order of the stream: each worker
// those of a range of ticks.
void Layer::distribute(Team& team, const BlockEvents& events, Budget& budget) {
    const std::size_t parts = team.size();
    const auto first_tick = [&](std::size_t part) {
        const std::size_t share = events.ends.back() * part / parts;
        return static_cast<std::size_t>(std::lower_bound(events.starts.begin(), events.starts.end(), share) -
                                        events.starts.begin());
    };
    team.run(parts, [&](std::size_t worker, std::size_t part) {
        for (auto& list : workers_[part].events) list.clear();
        TileEvents* const lists = workers_[part].events.data();
        const Event* const from = events.events.data();
        const Reach *const across = across_.data(), *const down = down_.data();
        const auto columns = static_cast<std::size_t>(columns_);
        const std::size_t stop = part + 1 < parts ? first_tick(part + 1) : events.ticks();
        for (std::size_t tick = part > 0 ? first_tick(part) : 0; tick < stop; ++tick) {
            budget.spend(worker, 0, kListWork * (events.ends[tick] - events.starts[tick]));
            for (std::size_t i = events.starts[tick]; i < events.ends[tick]; ++i) {
                const Event event = from[i];
                const Reach x = across[event.x], y = down[event.y];
                if (x.first == x.last && y.first == y.last) [[likely]] {
                    lists[y.first * columns + x.first].push(event);
                    continue;
                }
                for (std::size_t row = y.first; row <= y.last; ++row)
                    for (std::size_t column = x.first; column <= x.last; ++column) lists[row * columns + column].push(event);
            }
        }
    });
    for (std::size_t part = parts; part < workers_.size(); ++part)
        for (auto& list : workers_[part].events) list.clear();
}

void Layer::run_tiles(Team& team, Budget& budget, const std::function<void()>& meanwhile) {
    // The fullest tiles first, so that no thread is left with one at the end.
    std::vector<std::size_t> size(tiles_.size());
    order_.clear();
    for (std::size_t i = 0; i < tiles_.size(); ++i) {
        for (const Worker& worker : workers_) size[i] += worker.events[i].size();
        if (size[i] > 0) order_.push_back(i);
    }
    std::stable_sort(order_.begin(), order_.end(), [&](std::size_t a, std::size_t b) { return size[a] > size[b]; });
    const std::size_t extra = meanwhile ? 1 : 0;
    team.run(order_.size() + extra, [&](std::size_t number, std::size_t job) {
        if (job < extra) return meanwhile();
        const std::size_t i = job - extra;
        Tile& tile = tiles_[order_[i]];
        Worker& worker = workers_[number];
        if (!tile.membranes) allocate(tile);
        tile.worker = number;
        tile.first_run = worker.runs.size();
        for (const Worker& source : workers_) {
            const Event* const end = source.events[order_[i]].end;
            for (const Event* event = source.events[order_[i]].first.get(); event < end;) {
                const Event* stop = event + 1;
                while (stop < end && stop->tick == event->tick) ++stop;
                const auto count = static_cast<std::size_t>(stop - event);
                run_tick(tile, event, count, number, budget);
                event = stop;
            }
        }
        tile.last_run = worker.runs.size();
    });
}

void Layer::run_tick(Tile& tile, const Event* events, std::size_t count, std::size_t number, Budget& budget) {
    Worker& worker = workers_[number];
    // Bounded by what counts can hold, too; most events are one spike.
    const std::size_t at_most = Budget::kWorkPerPoll / (plan_->cost + 1) + 1;
    while (count > std::min(at_most, plan_->most / kSpan)) {
        const std::size_t at_once = portion(events, std::min(count, at_most), plan_->most);
        if (at_once == count) break;
        ops_->add(tile.extent, events, at_once, plan_->patches.data(), plan_->first.data(), worker.buffers.data());
        for (Buffer& buffer : worker.buffers)
            if (buffer.active && buffer.counts != nullptr) ops_->spill(buffer);
        budget.spend(number, 0, at_once * plan_->cost);
        events += at_once;
        count -= at_once;
    }
    ops_->add(tile.extent, events, count, plan_->patches.data(), plan_->first.data(), worker.buffers.data());
    const std::size_t now = events->tick * plan_->channels();
    worker.channels.clear();
    worker.of_channel.clear();
    for (std::size_t c = 0; c < plan_->channels(); ++c) {
        const auto first = worker.of_channel.size();
        for (const std::uint32_t buffer : plan_->buffers[c])
            if (worker.buffers[buffer].active) worker.of_channel.push_back(&worker.buffers[buffer]);
        if (worker.of_channel.size() == first) continue;
        if (tile.periods[c] != periods_[now + c]) {
            change_period(tile, c, periods_[now + c]);
            // In one go, which takes a tenth of a millisecond for a whole sensor, or with the blocks that are touched.
            if (now_.size() > kShort * plan_->channels()) settle(tile, c);
        }
        const Now& numbers = now_[now + c];
        worker.channels.push_back({numbers.weight, numbers.threshold, numbers.reset, plan_->memoryless(c),
                                   &tile.membranes[c * kChannelPlane], &tile.ages[c],
                                   &worker.found[worker.channels.size() * kFound], nullptr, nullptr,
                                   worker.of_channel.size() - first, static_cast<std::uint32_t>(c)});
    }
    const Buffer* const* lists = worker.of_channel.data();
    for (Channel& channel : worker.channels) channel.buffers = std::exchange(lists, lists + channel.buffer_count);
    worker.active.clear();
    for (Buffer& buffer : worker.buffers)
        if (buffer.active) worker.active.push_back(&buffer);
    ops_->update(tile.extent, worker.active.data(), worker.active.size(), worker.channels.data(),
                 worker.channels.size(), tile.settled, worker.channels.size() == plan_->channels());
    std::size_t spike_count = 0;
    for (const Channel& channel : worker.channels) {
        const auto size = static_cast<std::size_t>(channel.spikes_end - channel.spikes);
        if (size == 0) continue;
        std::uint32_t* const kept = worker.spikes.room(size);
        std::copy_n(channel.spikes, size, kept);
        worker.spikes.take(size);
        worker.runs.push_back({events->tick, channel.number, kept, kept + size});
        spike_count += size;
    }
    budget.spend(number, spike_count, count * plan_->cost + 64);
}

void Layer::change_period(Tile& tile, std::size_t channel, std::int64_t period) {
    static_assert(kPeriod == 1.0 / (std::uint64_t{1} << 32) / (std::uint64_t{1} << 32) / (std::uint64_t{1} << 32) &&
                  Decay::kPeriodBits == 96);
    Age& age = tile.ages[channel];
    const bool next = period - tile.periods[channel] == 1;
    for (std::int32_t line = 0; line < kLines; ++line) {
        age.before[line] = next ? age.present[line] : Line{0};
        age.present[line] = 0;
    }
    std::fill_n(tile.settled, kLines, Line{0});
    tile.periods[channel] = period;
}

// Brings all membranes to the channels' periods: nothing that anyone could see.
void Layer::settle(const Tile& tile) {
    for (std::size_t c = 0; c < tile.periods.size(); ++c) settle(tile, c);
}

void Layer::settle(const Tile& tile, std::size_t channel) {
    selected_patch_ops().settle(&tile.membranes[channel * kChannelPlane], tile.ages[channel], nullptr);
}

BlockSpikes Layer::collect(Team& team, std::size_t ticks, Budget& budget, BlockEvents* next) {
    const std::size_t channels = plan_->channels();
    // Runs by tick, then by tile: a counting sort, since within a tile ticks rise.
    std::sort(order_.begin(), order_.end());
    std::vector<std::size_t> first(ticks + 1), at(ticks + 1);
    const auto visit = [&](auto&& each) {
        for (const std::size_t i : order_)
            for (std::size_t j = tiles_[i].first_run; j < tiles_[i].last_run; ++j)
                each(workers_[tiles_[i].worker].runs[j]);
    };
    visit([&](const Run& run) {
        ++first[run.tick + 1];
        at[run.tick + 1] += run.size();
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
    spikes.pixels = std::make_unique_for_overwrite<std::uint32_t[]>(at[ticks]);
    spikes.starts.back() = static_cast<std::uint32_t>(at[ticks]);
    if (next != nullptr) {
        next->starts.assign(at.begin(), at.end() - 1);
        next->ends.resize(ticks);
        next->events.resize(at[ticks]);
    }
    team.run(ticks, [&](std::size_t worker, std::size_t tick) {
        budget.spend(worker, 0, kSortWork * (at[tick + 1] - at[tick]));
        std::uint32_t* starts = &spikes.starts[tick * channels];
        starts[0] = static_cast<std::uint32_t>(at[tick]);
        sort_tick(runs.data() + first[tick], runs.data() + first[tick + 1], workers_[worker], starts, spikes.pixels.get());
        if (next == nullptr) return;
        Event* to = next->events.data() + at[tick];
        for (std::size_t c = 0; c < channels; ++c) {
            const std::size_t end = c + 1 < channels ? starts[c + 1] : at[tick + 1];
            to = group_spikes(spikes.pixels.get() + starts[c], spikes.pixels.get() + end, c, tick, to);
        }
        next->ends[tick] = static_cast<std::size_t>(to - next->events.data());
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
            for (const std::uint32_t* spike = run->begin; spike < run->end; ++spike) each(run->channel, *spike);
    };
    const std::uint32_t base = starts[0];
    std::size_t total = 0;
    for (const Run* run = begin; run < end; ++run) total += run->size();
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
