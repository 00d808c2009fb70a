// Python's view of the simulated pixel.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstdint>
#include <stdexcept>
#include <utility>
#include <vector>

#include "simulate/pixel.hpp"

namespace nb = nanobind;

namespace {

template <typename T>
using Column = nb::ndarray<const T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

template <typename T>
using Table = nb::ndarray<const T, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

template <typename Out, typename T>
nb::object column(std::vector<T>&& values) {
    auto* kept = new std::vector<T>(std::move(values));
    nb::capsule owner(kept, [](void* pointer) noexcept { delete static_cast<std::vector<T>*>(pointer); });
    static_assert(sizeof(Out) == sizeof(T));
    return nb::cast(nb::ndarray<nb::numpy, Out, nb::ndim<1>>(kept->data(), {kept->size()}, owner));
}

// (t in s, pixel, on) of pixels with the given start and thresholds that see the given samples, frames and lamp.
nb::tuple run(double cutoff_per_lux, double cutoff_most, double follower_on, double follower_off, double refractory,
              double duration, Column<float> start, Column<float> threshold_on, Column<float> threshold_off,
              Column<float> leak, Column<float> offset, Column<float> speed, Column<std::int32_t> pixel, Column<double> t,
              Column<float> level, Column<double> frame_t, Table<float> frame_level, Column<double> lamp_t,
              Column<double> lamp_level) {
    const std::size_t n = start.size();
    if (threshold_on.size() != n || threshold_off.size() != n || leak.size() != n || offset.size() != n ||
        speed.size() != n)
        throw std::invalid_argument("the arrays of the pixels differ in length");
    if (pixel.size() != t.size() || pixel.size() != level.size())
        throw std::invalid_argument("the arrays of the samples differ in length");
    if (frame_level.shape(0) != frame_t.size() || (frame_t.size() && frame_level.shape(1) != n) ||
        lamp_t.size() != lamp_level.size())
        throw std::invalid_argument("the arrays of the frames or of the lamp differ in length");
    for (std::size_t i = 0; i < pixel.size(); ++i)
        if (pixel.data()[i] < 0 || static_cast<std::size_t>(pixel.data()[i]) >= n)
            throw std::invalid_argument("a sample is of a pixel that does not exist");
    velocell::PixelEvents events;
    {
        nb::gil_scoped_release release;
        const velocell::PixelRules rules{cutoff_per_lux, cutoff_most, follower_on, follower_off, refractory};
        events = velocell::simulate_pixels(
            rules,
            {start.data(), threshold_on.data(), threshold_off.data(), leak.data(), offset.data(), speed.data(), n},
            {pixel.data(), t.data(), level.data(), pixel.size()}, {frame_t.data(), frame_level.data(), frame_t.size()},
            {lamp_t.data(), lamp_level.data(), lamp_t.size()}, duration);
    }
    return nb::make_tuple(column<double>(std::move(events.t)), column<std::int32_t>(std::move(events.pixel)),
                          column<bool>(std::move(events.on)));
}

}  // namespace

void bind_pixel(nb::module_& m) {
    m.def("simulate_pixels", &run, nb::kw_only(), nb::arg("cutoff_per_lux"), nb::arg("cutoff_most"),
          nb::arg("follower_on"), nb::arg("follower_off"), nb::arg("refractory"), nb::arg("duration"),
          nb::arg("start"), nb::arg("threshold_on"), nb::arg("threshold_off"), nb::arg("leak"), nb::arg("offset"),
          nb::arg("speed"), nb::arg("pixel"), nb::arg("t"), nb::arg("level"),
          nb::arg("frame_t"), nb::arg("frame_level"), nb::arg("lamp_t"), nb::arg("lamp_level"));
}
