#include <nanobind/nanobind.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <array>
#include <bit>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "bind/arrays.hpp"
#include "bind/guard.hpp"
#include "tracker/tracker.hpp"

namespace nb = nanobind;

namespace {

using velocell::array_of;
using velocell::Column;

template <typename T>
nb::object column_of(const std::vector<velocell::Row>& rows, T velocell::Row::*member) {
    std::unique_ptr<T[]> values(new T[rows.size()]);
    for (std::size_t i = 0; i < rows.size(); ++i) values[i] = rows[i].*member;
    return array_of(std::move(values), rows.size());
}

nb::dict columns_of(const std::vector<velocell::Row>& rows) {
    using velocell::Row;
    nb::dict columns;
    columns["t_us"] = column_of(rows, &Row::t_us);
    columns["id"] = column_of(rows, &Row::id);
    columns["x_px"] = column_of(rows, &Row::x);
    columns["y_px"] = column_of(rows, &Row::y);
    columns["band"] = column_of(rows, &Row::band);
    columns["speed_px_s"] = column_of(rows, &Row::speed);
    columns["speed_err_px_s"] = column_of(rows, &Row::speed_err);
    columns["heading_deg"] = column_of(rows, &Row::heading);
    columns["radius_px"] = column_of(rows, &Row::radius);
    columns["confidence"] = column_of(rows, &Row::confidence);
    columns["accel_px_s2"] = column_of(rows, &Row::acceleration);
    columns["flags"] = column_of(rows, &Row::flags);
    return columns;
}

constexpr std::int64_t kLatestUs = std::int64_t{1} << 62, kLongestUs = std::int64_t{1} << 52;

using Kept = velocell::Guarded<velocell::Tracker>;
using Use = velocell::Use<velocell::Tracker>;

// Times are added and doubled in the core; beyond 2^62 that would overflow.
void check_times(const std::int64_t* t, std::size_t n, const char* what) {
    // Moved so that those which fit are 0 to 2^63 - 1: of several at once a processor asks for that bit.
    std::uint64_t beyond = 0;
    for (std::size_t i = 0; i < n; ++i) beyond |= static_cast<std::uint64_t>(t[i]) + (kLatestUs - 1);
    if (beyond >> 63 != 0) throw velocell::RecordingFault(std::string("the time of ") + what + " lies beyond 2^62 us; correct it");
}

nb::dict step(Kept& guarded, Column<std::int64_t> t, Column<std::uint16_t> x, Column<std::uint16_t> y,
              std::optional<Column<std::uint8_t>> p, Column<std::int64_t> spike_t, Column<std::int32_t> spike_x,
              Column<std::int32_t> spike_y, Column<std::int32_t> spike_channel, Column<std::int32_t> spike_size,
              std::int64_t until_us) {
    const Use use(guarded);
    velocell::Tracker& tracker = guarded.value;
    const auto n = t.shape(0), m = spike_t.shape(0);
    if (x.shape(0) != n || y.shape(0) != n || (p && p->shape(0) != n) || spike_x.shape(0) != m ||
        spike_y.shape(0) != m || spike_channel.shape(0) != m || spike_size.shape(0) != m)
        throw std::invalid_argument("columns of events and of spikes must have one entry each");
    velocell::check_aligned(t, x, y, spike_t, spike_x, spike_y, spike_channel, spike_size);
    for (std::size_t i = 0; i < m; ++i)
        if (static_cast<std::size_t>(spike_size.data()[i]) >= tracker.sizes())
            throw std::invalid_argument("a spike is of a size that the tracker does not know");
    check_times(t.data(), n, "an event");
    check_times(spike_t.data(), m, "a spike");
    check_times(&until_us, 1, "until_us");
    const velocell::EventSpan events{t.data(), x.data(), y.data(), p ? p->data() : nullptr,
                                     static_cast<std::int64_t>(n)};
    const velocell::SpikeSpan spikes{spike_t.data(), spike_x.data(), spike_y.data(), spike_channel.data(),
                                     spike_size.data(), static_cast<std::int64_t>(m)};
    std::vector<velocell::Row> rows;
    {
        nb::gil_scoped_release release;
        tracker.step(events, spikes, until_us, rows);
    }
    return columns_of(rows);
}

// All rules by name, no more and no less.
velocell::Rules rules_of(const nb::dict& values) {
    velocell::Rules rules{};
    for (const velocell::NamedRule& rule : velocell::kRules) {
        if (!values.contains(rule.name)) throw std::invalid_argument(std::string("a rule is missing: ") + rule.name);
        rules.*rule.value = nb::cast<double>(values[rule.name]);
    }
    for (const auto& item : values) {
        const auto name = nb::cast<std::string>(item.first);
        const auto same = [&name](const velocell::NamedRule& rule) { return name == rule.name; };
        if (std::none_of(std::begin(velocell::kRules), std::end(velocell::kRules), same))
            throw std::invalid_argument("an unknown rule: " + name);
    }
    return rules;
}

void make(Kept* self, const velocell::Rules& rules, int width, int height, std::int64_t every_us, std::int64_t dt_us,
          std::vector<double> radii, std::vector<double> edges, std::vector<double> outline, double crossings,
          double offset) {
    if (width < 1 || height < 1 || every_us < 1 || dt_us < 1 || radii.empty() ||
        !(*std::min_element(radii.begin(), radii.end()) > 0) || edges.size() < 2)
        throw std::invalid_argument("a tracker needs a sensor, positive times and radii, and two edges");
    if (every_us > kLongestUs || dt_us > kLongestUs || !(edges.front() >= 0) || !(edges.back() > 0))
        throw std::invalid_argument("a tracker needs times of less than 2^52 us, and edges above 0");
    const velocell::TrackerConfig config{width, height, every_us, dt_us, offset};
    new (self) Kept(velocell::Tracker(
        config, {rules, width, height, std::move(radii), std::move(edges), std::move(outline), crossings}));
}

Kept* copy(const Kept& kept) {
    const Use use(kept);
    return new Kept(kept.value);
}

void expect_noise(Kept& kept, double hz, double flips) {
    const Use use(kept);
    if (!(hz >= 0) || !(flips >= 0) || !(flips <= 1)) throw std::invalid_argument("noise needs a rate and a share");
    kept.value.expect({hz, flips});
}

void expect_share(Kept& kept, double share) {
    const Use use(kept);
    if (!(share > 0)) throw std::invalid_argument("a share of crossings must be above 0");
    kept.value.expect_share(share);
}

void expect_radii(Kept& kept, std::vector<double> radii) {
    const Use use(kept);
    if (radii.size() != kept.value.sizes() || !(*std::min_element(radii.begin(), radii.end()) > 0))
        throw std::invalid_argument("radii must be as many as before, and above 0");
    kept.value.expect_radii(std::move(radii));
}

std::array<std::int64_t, 2> crowding(const Kept& kept) {
    const Use use(kept);
    return {kept.value.crowding().births, kept.value.crowding().crowded};
}

std::vector<std::array<double, 9>> passages(const Kept& kept) {
    const Use use(kept);
    std::vector<std::array<double, 9>> rows;
    for (const auto& passage : kept.value.passages())
        rows.push_back({passage.crossing_share, passage.radius, passage.contrast, passage.weight, passage.trail_on_s,
                        passage.trail_off_s, passage.odds, passage.off_px, passage.speed});
    return rows;
}

using velocell::Allotment;

// The columns t_us, x, y, p of what each network sees.
nb::list columns_for_networks(const Allotment& allotment, Column<std::int64_t> t, Column<std::uint16_t> x,
                              Column<std::uint16_t> y, std::optional<Column<std::uint8_t>> p) {
    const std::size_t n = t.shape(0), networks = allotment.networks();
    if (x.shape(0) != n || y.shape(0) != n || (p && p->shape(0) != n))
        throw std::invalid_argument("columns of events must have one entry each");
    velocell::check_aligned(t, x, y);
    check_times(t.data(), n, "an event");
    struct Columns {
        std::size_t size = 0;
        std::unique_ptr<std::int64_t[]> t;
        std::unique_ptr<std::uint16_t[]> x, y;
        std::unique_ptr<std::uint8_t[]> p;
    };
    std::vector<Columns> each(networks);
    {
        nb::gil_scoped_release release;
        // What is copied and read again may be changed by another thread meanwhile: room for all that is written.
        std::vector<std::uint64_t> seen(n);
        for (std::size_t i = 0; i < n; ++i) {
            seen[i] = allotment.of(t.data()[i], x.data()[i], y.data()[i]);
            for (std::uint64_t left = seen[i]; left != 0; left &= left - 1) ++each[std::countr_zero(left)].size;
        }
        for (Columns& one : each) {
            one.t = std::make_unique_for_overwrite<std::int64_t[]>(one.size);
            one.x = std::make_unique_for_overwrite<std::uint16_t[]>(one.size);
            one.y = std::make_unique_for_overwrite<std::uint16_t[]>(one.size);
            if (p) one.p = std::make_unique_for_overwrite<std::uint8_t[]>(one.size);
            one.size = 0;
        }
        for (std::size_t i = 0; i < n; ++i)
            for (std::uint64_t left = seen[i]; left != 0; left &= left - 1) {
                Columns& one = each[std::countr_zero(left)];
                const std::size_t to = one.size++;
                one.t[to] = t.data()[i];
                one.x[to] = x.data()[i];
                one.y[to] = y.data()[i];
                if (p) one.p[to] = p->data()[i];
            }
    }
    nb::list found;
    for (Columns& one : each) {
        nb::object signs = p ? array_of<bool>(std::move(one.p), one.size) : nb::none();
        found.append(nb::make_tuple(array_of(std::move(one.t), one.size), array_of(std::move(one.x), one.size),
                                    array_of(std::move(one.y), one.size), signs));
    }
    return found;
}

// followed: of each object x, y, vx, vy, ax, ay, least, most, smallest, largest at t_us; see allot.hpp.
void make_allotment(Allotment* self, int width, int height, const std::vector<double>& radii, std::int64_t start_us,
                    std::int64_t stop_us, std::int64_t t_us, const std::vector<std::array<double, 10>>& followed) {
    check_times(&start_us, 1, "start_us");
    check_times(&stop_us, 1, "stop_us");
    check_times(&t_us, 1, "t_us");
    std::vector<velocell::Followed> objects;
    for (const auto& [x, y, vx, vy, ax, ay, least, most, smallest, largest] : followed)
        objects.push_back({t_us, x, y, vx, vy, ax, ay, least, most, smallest, largest});
    new (self) Allotment(width, height, radii, start_us, stop_us, objects);
}

Allotment allotment(const Kept& kept, std::int64_t start_us, std::int64_t stop_us) {
    const Use use(kept);
    check_times(&start_us, 1, "start_us");
    check_times(&stop_us, 1, "stop_us");
    return kept.value.allotment(start_us, stop_us);
}

}  // namespace

void bind_tracker(nb::module_& m) {
    nb::class_<velocell::Rules>(m, "Rules")
        .def("__init__", [](velocell::Rules* self, const nb::dict& values) { new (self) velocell::Rules(rules_of(values)); },
             nb::arg("values"))
        .def_static("names", [] {
            std::vector<std::string> names;
            for (const velocell::NamedRule& rule : velocell::kRules) names.emplace_back(rule.name);
            return names;
        })
        .def("wide_gate", &velocell::Rules::wide_gate, nb::arg("radius"));
    nb::class_<Allotment>(m, "Allotment")
        .def_ro_static("MOST", &Allotment::kMost)
        .def("__init__", &make_allotment, nb::kw_only(), nb::arg("width"), nb::arg("height"), nb::arg("radii"),
             nb::arg("start_us"), nb::arg("stop_us"), nb::arg("t_us"), nb::arg("followed"))
        .def("columns", &columns_for_networks, nb::arg("t_us"), nb::arg("x"), nb::arg("y"), nb::arg("p").none());
    nb::class_<Kept>(m, "Tracker")
        .def(
            "__init__",
            &make,
            nb::kw_only(), nb::arg("rules"), nb::arg("width"), nb::arg("height"), nb::arg("every_us"), nb::arg("dt_us"),
            nb::arg("radii"), nb::arg("edges"),
            nb::arg("outline") = std::vector<double>(), nb::arg("crossings") = 1.0, nb::arg("offset"))
        .def("step", &step, nb::arg("t_us"), nb::arg("x"), nb::arg("y"), nb::arg("p").none(), nb::arg("spike_t_us"),
             nb::arg("spike_x"), nb::arg("spike_y"), nb::arg("spike_channel"),
             nb::arg("spike_size"), nb::arg("until_us"))
        .def("expect_noise", &expect_noise, nb::kw_only(), nb::arg("hz"), nb::arg("flips"))
        .def("expect_share", &expect_share, nb::arg("share"))
        .def("expect_radii", &expect_radii, nb::arg("radii"))
        .def("allotment", &allotment, nb::arg("start_us"), nb::arg("stop_us"))
        .def("copy", &copy, nb::rv_policy::take_ownership)
        .def_prop_ro("crowding", &crowding)
        .def("passages", &passages);
}
