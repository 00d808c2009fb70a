// Python's view of the filters.
#include <nanobind/nanobind.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>

#include <nanobind/stl/optional.h>

#include "bind/arrays.hpp"
#include "filters/comb.hpp"

namespace nb = nanobind;

namespace {

using velocell::Column;
using velocell::Comb;

// Which events stay, as bools.
nb::object kept(Comb& comb, Column<std::int64_t> t, Column<std::uint16_t> x, Column<std::uint16_t> y,
                std::optional<Column<std::uint8_t>> p) {
    const std::size_t n = t.shape(0);
    if (x.shape(0) != n || y.shape(0) != n || (p && p->shape(0) != n))
        throw std::invalid_argument("columns of events must have one entry each");
    std::unique_ptr<std::uint8_t[]> keep(new std::uint8_t[n]);
    std::fill_n(keep.get(), n, 1);
    {
        nb::gil_scoped_release release;
        comb.filter(t.data(), x.data(), y.data(), p ? p->data() : nullptr, n, keep.get());
    }
    return velocell::array_of<bool>(std::move(keep), n);
}

}  // namespace

void bind_filters(nb::module_& m) {
    nb::class_<Comb>(m, "Comb")
        .def(
            "__init__",
            [](Comb* self, int width, int height, double period_us, int least) {
                if (width < 1 || height < 1 || !(period_us > 0) || least < 1 || least >= Comb::kPeriods)
                    throw std::invalid_argument("a comb needs a sensor, a period above 0 and 1 to 7 periods");
                new (self) Comb(width, height, period_us, least);
            },
            nb::kw_only(), nb::arg("width"), nb::arg("height"), nb::arg("period_us"), nb::arg("least"))
        .def("add_cell", &Comb::add_cell, nb::arg("column"), nb::arg("row"))
        .def("kept", &kept, nb::arg("t_us"), nb::arg("x"), nb::arg("y"), nb::arg("p").none())
        .def_ro_static("CELL", &Comb::kCell)
        .def_ro_static("PERIODS", &Comb::kPeriods);
}
