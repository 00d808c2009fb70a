// velocell._native: the C++ core. One bind_* function per part, in a file of its own.
#include <nanobind/nanobind.h>

namespace nb = nanobind;

void bind_engine(nb::module_& m);
void bind_filters(nb::module_& m);
void bind_formats(nb::module_& m);
void bind_packets(nb::module_& m);
void bind_udp(nb::module_& m);
void bind_pixel(nb::module_& m);
void bind_tracker(nb::module_& m);

namespace {

// What built this, for those who compare its speed.
#define VELOCELL_TEXT_OF(number) #number
#define VELOCELL_TEXT(number) VELOCELL_TEXT_OF(number)
#if defined(__clang__)
constexpr const char* kCompiler = "Clang " __clang_version__;
#elif defined(__GNUC__)
constexpr const char* kCompiler = "GCC " __VERSION__;
#elif defined(_MSC_VER)
constexpr const char* kCompiler = "MSVC " VELOCELL_TEXT(_MSC_FULL_VER);
#else
constexpr const char* kCompiler = "unknown";
#endif

}  // namespace

NB_MODULE(_native, m) {
    m.attr("compiler") = kCompiler;
    bind_engine(m);
    bind_filters(m);
    bind_formats(m);
    bind_packets(m);
    bind_udp(m);
    bind_pixel(m);
    bind_tracker(m);
}
