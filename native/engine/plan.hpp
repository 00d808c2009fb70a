// Plan: a layer's description compiled to connections, and its numbers in any tick.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "decay.hpp"
#include "floats.hpp"
#include "patch.hpp"

namespace velocell {

// One layer as Python gives it. kernel: (out, in / groups, h, w), the others one value per channel.
struct LayerSpec {
    std::int32_t out = 0, in = 0, h = 0, w = 0, groups = 1;
    std::vector<float> kernel, a, v_th, v_leak, v_reset;

    bool operator==(const LayerSpec&) const = default;
};

// Per channel of the input filter: how long a pixel must have been silent. Empty without a filter.
struct TrailSpec {
    std::vector<std::int64_t> silence_us;
    bool flips = false;

    bool operator==(const TrailSpec&) const = default;
};

struct NetworkSpec {
    std::int32_t width = 0, height = 0;
    std::int64_t dt_us = 0;
    TrailSpec trail;
    std::vector<LayerSpec> layers;

    bool operator==(const NetworkSpec&) const = default;
};

// Throws NetworkFault where a description is not complete or not what this engine can run.
void check(const NetworkSpec& spec);

// A channel's numbers in one tick; see Channel.
struct Now {
    float weight, threshold, reset;
};

// Every weight of a kernel is a whole multiple of it, up to `largest` times; 0 where there is no such unit.
struct Unit {
    float unit;
    std::int64_t largest;
};

class Plan {
public:
    // rank_order: for a layer behind the trail filter, the channels by rising silence; an event of
    // code r then drives the first r of them. Empty: code = input channel.
    // patterns: whether spikes of one row come as one event.
    Plan(const LayerSpec& spec, const std::vector<std::int32_t>& rank_order, bool patterns);
    Plan(const Plan&) = delete;  // patches point into it
    Plan& operator=(const Plan&) = delete;

    std::size_t channels() const { return neurons_.size(); }
    bool memoryless(std::size_t channel) const { return neurons_[channel].decay.memoryless(); }

    // The numbers of every channel in one tick, and their periods (see Decay).
    void at(std::int64_t tick, Now* now, std::int64_t* periods) const;

    std::vector<Patch> patches;
    std::vector<std::uint32_t> first;                 // of each code; one more at the end
    std::vector<std::vector<std::uint32_t>> buffers;  // of each channel: whose sum is its current
    std::size_t buffer_count = 0;
    std::vector<std::uint32_t> last;                  // of each buffer, the highest of its channels
    std::vector<float> units;                         // of each buffer; 0 where it does not count
    std::size_t most = 0;                             // spikes or events between two spills of buffers that count
    std::size_t cost = 0;  // floats added for an event, at most
    // All patches of an event at (x, y) lie within [x + left, x + right], [y + top, y + bottom].
    std::int32_t left = 0, right = 0, top = 0, bottom = 0;

private:
    struct Neuron {
        Decay decay;
        double a, threshold, reset;  // relative to v_leak
    };
    struct Weights {
        Floats values;
        std::size_t size;
        std::int32_t width, rows;
        std::vector<Line> marks;
        std::vector<Beginning> beginnings;
        Unit counted;
        Counts counts;  // in units
    };
    // One kernel between an input channel and the output channels that share it.
    struct Link {
        Patch patch;
        std::vector<std::int32_t> outs;
    };
    // Whose sums are the currents of these output channels. Weights that can be counted have their own ones.
    struct Set {
        std::vector<std::int32_t> outs;
        float unit;  // 0: not counted

        bool operator==(const Set&) const = default;
    };

    void scale_neurons(const LayerSpec& spec);
    Patch patch_of(const LayerSpec& spec, std::int32_t out, std::int32_t in);
    void keep_weights(Patch& patch, const std::vector<float>& mirrored);
    bool fits_margin(const Patch& patch) const;
    Weights& weights_of(const float* values);
    void limit_counts();
    bool overlap(const std::vector<std::vector<Link>>& links);
    void add_code(const std::vector<Link>& links, bool share);
    std::int32_t buffer_of(const Set& set);

    bool patterns_;
    std::vector<Neuron> neurons_;
    std::vector<Weights> weights_;
    std::vector<Set> sets_;  // of each buffer
};

}  // namespace velocell
