// Steps a network through a recording, for test_other_processors.py: built for a processor that this machine is not,
// run in an emulator. stdin and stdout are little-endian numbers, eight bytes each but for floats and coordinates.
//
//     stdin    width height dt_us | silences, each silence_us, flips | layers, each: out in h w groups, kernel, a, v_th,
//              v_leak, v_reset | events, t_us of each, x, y, p
//     stdout   spikes, then t_us, x, y, channel and layer of each; the state as `save` gives it, with all membranes
// The argument is the variant of PatchOps to use; without one, those that there are go to stdout, a line each.
#include <cstdint>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

#include "engine/archive.hpp"
#include "engine/engine.hpp"

namespace {

template <typename Value>
std::vector<Value> values(std::size_t count) {
    std::vector<Value> read(count);
    if (std::fread(read.data(), sizeof(Value), count, stdin) != count) throw std::runtime_error("the input is cut off");
    return read;
}

std::int64_t number() { return values<std::int64_t>(1)[0]; }
std::int32_t small() { return static_cast<std::int32_t>(number()); }
std::size_t size() { return static_cast<std::size_t>(number()); }

velocell::LayerSpec layer() {
    velocell::LayerSpec read;
    for (std::int32_t* side : {&read.out, &read.in, &read.h, &read.w, &read.groups}) *side = small();
    read.kernel = values<float>(static_cast<std::size_t>(read.out) * (read.in / read.groups) * read.h * read.w);
    for (auto* column : {&read.a, &read.v_th, &read.v_leak, &read.v_reset}) *column = values<float>(read.out);
    return read;
}

velocell::NetworkSpec network() {
    velocell::NetworkSpec read;
    read.width = small();
    read.height = small();
    read.dt_us = number();
    read.trail.silence_us = values<std::int64_t>(size());
    read.trail.flips = number() != 0;
    for (std::size_t layers = size(); layers > 0; --layers) read.layers.push_back(layer());
    return read;
}

template <typename Value>
void write(const Value* first, std::size_t count) {
    if (std::fwrite(first, sizeof(Value), count, stdout) != count) throw std::runtime_error("the output is full");
}

void step() {
    velocell::Engine engine(network(), 1, std::size_t{1} << 24);
    const std::size_t n = size();
    const auto t = values<std::int64_t>(n);
    const auto x = values<std::uint16_t>(n), y = values<std::uint16_t>(n);
    const auto p = values<std::uint8_t>(n);
    const auto spikes = engine.step({t.data(), x.data(), y.data(), p.data(), n}, {}, [] { return false; });
    const auto found = static_cast<std::int64_t>(spikes.size);
    write(&found, 1);
    write(spikes.t_us.get(), spikes.size);
    for (const auto* column : {&spikes.x, &spikes.y, &spikes.channel, &spikes.layer}) write(column->get(), spikes.size);
    const std::string state = velocell::Archive::save(engine);
    write(state.data(), state.size());
}

}  // namespace

int main(int count, char** arguments) {
    try {
        const auto& variants = velocell::patch_variants();
        if (count < 2) {
            for (std::size_t i = 0; i < variants.count; ++i) std::puts(variants.ops[i]->name);
            return 0;
        }
        velocell::select_patch_ops(arguments[1]);
        step();
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
