// Zeroed floats on a cache line's boundary, as vector instructions want them.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <new>

namespace velocell {

struct FreeFloats {
    void operator()(float* memory) const { ::operator delete[](memory, std::align_val_t{64}); }
};
using Floats = std::unique_ptr<float[], FreeFloats>;

inline Floats floats(std::size_t count) {
    void* memory = ::operator new[](count * sizeof(float), std::align_val_t{64});
    std::memset(memory, 0, count * sizeof(float));
    return Floats(static_cast<float*>(memory));
}

}  // namespace velocell
