#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "bind/arrays.hpp"
#include "bind/guard.hpp"
#include "formats/dat.hpp"
#include "formats/encode.hpp"
#include "formats/event_stream.hpp"
#include "formats/evt.hpp"
#include "formats/table.hpp"
#include "formats/text.hpp"

namespace nb = nanobind;

namespace {

using velocell::array_of;
using velocell::Column;
using velocell::fitted;
using velocell::Guarded;
using velocell::Use;

template <typename Decoder>
nb::tuple feed(Guarded<Decoder>& guarded, nb::bytes data) {
    const Use<Decoder> use(guarded);
    Decoder& decoder = guarded.value;
    const auto* bytes = static_cast<const unsigned char*>(data.data());
    velocell::EventColumns events(decoder.bound(bytes, data.size()));
    {
        nb::gil_scoped_release release;
        decoder.feed(bytes, data.size(), events);
    }
    const std::size_t n = events.size, room = events.capacity;
    return nb::make_tuple(fitted<std::int64_t>(std::move(events.t), n, room),
                          fitted<std::uint16_t>(std::move(events.x), n, room),
                          fitted<std::uint16_t>(std::move(events.y), n, room),
                          fitted<bool>(std::move(events.p), n, room));
}

template <typename Decoder>
void bind_decoder(nb::module_& m, const char* name) {
    nb::class_<Guarded<Decoder>>(m, name)
        .def(nb::init<>())
        .def("feed", &feed<Decoder>, nb::arg("data"))
        .def("state", [](const Guarded<Decoder>& self) {
            const Use<Decoder> use(self);
            return self.value.state();
        })
        .def("restore", [](Guarded<Decoder>& self, const velocell::DecoderState& state) {
            const Use<Decoder> use(self);
            self.value.restore(state);
        }, nb::arg("state"))
        .def_prop_ro("held", [](const Guarded<Decoder>& self) {
            const Use<Decoder> use(self);
            return self.value.held();
        })
        .def_prop_ro("counts", [](const Guarded<Decoder>& self) {
            const Use<Decoder> use(self);
            const velocell::FormatCounts& counts = self.value.counts();
            nb::dict named;
            named["wraps"] = counts.wraps;
            named["triggers"] = counts.triggers;
            named["imu_samples"] = counts.imu;
            named["other"] = counts.other;
            named["unknown"] = counts.unknown;
            named["unplaced"] = counts.unplaced;
            return named;
        });
}

// t, x, y and p (empty without its role); None for a text that is not plain.
nb::object text_columns(nb::bytes text, const std::string& roles, const std::string& separator,
                        const std::string& comment, int decimals) {
    if (separator.size() > 1 || comment.size() != 1 || decimals < -3 || decimals > 6 ||
        std::count(roles.begin(), roles.end(), 't') != 1 || std::count(roles.begin(), roles.end(), 'x') != 1 ||
        std::count(roles.begin(), roles.end(), 'y') != 1)
        throw std::invalid_argument("a text has one separator, one comment sign, and each of t, x and y once");
    velocell::TextColumns columns;
    bool plain = false;
    {
        const auto* data = static_cast<const char*>(text.data());
        const std::size_t size = text.size();
        nb::gil_scoped_release release;
        plain = velocell::parse_text(data, size, roles, separator.empty() ? '\0' : separator[0], comment[0], decimals,
                                     columns);
    }
    if (!plain) return nb::none();
    return nb::make_tuple(array_of(std::move(columns.t)), array_of(std::move(columns.x)),
                          array_of(std::move(columns.y)), array_of(std::move(columns.p)));
}

// Lines of columns, of which those with decimals (not negative) are double and the others int64, each number behind its
// column's text; None for numbers that are not plain.
nb::object table_lines(const std::vector<nb::object>& columns, const std::vector<int>& decimals,
                       const std::vector<std::string>& before, bool json) {
    if (columns.empty() || columns.size() != decimals.size() || columns.size() != before.size())
        throw std::invalid_argument("a table needs columns, a number of decimals for each, and what stands before it");
    std::vector<velocell::NumberColumn> numbers;
    std::size_t n = 0;
    const auto take = [&](const auto& column) {
        if (!numbers.empty() && column.shape(0) != n) throw std::invalid_argument("columns must be of one length");
        velocell::check_aligned(column);
        n = column.shape(0);
        return column.data();
    };
    for (std::size_t k = 0; k < columns.size(); ++k) {
        if (decimals[k] > 9) throw std::invalid_argument("a column has at most 9 decimals");
        velocell::NumberColumn one;
        one.decimals = decimals[k];
        one.before = before[k];
        if (decimals[k] < 0) one.integers = take(nb::cast<Column<std::int64_t>>(columns[k]));
        else one.fractions = take(nb::cast<Column<double>>(columns[k]));
        numbers.push_back(one);
    }
    std::string text;
    bool plain = false;
    {
        nb::gil_scoped_release release;
        plain = velocell::write_lines(numbers, n, json ? velocell::Lines::kJson : velocell::Lines::kCsv, text);
    }
    return plain ? nb::object(nb::str(text.data(), text.size())) : nb::object(nb::none());
}

template <typename Encoder>
void bind_encoder(nb::module_& m, const char* name) {
    nb::class_<Guarded<Encoder>>(m, name)
        .def(nb::init<>())
        .def(
            "feed",
            [](Guarded<Encoder>& self, Column<std::int64_t> t, Column<std::uint16_t> x, Column<std::uint16_t> y,
               Column<std::uint8_t> p) {
                const Use<Encoder> use(self);
                velocell::check_aligned(t, x, y, p);
                const std::size_t n = t.shape(0);
                if (x.shape(0) != n || y.shape(0) != n || p.shape(0) != n)
                    throw std::invalid_argument("columns of events must have one entry each");
                std::string bytes;
                {
                    nb::gil_scoped_release release;
                    self.value.feed({t.data(), x.data(), y.data(), p.data(), n}, bytes);
                }
                return nb::bytes(bytes.data(), bytes.size());
            },
            nb::arg("t_us"), nb::arg("x"), nb::arg("y"), nb::arg("p"));
}

}  // namespace

void bind_formats(nb::module_& m) {
    bind_decoder<velocell::Evt2Decoder>(m, "Evt2Decoder");
    bind_decoder<velocell::Evt21Decoder>(m, "Evt21Decoder");
    bind_decoder<velocell::Evt21SwappedDecoder>(m, "Evt21SwappedDecoder");
    bind_decoder<velocell::Evt3Decoder>(m, "Evt3Decoder");
    bind_decoder<velocell::Dat1Decoder>(m, "Dat1Decoder");
    bind_decoder<velocell::Dat2Decoder>(m, "Dat2Decoder");
    bind_decoder<velocell::DvsStreamDecoder>(m, "DvsStreamDecoder");
    bind_decoder<velocell::AtisStreamDecoder>(m, "AtisStreamDecoder");
    bind_encoder<velocell::Evt2Encoder>(m, "Evt2Encoder");
    bind_encoder<velocell::Evt3Encoder>(m, "Evt3Encoder");
    bind_encoder<velocell::Dat2Encoder>(m, "Dat2Encoder");
    m.def("text_columns", &text_columns, nb::arg("text"), nb::arg("roles"), nb::arg("separator"), nb::arg("comment"),
          nb::arg("decimals"));
    m.def("table_lines", &table_lines, nb::arg("columns"), nb::arg("decimals"), nb::arg("before"), nb::arg("json"));
}
