// AEDAT4's packets: read one after the other out of what stands in a file, without a Python loop over them.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "bind/arrays.hpp"
#include "bind/guard.hpp"
#include "formats/aedat4.hpp"
#include "formats/unpack.hpp"

namespace nb = nanobind;

namespace {

using velocell::Column;
using velocell::Elements;
using velocell::FrameUnpacker;
using velocell::Guarded;
using velocell::PacketEvents;
using velocell::PacketLead;
using velocell::Use;

struct Frames {
    std::unique_ptr<FrameUnpacker> unpacker;
    std::size_t most_bytes = 0;

    FrameUnpacker::Outcome unpack(const unsigned char* packed, std::size_t size) {
        return unpacker->unpack(packed, size, most_bytes);
    }
};
using Unpacker = Guarded<Frames>;

struct Stream {
    std::int32_t number;
    std::string kind;
    bool wanted;
    std::size_t counted = 0;  // entries of one that is not wanted
};

struct PacketReader {
    std::vector<Stream> streams;
    std::size_t most_bytes = 0;
    PacketEvents events;
    std::size_t unpacked = 0;

    Stream* stream(std::int32_t number) {
        for (Stream& each : streams)
            if (each.number == number) return &each;
        return nullptr;
    }
    // Whether the content of a packet is whole; then it is taken up or counted.
    bool take(const unsigned char* content, std::size_t size, Stream& stream) {
        unpacked += size;
        const std::optional<Elements> found = velocell::packet_elements(
            content, size, stream.kind, stream.wanted ? PacketEvents::kBytes : velocell::kTableBytes);
        if (!found) return false;
        if (stream.wanted) events.append(content + found->first, found->n);
        else stream.counted += stream.kind == velocell::kFrame ? 1 : found->n;
        return true;
    }
};
using Reader = Guarded<PacketReader>;

using Outcome = FrameUnpacker::Outcome;

// A packet by a function of Python, which raises ValueError where it is damaged.
Outcome take_called(PacketReader& reader, const nb::object& data, std::size_t first, std::size_t n,
                    const nb::object& unpack, Stream& stream) {
    nb::object content;
    try {
        const nb::object packed = nb::steal(PySequence_GetSlice(data.ptr(), static_cast<Py_ssize_t>(first),
                                                                static_cast<Py_ssize_t>(first + n)));
        if (!packed.is_valid()) throw nb::python_error();
        content = unpack(packed);
    } catch (nb::python_error& error) {
        if (!error.matches(PyExc_ValueError)) throw;
        return Outcome::kDamaged;
    }
    const auto bytes = nb::cast<Column<std::uint8_t>>(content);
    const nb::gil_scoped_release release;
    return reader.take(bytes.data(), bytes.shape(0), stream) ? Outcome::kWhole : Outcome::kDamaged;
}

Outcome take_frame(PacketReader& reader, const unsigned char* packed, std::size_t n, Unpacker& guarded, Stream& stream) {
    const Use<Frames> use(guarded);
    const nb::gil_scoped_release release;
    const Outcome found = guarded.value.unpack(packed, n);
    if (found != Outcome::kWhole) return found;
    const FrameUnpacker& frame = *guarded.value.unpacker;
    return reader.take(frame.content(), frame.size(), stream) ? Outcome::kWhole : Outcome::kDamaged;
}

// Takes up the packets at the head of `data`, of a file that has `left` bytes of packets from there on. Until when, how
// many bytes were taken, and a number:
//   more     the next packet is not all there; how many bytes it takes
//   pause    much was taken up, or all that is left; 0
//   damaged  a packet is, the last one that was taken; where it begins
//   foreign  no packet begins here; 0
//   large    the next packet is longer than `most_bytes`, or unpacks to more; 0
// unpack: an Unpacker, a function, or None where nothing is packed.
std::tuple<const char*, std::size_t, std::size_t> feed(Reader& guarded, const nb::object& data, std::size_t left,
                                                       const nb::object& unpack, std::size_t enough_events,
                                                       std::size_t enough_bytes) {
    const Use<PacketReader> use(guarded);
    PacketReader& reader = guarded.value;
    const auto bytes = nb::cast<Column<std::uint8_t>>(data);
    const std::size_t size = bytes.shape(0);
    Unpacker* const frames = nb::isinstance<Unpacker>(unpack) ? nb::inst_ptr<Unpacker>(unpack) : nullptr;
    std::size_t at = 0;
    reader.unpacked = 0;
    while (at < left && reader.events.size() < enough_events && reader.unpacked < enough_bytes) {
        if (left - at < PacketLead::kBytes) return {"foreign", at, 0};
        if (size - at < PacketLead::kBytes) return {"more", at, PacketLead::kBytes};
        const PacketLead lead = velocell::packet_lead(bytes.data() + at);
        Stream* const stream = reader.stream(lead.stream);
        // Without a right length there is no way to find the next packet.
        if (stream == nullptr || lead.length < 0) return {"foreign", at, 0};
        const auto length = static_cast<std::size_t>(lead.length);
        if (length > left - at - PacketLead::kBytes) return {"foreign", at, 0};
        if (length > reader.most_bytes) return {"large", at, 0};
        if (length > size - at - PacketLead::kBytes) return {"more", at, PacketLead::kBytes + length};
        const std::size_t first = at + PacketLead::kBytes;
        const unsigned char* const packed = bytes.data() + first;
        const Outcome found = frames != nullptr   ? take_frame(reader, packed, length, *frames, *stream)
                              : !unpack.is_none() ? take_called(reader, data, first, length, unpack, *stream)
                              : reader.take(packed, length, *stream) ? Outcome::kWhole
                                                                     : Outcome::kDamaged;
        if (found == Outcome::kOversized) return {"large", at, 0};
        const std::size_t begin = std::exchange(at, first + length);
        if (found == Outcome::kDamaged) return {"damaged", at, begin};
    }
    return {"pause", at, 0};
}

// t, x, y and p of what was taken up since the last time; x and y are signed only where one is negative.
nb::tuple take_events(Reader& self) {
    const Use<PacketReader> use(self);
    auto [columns, negative] = self.value.events.take();
    const std::size_t n = columns.size, room = columns.capacity;
    const auto coordinates = [&](std::unique_ptr<std::uint16_t[]> values) {
        return negative ? velocell::fitted<std::int16_t>(std::move(values), n, room)
                        : velocell::fitted<std::uint16_t>(std::move(values), n, room);
    };
    nb::object x = coordinates(std::move(columns.x)), y = coordinates(std::move(columns.y));
    return nb::make_tuple(velocell::fitted<std::int64_t>(std::move(columns.t), n, room), x, y,
                          velocell::fitted<bool>(std::move(columns.p), n, room));
}

// By the number of its stream: entries of those that are not wanted, since the last time.
nb::dict take_counts(Reader& self) {
    const Use<PacketReader> use(self);
    nb::dict counts;
    for (Stream& stream : self.value.streams)
        if (stream.counted != 0) counts[nb::int_(stream.number)] = std::exchange(stream.counted, 0);
    return counts;
}

// Where the elements of a packet's content start and how many there are; None for a damaged one.
nb::object packet_elements(Column<std::uint8_t> content, nb::bytes kind, bool wanted) {
    const auto found = velocell::packet_elements(content.data(), content.shape(0), {kind.c_str(), kind.size()},
                                                 wanted ? PacketEvents::kBytes : velocell::kTableBytes);
    return found ? nb::object(nb::make_tuple(found->first, found->n)) : nb::object(nb::none());
}

// None where the library does not show its functions.
nb::object loaded_unpacker(const std::string& library, const std::string& compression, std::size_t most_bytes) {
    if (compression != "lz4" && compression != "zstd") throw std::invalid_argument("a compression is lz4 or zstd");
    Frames frames{velocell::loaded_unpacker(library.c_str(), compression == "zstd"), most_bytes};
    if (frames.unpacker == nullptr) return nb::none();
    return nb::cast(std::make_unique<Unpacker>(std::move(frames)));
}

// The content of a frame; None where it is larger than it may be.
nb::object unpack(Unpacker& self, Column<std::uint8_t> packed) {
    const Use<Frames> use(self);
    Outcome found = Outcome::kWhole;
    {
        const nb::gil_scoped_release release;
        found = self.value.unpack(packed.data(), packed.shape(0));
    }
    if (found == Outcome::kOversized) return nb::none();
    if (found == Outcome::kDamaged) throw nb::value_error("the frame is damaged or cut off");
    return nb::bytes(self.value.unpacker->content(), self.value.unpacker->size());
}

}  // namespace

void bind_packets(nb::module_& m) {
    nb::class_<Unpacker>(m, "Unpacker")
        .def("__call__", &unpack, nb::arg("packed"), nb::sig("def __call__(self, packed: bytes | memoryview) -> bytes | None"));
    m.def("loaded_unpacker", &loaded_unpacker, nb::arg("library"), nb::arg("compression"), nb::arg("most_bytes"),
          nb::sig("def loaded_unpacker(library: str, compression: str, most_bytes: int) -> Unpacker | None"));
    nb::class_<Reader>(m, "PacketReader")
        .def("__init__", [](Reader* self, const std::vector<std::tuple<std::int32_t, nb::bytes, bool>>& streams,
                            std::size_t most_bytes) {
            PacketReader reader;
            for (const auto& [number, kind, wanted] : streams)
                reader.streams.push_back({number, std::string(kind.c_str(), kind.size()), wanted});
            reader.most_bytes = most_bytes;
            new (self) Reader(std::move(reader));
        }, nb::arg("streams"), nb::arg("most_bytes"))
        .def("feed", &feed, nb::arg("data"), nb::arg("left"), nb::arg("unpack").none(), nb::kw_only(),
             nb::arg("enough_events"), nb::arg("enough_bytes"),
             nb::sig("def feed(self, data: memoryview, left: int, unpack: collections.abc.Callable[[memoryview], object] "
                     "| Unpacker | None, *, enough_events: int, enough_bytes: int) -> tuple[str, int, int]"))
        .def_prop_ro("unpacked", [](const Reader& self) {
            const Use<PacketReader> use(self);
            return self.value.unpacked;
        }, "Bytes of content that the last call of `feed` looked at.")
        .def("__len__", [](const Reader& self) {
            const Use<PacketReader> use(self);
            return self.value.events.size();
        })
        .def("take", &take_events)
        .def("take_counts", &take_counts, nb::sig("def take_counts(self) -> dict[int, int]"));
    m.def("packet_elements", &packet_elements, nb::arg("content"), nb::arg("kind"), nb::arg("wanted"),
          nb::sig("def packet_elements(content: bytes | memoryview, kind: bytes, wanted: bool) -> "
                  "tuple[int, int] | None"));
}
