// Python's view of the receiver.
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>

#include <cstring>
#include <stdexcept>

#include "live/udp.hpp"

namespace nb = nanobind;
using velocell::UdpReceiver;

void bind_udp(nb::module_& m) {
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
