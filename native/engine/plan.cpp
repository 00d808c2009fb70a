#include "plan.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "fault.hpp"

namespace velocell {

namespace {

constexpr std::int32_t kMaxSide = 65536;  // px, of a sensor
constexpr std::int32_t kMaxChannels = 65535;
constexpr std::int64_t kMaxTime = std::int64_t{1} << 56;  // us, 2283 years

void require(bool condition, const std::string& message) {
    if (!condition) throw NetworkFault(message);
}

void check(const LayerSpec& layer, std::size_t number) {
    const std::string where = "layer " + std::to_string(number);
    require(layer.out >= 1 && layer.in >= 1 && layer.h >= 1 && layer.w >= 1 && layer.groups >= 1 &&
                layer.in % layer.groups == 0 && layer.out % layer.groups == 0,
            where + " has a kernel of impossible shape; give it shape (C_out, C_in / groups, h, w)");
    require(layer.out <= kMaxChannels && layer.in <= kMaxChannels && layer.h <= kMaxSide && layer.w <= kMaxSide,
            where + " has more than 65535 channels or a kernel side above 65536 px; make it smaller");
    const auto per_in = static_cast<std::size_t>(layer.in / layer.groups);
    require(layer.kernel.size() == static_cast<std::size_t>(layer.out) * per_in * layer.h * layer.w,
            where + " has a kernel of another size than its shape says");
    const auto channels = static_cast<std::size_t>(layer.out);
    require(layer.a.size() == channels && layer.v_th.size() == channels && layer.v_leak.size() == channels &&
                layer.v_reset.size() == channels,
            where + " needs one value of each neuron parameter per channel");
    require(std::all_of(layer.kernel.begin(), layer.kernel.end(), [](float k) { return std::isfinite(k); }),
            where + " has a kernel that is not finite");
    require(std::any_of(layer.kernel.begin(), layer.kernel.end(), [](float k) { return k != 0; }),
            where + " has a kernel without any weight");
    for (std::size_t c = 0; c < channels; ++c) {
        const float a = layer.a[c], th = layer.v_th[c], leak = layer.v_leak[c], reset = layer.v_reset[c];
        require(a > 0 && a <= 1, where + " has dt * tau_mem_inv outside (0, 1]");
        require(std::isfinite(leak) && std::isfinite(reset) && th > leak && reset <= th,
                where + " needs finite v_leak below v_th and v_reset not above v_th");
    }
}

}  // namespace

void check(const NetworkSpec& spec) {
    require(spec.width >= 1 && spec.width <= kMaxSide && spec.height >= 1 && spec.height <= kMaxSide,
            "the sensor must have between 1 and 65536 px on a side");
    require(spec.dt_us >= 1 && spec.dt_us <= kMaxTime, "dt must lie between 1 us and 2^56 us");
    require(!spec.layers.empty(), "a network needs at least one layer");
    for (std::size_t i = 0; i < spec.layers.size(); ++i) {
        check(spec.layers[i], i);
        require(i == 0 || spec.layers[i].in == spec.layers[i - 1].out,
                "layer " + std::to_string(i) + " expects another number of channels than the layer before has");
    }
    const LayerSpec& first = spec.layers[0];
    require(first.w <= spec.width && first.h <= spec.height, "the kernel of layer 0 is larger than the sensor");
    const auto& silence = spec.trail.silence_us;
    if (silence.empty()) {
        require(first.in <= 2, "layer 0 can see 1 input map (merged) or 2 (OFF, ON)");
    } else {
        require(silence.size() == static_cast<std::size_t>(first.in), "layer 0 must see one map per filter channel");
        require(std::all_of(silence.begin(), silence.end(), [](std::int64_t s) { return s >= 0 && s <= kMaxTime; }),
                "a trail filter's times must lie between 0 us and 2^56 us");
    }
}

Plan::Plan(const LayerSpec& spec, const std::vector<std::int32_t>& rank_order, bool patterns) {
    scale_neurons(spec);
    buffers.resize(spec.out);
    const std::int32_t per_in = spec.in / spec.groups, per_out = spec.out / spec.groups;
    const std::size_t codes = rank_order.empty() ? spec.in : rank_order.size() + 1;
    for (std::size_t code = 0; code < codes; ++code) {
        first.push_back(static_cast<std::uint32_t>(patches.size()));
        std::vector<std::int32_t> inputs(rank_order.begin(), rank_order.begin() + (rank_order.empty() ? 0 : code));
        if (rank_order.empty()) inputs.push_back(static_cast<std::int32_t>(code));
        std::vector<Link> links;
        for (const std::int32_t in : inputs)
            for (std::int32_t i = 0; i < per_out; ++i) {
                const std::int32_t out = in / per_in * per_out + i;
                const Patch patch = patch_of(spec, out, in, patterns);
                if (patch.rows == 0) continue;
                const auto same = std::find_if(links.begin(), links.end(), [&](const Link& link) {
                    return link.patch.weights == patch.weights && link.patch.left == patch.left &&
                           link.patch.top == patch.top && link.patch.rows == patch.rows;
                });
                if (same == links.end())
                    links.push_back({patch, {out}});
                else
                    same->outs.push_back(out);
            }
        add_code(links);
    }
    first.push_back(static_cast<std::uint32_t>(patches.size()));
    buffer_count = outs_.size();
    for (std::size_t i = 0; i < outs_.size(); ++i)
        for (const std::int32_t out : outs_[i]) buffers[out].push_back(static_cast<std::uint32_t>(i));
}

// Scales a channel so that its largest step is about 1: float32's whole range is left for the decay.
void Plan::scale_neurons(const LayerSpec& spec) {
    const auto size = spec.kernel.size() / spec.out;
    for (std::int32_t c = 0; c < spec.out; ++c) {
        const double leak = spec.v_leak[c];
        Neuron neuron{Decay(spec.a[c]), spec.a[c], spec.v_th[c] - leak, spec.v_reset[c] - leak};
        double largest = 0;
        for (std::size_t i = 0; i < size; ++i) largest = std::max(largest, std::abs(double{spec.kernel[c * size + i]}));
        largest = std::max(largest * neuron.a, std::abs(neuron.reset));
        const int shift = largest > 0 ? -std::ilogb(largest) : 0;
        neuron.a = std::ldexp(neuron.a, shift);
        neuron.threshold = std::ldexp(neuron.threshold, shift);
        neuron.reset = std::ldexp(neuron.reset, shift);
        neurons_.push_back(neuron);
    }
}

// A kernel's patch is its mirror image: K[i, j] adds to the pixel at (x - j + anchor, y - i + anchor).
// No rows where nothing connects.
Patch Plan::patch_of(const LayerSpec& spec, std::int32_t out, std::int32_t in, bool patterns) {
    const std::int32_t per_in = spec.in / spec.groups;
    const float* kernel = spec.kernel.data() + (static_cast<std::size_t>(out) * per_in + in % per_in) * spec.h * spec.w;
    std::int32_t top = spec.h, bottom = -1, left = spec.w, right = -1;
    for (std::int32_t i = 0; i < spec.h; ++i)
        for (std::int32_t j = 0; j < spec.w; ++j)
            if (kernel[static_cast<std::ptrdiff_t>(i) * spec.w + j] != 0) {
                top = std::min(top, i), bottom = std::max(bottom, i);
                left = std::min(left, j), right = std::max(right, j);
            }
    if (bottom < 0) return {};
    const std::int32_t rows = bottom - top + 1, units = (right - left + (patterns ? kSpan - 1 : 0)) / kUnit + 1;
    const std::int32_t pitch = units * kUnit, size = rows * pitch, count = patterns ? kPatterns : 1;
    std::vector<float> weights(static_cast<std::size_t>(size) * count);
    for (std::int32_t pattern = 0; pattern < count; ++pattern)
        for (std::int32_t shift = 0; shift < kSpan; ++shift) {
            if (shift > 0 && (pattern >> (shift - 1) & 1) == 0) continue;
            float* const first = weights.data() + static_cast<std::ptrdiff_t>(pattern) * size + shift;
            for (std::int32_t i = top; i <= bottom; ++i)
                for (std::int32_t j = left; j <= right; ++j)
                    first[(bottom - i) * pitch + right - j] += kernel[static_cast<std::ptrdiff_t>(i) * spec.w + j];
        }
    // Channels often share a kernel; one copy stays in the cache.
    auto known = std::find_if(weights_.begin(), weights_.end(), [&](const Weights& other) {
        return other.size == weights.size() && std::equal(weights.begin(), weights.end(), other.values.get());
    });
    if (known == weights_.end()) {
        known = weights_.insert(weights_.end(), {floats(weights.size()), weights.size()});
        std::copy(weights.begin(), weights.end(), known->values.get());
    }
    return {0, (spec.w - 1) / 2 - right, (spec.h - 1) / 2 - bottom, rows, units, size, known->values.get()};
}

void Plan::add_code(const std::vector<Link>& links) {
    std::size_t added = 0;
    const auto add = [&](Patch patch, const std::vector<std::int32_t>& outs) {
        patch.buffer = buffer_of(outs);
        const bool any = !patches.empty();
        left = any ? std::min(left, patch.left) : patch.left;
        top = any ? std::min(top, patch.top) : patch.top;
        right = std::max(any ? right : patch.left, patch.left + patch.units * kUnit - 1);
        bottom = std::max(any ? bottom : patch.top, patch.top + patch.rows - 1);
        patches.push_back(patch);
        added += static_cast<std::size_t>(patch.size);
    };
    for (const Link& link : links) {
        if (buffer_of(link.outs) >= 0) {
            add(link.patch, link.outs);
        } else {
            for (const std::int32_t out : link.outs) add(link.patch, {out});
        }
    }
    cost = std::max(cost, added);
}

// The buffer of these output channels; -1 where there are too many sets of channels to give each
// its own. Single channels always get one.
std::int32_t Plan::buffer_of(const std::vector<std::int32_t>& outs) {
    const auto known = std::find(outs_.begin(), outs_.end(), outs);
    if (known != outs_.end()) return static_cast<std::int32_t>(known - outs_.begin());
    const auto shared = std::count_if(outs_.begin(), outs_.end(), [](const auto& set) { return set.size() > 1; });
    if (outs.size() > 1 && static_cast<std::size_t>(shared) >= std::max<std::size_t>(16, neurons_.size())) return -1;
    outs_.push_back(outs);
    return static_cast<std::int32_t>(outs_.size()) - 1;
}

void Plan::at(std::int64_t tick, Now* now, std::int64_t* periods) const {
    for (std::size_t c = 0; c < neurons_.size(); ++c) {
        const Neuron& neuron = neurons_[c];
        const auto factor = neuron.decay.memoryless() ? Decay::Factor{0, 1.0} : neuron.decay.at(tick);
        now[c] = {static_cast<float>(neuron.a * factor.scale), static_cast<float>(neuron.threshold * factor.scale),
                  static_cast<float>(neuron.reset * factor.scale)};
        periods[c] = factor.period;
    }
}

}  // namespace velocell
