#include "archive.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <type_traits>

#include "fault.hpp"

namespace velocell {

namespace {

constexpr char kMagic[8] = {'v', 'e', 'l', 'o', 'c', 'e', 'l', 'l'};
constexpr std::uint32_t kFormat = 1;
constexpr std::uint32_t kByteOrder = 0x01020304;  // bytes of another order of digits are refused

std::uint64_t checksum(const char* bytes, std::size_t size) {
    std::uint64_t sum = 0xcbf29ce484222325;  // FNV-1a
    for (std::size_t i = 0; i < size; ++i) sum = (sum ^ static_cast<unsigned char>(bytes[i])) * 0x100000001b3;
    return sum;
}

[[noreturn]] void refuse() {
    throw EngineFault("this is not a saved state of the native engine, or it is damaged; save it again");
}

class Writer {
public:
    template <typename T>
    void number(T value) {
        static_assert(std::is_arithmetic_v<T>);
        bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
    }
    template <typename T>
    void array(const T* values, std::size_t count) {
        bytes_.append(reinterpret_cast<const char*>(values), count * sizeof(T));
    }
    template <typename T>
    void vector(const std::vector<T>& values) {
        number<std::uint64_t>(values.size());
        array(values.data(), values.size());
    }
    std::string finish() {
        number(checksum(bytes_.data(), bytes_.size()));
        return std::move(bytes_);
    }

private:
    std::string bytes_;
};

class Reader {
public:
    Reader(const char* bytes, std::size_t size) : at_(bytes), end_(bytes + size) {}

    template <typename T>
    T number() {
        T value;
        array(&value, 1);
        return value;
    }
    template <typename T>
    void array(T* values, std::size_t count) {
        if (count > static_cast<std::size_t>(end_ - at_) / sizeof(T)) refuse();
        if (count > 0) std::memcpy(values, at_, count * sizeof(T));
        at_ += count * sizeof(T);
    }
    template <typename T>
    std::vector<T> vector() {
        const auto count = number<std::uint64_t>();
        if (count > static_cast<std::size_t>(end_ - at_) / sizeof(T)) refuse();
        std::vector<T> values(count);
        array(values.data(), count);
        return values;
    }
    bool done() const { return at_ == end_; }

private:
    const char *at_, *end_;
};

void write(Writer& to, const NetworkSpec& spec) {
    to.number(spec.width);
    to.number(spec.height);
    to.number(spec.dt_us);
    to.vector(spec.trail.silence_us);
    to.number<std::uint8_t>(spec.trail.flips);
    to.number<std::uint64_t>(spec.layers.size());
    for (const LayerSpec& layer : spec.layers) {
        for (const std::int32_t n : {layer.out, layer.in, layer.h, layer.w, layer.groups}) to.number(n);
        for (const auto* values : {&layer.kernel, &layer.a, &layer.v_th, &layer.v_leak, &layer.v_reset})
            to.vector(*values);
    }
}

NetworkSpec read_spec(Reader& from) {
    NetworkSpec spec;
    spec.width = from.number<std::int32_t>();
    spec.height = from.number<std::int32_t>();
    spec.dt_us = from.number<std::int64_t>();
    spec.trail.silence_us = from.vector<std::int64_t>();
    spec.trail.flips = from.number<std::uint8_t>() != 0;
    const auto layers = from.number<std::uint64_t>();
    for (std::uint64_t i = 0; i < layers; ++i) {
        LayerSpec& layer = spec.layers.emplace_back();
        for (std::int32_t* n : {&layer.out, &layer.in, &layer.h, &layer.w, &layer.groups})
            *n = from.number<std::int32_t>();
        for (auto* values : {&layer.kernel, &layer.a, &layer.v_th, &layer.v_leak, &layer.v_reset})
            *values = from.vector<float>();
    }
    return spec;
}

// The membranes of the tile's own pixels, row by row.
template <typename Tile, typename Each>
void visit_rows(Tile& tile, Each&& each) {
    const auto width = static_cast<std::size_t>(tile.extent.width);
    std::vector<float> row(width);
    for (std::size_t c = 0; c < tile.periods.size(); ++c)
        for (std::int32_t y = 0; y < tile.extent.height; ++y) {
            const auto at = [&](std::size_t x) -> auto& {
                return tile.membranes[c * kChannelPlane + static_cast<std::size_t>(place_of(static_cast<std::int32_t>(x), y))];
            };
            for (std::size_t x = 0; x < width; ++x) row[x] = at(x);
            each(row.data(), width);
            for (std::size_t x = 0; x < width; ++x) at(x) = row[x];
        }
}

}  // namespace

std::string Archive::save(const Engine& engine) {
    const Engine::Use use(engine);
    if (engine.broken_) throw EngineFault("a step of this state was cut short; there is nothing whole to save");
    Writer to;
    to.array(kMagic, sizeof kMagic);
    to.number(kFormat);
    to.number(kByteOrder);
    write(to, engine.spec_);
    to.number<std::int64_t>(engine.next_tick_.value_or(-1));
    to.vector(engine.pending_.t);
    to.vector(engine.pending_.x);
    to.vector(engine.pending_.y);
    to.vector(engine.pending_.p);
    if (engine.trail_) {
        // Only rows that have seen events.
        for (std::int32_t y = 0; y < engine.spec_.height; ++y) {
            const std::uint64_t* row = engine.trail_->row(y);
            const bool any = std::any_of(row, row + engine.spec_.width, [](std::uint64_t last) { return last != 0; });
            to.number<std::uint8_t>(any);
            if (any) to.array(row, static_cast<std::size_t>(engine.spec_.width));
        }
    }
    for (const Layer& layer : engine.layers_)
        for (const Layer::Tile& tile : layer.tiles_) {
            to.number<std::uint8_t>(tile.membranes != nullptr);
            if (!tile.membranes) continue;
            to.array(tile.periods.data(), tile.periods.size());
            Layer::settle(tile);
            visit_rows(tile, [&](float* row, std::size_t width) { to.array(row, width); });
        }
    return to.finish();
}

std::unique_ptr<Engine> Archive::load(const char* bytes, std::size_t size, std::size_t threads, std::size_t max_spikes) {
    std::uint64_t sum = 0;
    if (size < sizeof kMagic + sizeof sum || std::memcmp(bytes, kMagic, sizeof kMagic) != 0) refuse();
    size -= sizeof sum;
    std::memcpy(&sum, bytes + size, sizeof sum);
    if (sum != checksum(bytes, size)) refuse();
    Reader from(bytes + sizeof kMagic, size - sizeof kMagic);
    if (from.number<std::uint32_t>() != kFormat || from.number<std::uint32_t>() != kByteOrder)
        throw EngineFault("this state was saved by another version or kind of machine; save it again");
    auto engine = std::make_unique<Engine>(read_spec(from), threads, max_spikes);
    const std::int64_t next_tick = from.number<std::int64_t>();
    if (next_tick > std::numeric_limits<std::int64_t>::max() / engine->spec_.dt_us) refuse();
    if (next_tick >= 0) engine->next_tick_ = next_tick;
    engine->pending_ = {from.vector<std::int64_t>(), from.vector<std::uint16_t>(), from.vector<std::uint16_t>(),
                        from.vector<std::uint8_t>()};
    const auto& pending = engine->pending_;
    if (pending.x.size() != pending.t.size() || pending.y.size() != pending.t.size() || pending.p.size() != pending.t.size())
        refuse();
    if (!pending.t.empty()) engine->check(pending.chunk(), 0);
    if (engine->trail_)
        for (std::int32_t y = 0; y < engine->spec_.height; ++y)
            if (from.number<std::uint8_t>() != 0)
                from.array(engine->trail_->row(y), static_cast<std::size_t>(engine->spec_.width));
    for (Layer& layer : engine->layers_)
        for (Layer::Tile& tile : layer.tiles_) {
            if (from.number<std::uint8_t>() == 0) continue;
            layer.allocate(tile);
            from.array(tile.periods.data(), tile.periods.size());
            visit_rows(tile, [&](float* row, std::size_t width) { from.array(row, width); });
            if (std::any_of(tile.periods.begin(), tile.periods.end(), [](std::int64_t period) { return period < 0; }))
                refuse();
        }
    if (!from.done()) refuse();
    return engine;
}

}  // namespace velocell
