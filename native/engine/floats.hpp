// Zeroed numbers on a cache line's boundary, as vector instructions want them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>

namespace velocell {

struct FreeAligned {
    void operator()(void* memory) const { ::operator delete[](memory, std::align_val_t{64}); }
};
template <typename Number>
using Aligned = std::unique_ptr<Number[], FreeAligned>;
using Floats = Aligned<float>;
using Counts = Aligned<std::int16_t>;

template <typename Number>
Aligned<Number> aligned(std::size_t count) {
    void* memory = ::operator new[](count * sizeof(Number), std::align_val_t{64});
    std::memset(memory, 0, count * sizeof(Number));
    return Aligned<Number>(static_cast<Number*>(memory));
}
inline Floats floats(std::size_t count) { return aligned<float>(count); }

}  // namespace velocell
