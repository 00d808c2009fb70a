// Archive: an engine's state as bytes, and back.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "engine.hpp"

namespace velocell {

class Archive {
public:
    static std::string save(const Engine& engine);
    // Throws EngineFault for anything but what `save` of this format wrote, and NetworkFault where
    // the network in it cannot run.
    static std::unique_ptr<Engine> load(const char* bytes, std::size_t size, std::size_t threads, std::size_t max_spikes);
};

}  // namespace velocell
