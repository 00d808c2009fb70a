// Python's view of the receiver, and of what is in its packets.
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>

#include <cstring>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

#include "bind/arrays.hpp"
#include "live/spif.hpp"
#include "live/udp.hpp"

namespace nb = nanobind;
using velocell::UdpReceiver;

namespace {

// (t_us, x, y, p, the sender's newest time, steps back, width, height), or None.
nb::object in_step(const nb::list& packets, std::int64_t newest_us, std::int64_t shift_us, std::int64_t far_us) {
    std::vector<std::string_view> views;
    views.reserve(packets.size());
    for (const nb::handle packet : packets) {
        const auto data = nb::cast<nb::bytes>(packet);
        views.emplace_back(data.c_str(), data.size());  // the list keeps it
    }
    auto found = velocell::spif_in_step(views, newest_us, shift_us, far_us);
    if (!found) return nb::none();
    return nb::make_tuple(velocell::array_of(std::move(found->t)), velocell::array_of(std::move(found->x)),
                          velocell::array_of(std::move(found->y)), velocell::array_of<bool>(std::move(found->p)),
                          found->newest_us, found->back_steps, found->width, found->height);
}

}  // namespace

void bind_udp(nb::module_& m) {
    m.def("spif_in_step", &in_step, nb::arg("packets"), nb::kw_only(), nb::arg("newest_us"), nb::arg("shift_us"),
          nb::arg("far_us"));
    nb::class_<UdpReceiver>(m, "UdpReceiver")
        .def(nb::init<velocell::Socket, std::size_t, double, double>(), nb::arg("socket"), nb::arg("most_bytes"),
             nb::arg("most_wait_s"), nb::arg("silent_s"))
        .def("wait", &UdpReceiver::wait, nb::arg("seconds"), nb::call_guard<nb::gil_scoped_release>())
        .def("gather", &UdpReceiver::gather, nb::arg("seconds"), nb::arg("until") = nb::none(),
             nb::call_guard<nb::gil_scoped_release>())
        .def("take",
             [](UdpReceiver& receiver, std::size_t bytes) {
                 nb::list packets;
                 for (const auto& packet : receiver.take(bytes))
                     packets.append(nb::make_tuple(packet.at_s, nb::bytes(packet.from.data(), packet.from.size()),
                                                  nb::bytes(packet.data.data(), packet.data.size())));
                 return packets;
             },
             nb::arg("bytes"))
        .def("stop", &UdpReceiver::stop, nb::call_guard<nb::gil_scoped_release>())
        .def("keep_only",
             [](UdpReceiver& receiver, nb::bytes sender, double heard_s) {
                 velocell::Sender only{};
                 if (sender.size() != only.size()) throw std::invalid_argument("a sender is an address and a port");
                 std::memcpy(only.data(), sender.data(), only.size());
                 receiver.keep_only(only, heard_s);
             },
             nb::arg("sender"), nb::arg("heard_s"))
        .def_prop_ro("keeps_all", &UdpReceiver::keeps_all)
        .def_prop_ro("others", &UdpReceiver::others)
        .def_prop_ro("lost", &UdpReceiver::lost)
        .def_prop_ro("overflow", &UdpReceiver::overflow)
        .def_prop_ro("error", &UdpReceiver::error)
        .def_prop_ro("heard_s", &UdpReceiver::heard_s);
}
