// What public Python may do to the core: call one object from two threads, hand in arrays that lie anywhere.
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

#include "bind/arrays.hpp"
#include "engine/fault.hpp"

namespace velocell {

// A value, and whether a thread is using it: Python calls without its lock, from any thread.
template <typename T>
struct Guarded {
    T value;
    mutable std::atomic<bool> busy{false};

    Guarded() = default;
    explicit Guarded(T made) : value(std::move(made)) {}
};

// Held while a value is used. Throws EngineFault where another thread holds it.
template <typename T>
class Use {
public:
    explicit Use(const Guarded<T>& guarded) : guarded_(guarded) {
        if (guarded.busy.exchange(true)) throw EngineFault("this is in use by another thread; give each thread its own");
    }
    ~Use() { guarded_.busy = false; }
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

private:
    const Guarded<T>& guarded_;
};

// Throws RecordingFault where values do not lie as the processor wants them.
template <typename... Arrays>
void check_aligned(const Arrays&... arrays) {
    const auto apart = [](const auto& array) {
        return array.size() != 0 && reinterpret_cast<std::uintptr_t>(array.data()) % sizeof(*array.data()) != 0;
    };
    if ((apart(arrays) || ...)) throw RecordingFault("an array is not aligned in memory; copy it");
}

}  // namespace velocell
