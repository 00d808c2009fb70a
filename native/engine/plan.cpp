#include "plan.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
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

constexpr std::int64_t kMostUnits = 511;      // of a weight, so that 64 events need no spill
constexpr std::int64_t kLargestFactor = 511;  // of a power of two, in a unit: any count of it is exact as a float

// Of these weights; none where they are no small multiples of one.
Unit unit_of(const std::vector<float>& weights) {
    int lowest = std::numeric_limits<int>::max(), highest = std::numeric_limits<int>::min();
    for (const float weight : weights) {
        if (weight == 0) continue;
        int exponent = 0;
        const auto digits = static_cast<std::uint64_t>(std::ldexp(std::frexp(std::abs(double{weight}), &exponent), 53));
        lowest = std::min(lowest, exponent - 53 + std::countr_zero(digits));
        highest = std::max(highest, exponent);
    }
    // Nor where products with a channel's weight might become too large or too small.
    if (highest - lowest > 30 || lowest < -60 || highest > 60) return {0, 0};
    std::int64_t factor = 0, largest = 0;
    for (const float weight : weights) {
        const auto units = static_cast<std::int64_t>(std::ldexp(std::abs(double{weight}), -lowest));
        factor = std::gcd(factor, units);
        largest = std::max(largest, units);
    }
    if (factor > kLargestFactor || largest / factor > kMostUnits) return {0, 0};
    return {static_cast<float>(std::ldexp(static_cast<double>(factor), lowest)), largest / factor};
}

// Which blocks have weights; see Patch.
std::vector<Line> marks_of(const Patch& patch, std::int32_t patterns) {
    std::vector<Line> marks;
    for (std::int32_t pattern = 0; pattern < patterns; ++pattern)
        for (std::int32_t above = 0; above < kSide; ++above)
            for (std::int32_t beginning = 0; beginning < kSide; ++beginning)
                for (std::int32_t line = 0; line < patch.lines; ++line) {
                    Line bits = 0;
                    for (std::int32_t column = 0; column < patch.columns[pattern]; ++column) {
                        const float* block = patch.weights + pattern * patch.size + beginning * patch.shift +
                                             column * patch.column + (kSide - 1 - above) * kSide + line * kBlock;
                        if (std::any_of(block, block + kBlock, [](float weight) { return weight != 0; })) bits |= Line{1} << column;
                    }
                    marks.push_back(bits);
                }
    return marks;
}

std::vector<Beginning> beginnings_of(const Patch& patch, std::int32_t patterns, const std::vector<Line>& marks) {
    std::vector<Beginning> found;
    for (std::int32_t pattern = 0; pattern < patterns; ++pattern)
        for (std::int32_t above = 0; above < kSide; ++above)
            for (std::int32_t beginning = 0; beginning < kSide; ++beginning) {
                const Line* const own = marks.empty() ? nullptr : &marks[found.size() * static_cast<std::size_t>(patch.lines)];
                const std::ptrdiff_t first = pattern * patch.size + beginning * patch.shift + (kSide - 1 - above) * kSide;
                found.push_back({first, own, patch.columns[pattern]});
            }
    return found;
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

Plan::Plan(const LayerSpec& spec, const std::vector<std::int32_t>& rank_order, bool patterns) : patterns_(patterns) {
    scale_neurons(spec);
    buffers.resize(spec.out);
    const std::int32_t per_in = spec.in / spec.groups, per_out = spec.out / spec.groups;
    const std::size_t codes = rank_order.empty() ? spec.in : rank_order.size() + 1;
    std::vector<std::vector<Link>> links(codes);
    for (std::size_t code = 0; code < codes; ++code) {
        std::vector<std::int32_t> inputs(rank_order.begin(), rank_order.begin() + (rank_order.empty() ? 0 : code));
        if (rank_order.empty()) inputs.push_back(static_cast<std::int32_t>(code));
        for (const std::int32_t in : inputs)
            for (std::int32_t i = 0; i < per_out; ++i) {
                const std::int32_t out = in / per_in * per_out + i;
                const Patch patch = patch_of(spec, out, in);
                if (patch.lines == 0) continue;
                const auto same = std::find_if(links[code].begin(), links[code].end(), [&](const Link& link) {
                    return link.patch.weights == patch.weights && link.patch.left == patch.left &&
                           link.patch.top == patch.top;
                });
                if (same == links[code].end())
                    links[code].push_back({patch, {out}});
                else
                    same->outs.push_back(out);
            }
    }
    const bool nested = patterns && overlap(links);
    for (const auto& of_code : links) {
        first.push_back(static_cast<std::uint32_t>(patches.size()));
        add_code(of_code, !nested);
    }
    first.push_back(static_cast<std::uint32_t>(patches.size()));
    for (Patch& patch : patches) patch.small = fits_margin(patch);
    buffer_count = sets_.size();
    for (const bool counting : {true, false})
        for (std::uint32_t i = 0; i < buffer_count; ++i)
            for (const std::int32_t out : sets_[i].outs)
                if ((sets_[i].unit != 0) == counting) buffers[out].push_back(i);
    for (const Set& set : sets_) {
        units.push_back(set.unit);
        last.push_back(static_cast<std::uint32_t>(*std::max_element(set.outs.begin(), set.outs.end())));
    }
    limit_counts();
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
Patch Plan::patch_of(const LayerSpec& spec, std::int32_t out, std::int32_t in) {
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
    Patch patch{};
    patch.left = (spec.w - 1) / 2 - right;
    patch.top = (spec.h - 1) / 2 - bottom;
    patch.width = right - left + 1;
    patch.rows = bottom - top + 1;
    std::vector<float> mirrored;
    for (std::int32_t i = bottom; i >= top; --i)
        for (std::int32_t j = right; j >= left; --j) mirrored.push_back(kernel[static_cast<std::ptrdiff_t>(i) * spec.w + j]);
    keep_weights(patch, mirrored);
    return patch;
}

// The weights as `Patch` says. Channels often share a kernel; one copy stays in the cache.
void Plan::keep_weights(Patch& patch, const std::vector<float>& mirrored) {
    const std::int32_t patterns = patterns_ ? kPatterns : 1, most = patch.width + kSide - 1 + (patterns_ ? kSpan - 1 : 0);
    patch.lines = (patch.rows + 2 * kSide - 2) / kSide;
    for (std::int32_t i = 0; i < kPatterns; ++i) patch.columns[i] = (patch.width + kReach[i] + 2 * kSide - 2) / kSide;
    patch.column = std::ptrdiff_t{patch.lines * kSide + kSide - 1} * kSide;
    patch.shift = (most + kSide - 1) / kSide * patch.column;
    patch.size = kSide * patch.shift;
    std::vector<float> weights(static_cast<std::size_t>(patch.size) * patterns);
    for (std::int32_t pattern = 0; pattern < patterns; ++pattern)
        for (std::int32_t beginning = 0; beginning < kSide; ++beginning)
            for (std::int32_t spike = 0; spike < kSpan; ++spike) {
                if (spike > 0 && (pattern >> (spike - 1) & 1) == 0) continue;
                float* const begin = weights.data() + pattern * patch.size + beginning * patch.shift;
                for (std::int32_t i = 0; i < patch.rows; ++i)
                    for (std::int32_t j = 0; j < patch.width; ++j) {
                        const std::int32_t x = beginning + spike + j;
                        begin[x / kSide * patch.column + (kSide - 1 + i) * kSide + x % kSide] +=
                            mirrored[static_cast<std::size_t>(i) * patch.width + j];
                    }
            }
    auto known = std::find_if(weights_.begin(), weights_.end(), [&](const Weights& other) {
        return other.width == patch.width && other.rows == patch.rows && std::equal(weights.begin(), weights.end(), other.values.get());
    });
    if (known == weights_.end()) {
        known = weights_.insert(weights_.end(), {floats(weights.size()), weights.size(), patch.width, patch.rows, {}, {}, {0, 0}, {}});
        std::copy(weights.begin(), weights.end(), known->values.get());
        patch.weights = known->values.get();
        known->counted = unit_of(mirrored);
        if (const float unit = known->counted.unit; unit != 0) {
            known->counts = aligned<std::int16_t>(weights.size());
            std::transform(weights.begin(), weights.end(), known->counts.get(),
                           [&](float weight) { return static_cast<std::int16_t>(weight / unit); });
        }
        if (patch.columns[patterns - 1] <= kColumns) known->marks = marks_of(patch, patterns);
        known->beginnings = beginnings_of(patch, patterns, known->marks);
    }
    patch.weights = known->values.get();
    patch.counts = known->counts.get();
    patch.beginnings = known->beginnings.data();
}

Plan::Weights& Plan::weights_of(const float* values) {
    return *std::find_if(weights_.begin(), weights_.end(), [&](const Weights& known) { return known.values.get() == values; });
}

// An event may add several patches to the same buffer: where those of one could overflow a count, none counts.
void Plan::limit_counts() {
    std::int64_t most_units = 1;
    for (std::size_t code = 0; code + 1 < first.size(); ++code) {
        std::vector<std::int64_t> units_of(buffer_count);
        for (std::uint32_t j = first[code]; j < first[code + 1]; ++j)
            if (patches[j].counts != nullptr)
                most_units = std::max(most_units, units_of[patches[j].buffer] += weights_of(patches[j].weights).counted.largest);
    }
    constexpr std::int64_t kLargest = std::numeric_limits<std::int16_t>::max();
    if (most_units > kLargest) {
        std::fill(units.begin(), units.end(), 0.0F);
        most_units = 1;
    }
    most = static_cast<std::size_t>(kLargest / most_units);
}

// Whether a patch stays within the margin, of all events that any patch of the layer brings to a tile.
bool Plan::fits_margin(const Patch& patch) const {
    const auto fits = [](std::int32_t begin, std::int32_t low, std::int32_t high, std::int32_t blocks, std::int32_t side) {
        return begin - high >= -kMargin * kSide && (side - 1 - low + begin) / kSide + blocks <= side / kSide + kMargin;
    };
    return fits(patch.left, left, right, patch.columns[patterns_ ? kPatterns - 1 : 0], kWidth) &&
           fits(patch.top, top, bottom, patch.lines, kHeight);
}

// Whether output channels that share a patch share another one with other channels: each would sum many buffers.
bool Plan::overlap(const std::vector<std::vector<Link>>& links) {
    std::vector<const std::vector<std::int32_t>*> set_of(neurons_.size());
    for (const auto& of_code : links)
        for (const Link& link : of_code)
            for (const std::int32_t out : link.outs) {
                if (link.outs.size() == 1) continue;
                if (set_of[out] != nullptr && *set_of[out] != link.outs) return true;
                set_of[out] = &link.outs;
            }
    return false;
}

void Plan::add_code(const std::vector<Link>& links, bool share) {
    std::size_t added = 0;
    const auto add = [&](Patch patch, const std::vector<std::int32_t>& outs) {
        patch.buffer = buffer_of({outs, weights_of(patch.weights).counted.unit});
        const bool any = !patches.empty();
        left = any ? std::min(left, patch.left) : patch.left;
        top = any ? std::min(top, patch.top) : patch.top;
        right = std::max(any ? right : patch.left, patch.left + patch.width - 1 + (patterns_ ? kSpan - 1 : 0));
        bottom = std::max(any ? bottom : patch.top, patch.top + patch.rows - 1);
        patches.push_back(patch);
        added += static_cast<std::size_t>(patch.lines) * static_cast<std::size_t>(patch.columns[0]) * kBlock;
    };
    for (const Link& link : links) {
        if (share && buffer_of({link.outs, weights_of(link.patch.weights).counted.unit}) >= 0) {
            add(link.patch, link.outs);
        } else {
            for (const std::int32_t out : link.outs) add(link.patch, {out});
        }
    }
    cost = std::max(cost, added);
}

// The buffer of these output channels; -1 where there are too many sets of channels to give each
// its own. Single channels always get one.
std::int32_t Plan::buffer_of(const Set& set) {
    const auto known = std::find(sets_.begin(), sets_.end(), set);
    if (known != sets_.end()) return static_cast<std::int32_t>(known - sets_.begin());
    const auto shared = std::count_if(sets_.begin(), sets_.end(), [](const Set& other) { return other.outs.size() > 1; });
    if (set.outs.size() > 1 && static_cast<std::size_t>(shared) >= std::max<std::size_t>(16, neurons_.size())) return -1;
    sets_.push_back(set);
    return static_cast<std::int32_t>(sets_.size()) - 1;
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
