// NumPy arrays: those that come in, and the core's values going out without a copy.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

namespace velocell {

template <typename T>
using Column = nanobind::ndarray<const T, nanobind::ndim<1>, nanobind::c_contig, nanobind::device::cpu>;

// One-dimensional, over n values that `owner` keeps; of their own type, or of another one of the same size, such as
// bool for bytes.
template <typename Out, typename T>
nanobind::object array_over(T* values, std::size_t n, const nanobind::capsule& owner) {
    using Value = std::conditional_t<std::is_void_v<Out>, T, Out>;
    static_assert(sizeof(Value) == sizeof(T));
    return nanobind::cast(nanobind::ndarray<nanobind::numpy, Value, nanobind::ndim<1>>(values, {n}, owner));
}

template <typename Out = void, typename T>
nanobind::object array_of(std::unique_ptr<T[]>&& values, std::size_t n) {
    T* data = values.get();
    nanobind::capsule owner(data, [](void* pointer) noexcept { delete[] static_cast<T*>(pointer); });
    values.release();
    return array_over<Out>(data, n, owner);
}

// The first n values; of much unused room, a copy of just the right size.
template <typename Out, typename T>
nanobind::object fitted(std::unique_ptr<T[]> values, std::size_t n, std::size_t capacity) {
    if (n < capacity - capacity / 4) {
        std::unique_ptr<T[]> fitting(new T[n]);
        std::copy_n(values.get(), n, fitting.get());
        values = std::move(fitting);
    }
    return array_of<Out>(std::move(values), n);
}

template <typename Out = void, typename T>
nanobind::object array_of(std::vector<T>&& values) {
    auto kept = std::make_unique<std::vector<T>>(std::move(values));
    nanobind::capsule owner(kept.get(), [](void* pointer) noexcept { delete static_cast<std::vector<T>*>(pointer); });
    std::vector<T>& vector = *kept.release();
    return array_over<Out>(vector.data(), vector.size(), owner);
}

}  // namespace velocell
