// Plan: a layer's description compiled to connections, and its numbers in any tick.
#pragma once

#include <cstdint>
#include <vector>

#include "decay.hpp"
#include "patch.hpp"

namespace velocell {

// One layer as Python gives it. kernel: (out, in / groups, h, w), the others one value per channel.
struct LayerSpec {
    std::int32_t out = 0, in = 0, h = 0, w = 0, groups = 1;
    std::vector<float> kernel, a, v_th, v_leak, v_reset;
};

// Per channel of the input filter: how long a pixel must have been silent. Empty without a filter.
struct TrailSpec {
    std::vector<std::int64_t> silence_us;
    bool flips = false;
};

struct NetworkSpec {
    std::int32_t width = 0, height = 0;
    std::int64_t dt_us = 0;
    TrailSpec trail;
    std::vector<LayerSpec> layers;
};

// Throws NetworkFault where a description is not complete or not what this engine can run.
void check(const NetworkSpec& spec);

class Plan {
public:
    // rank_order: for a layer behind the trail filter, the channels by rising silence; an event of
    // code r then drives the first r of them. Empty: code = input channel.
    Plan(const LayerSpec& spec, const std::vector<std::int32_t>& rank_order);

    std::int32_t channels() const { return static_cast<std::int32_t>(neurons_.size()); }
    bool memoryless(std::int32_t channel) const { return neurons_[channel].decay.memoryless(); }
    bool any_memoryless() const { return any_memoryless_; }

    // The numbers of every channel in one tick, and their periods (see Decay).
    void at(std::int64_t tick, Now* now, std::int64_t* periods) const;

    std::vector<Connection> connections;
    std::vector<std::uint32_t> first;    // of each code; one more at the end
    std::uint32_t most_connections = 0;  // of one code
    std::int32_t largest_patch = 0;      // floats
    double mean_cost = 0;                // floats per event, over all codes
    // All patches of an event at (x, y) lie within [x + left, x + right], [y + top, y + bottom].
    std::int32_t left = 0, right = 0, top = 0, bottom = 0;

private:
    struct Neuron {
        Decay decay;
        double a, threshold, reset;  // relative to v_leak
    };

    void connect(const LayerSpec& spec, std::int32_t in, std::vector<Connection>& into);

    std::vector<Neuron> neurons_;
    bool any_memoryless_ = false;
    std::vector<std::vector<float>> weights_;
};

}  // namespace velocell
