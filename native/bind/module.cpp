// velocell._native: the C++ core. One bind_* function per part, in a file of its own.
#include <nanobind/nanobind.h>

namespace nb = nanobind;

void bind_engine(nb::module_& m);
void bind_filters(nb::module_& m);
void bind_formats(nb::module_& m);
void bind_udp(nb::module_& m);
void bind_pixel(nb::module_& m);
void bind_tracker(nb::module_& m);

NB_MODULE(_native, m) {
    bind_engine(m);
    bind_filters(m);
    bind_formats(m);
    bind_udp(m);
    bind_pixel(m);
    bind_tracker(m);
}
