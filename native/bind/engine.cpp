#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <chrono>
#include <limits>

#include "bind/arrays.hpp"
#include "bind/guard.hpp"
#include "engine/archive.hpp"
#include "engine/engine.hpp"
#include "engine/fault.hpp"

namespace nb = nanobind;

namespace {

using velocell::array_of;
using velocell::Chunk;
using velocell::Column;
using velocell::Engine;
using velocell::LayerSpec;
using velocell::NetworkSpec;

using Kernel = nb::ndarray<const float, nb::ndim<4>, nb::c_contig, nb::device::cpu>;
using LayerArrays = nb::typed<nb::tuple, Kernel, int, Column<float>, Column<float>, Column<float>, Column<float>>;

std::vector<float> values_of(nb::handle array) {
    const auto column = nb::cast<Column<float>>(array);
    velocell::check_aligned(column);
    return {column.data(), column.data() + column.shape(0)};
}

LayerSpec layer_of(const nb::tuple& arrays) {
    if (arrays.size() != 6) throw velocell::NetworkFault("a layer is (kernel, groups, a, v_th, v_leak, v_reset)");
    const auto kernel = nb::cast<Kernel>(arrays[0]);
    velocell::check_aligned(kernel);
    for (std::size_t i = 0; i < 4; ++i)
        if (kernel.shape(i) > 1 << 20) throw velocell::NetworkFault("a kernel is larger than this engine can hold");
    LayerSpec layer;
    layer.groups = nb::cast<std::int32_t>(arrays[1]);
    layer.out = static_cast<std::int32_t>(kernel.shape(0));
    const std::int64_t in = static_cast<std::int64_t>(kernel.shape(1)) * layer.groups;
    layer.in = static_cast<std::int32_t>(std::clamp<std::int64_t>(in, 0, std::numeric_limits<std::int32_t>::max()));
    layer.h = static_cast<std::int32_t>(kernel.shape(2));
    layer.w = static_cast<std::int32_t>(kernel.shape(3));
    layer.kernel.assign(kernel.data(), kernel.data() + kernel.size());
    layer.a = values_of(arrays[2]);
    layer.v_th = values_of(arrays[3]);
    layer.v_leak = values_of(arrays[4]);
    layer.v_reset = values_of(arrays[5]);
    return layer;
}

// Whether a signal handler (Ctrl-C) raised. The lock is taken for it, so not too often.
class Signals {
public:
    bool operator()() {
        const auto now = std::chrono::steady_clock::now();
        if (now - asked_ < std::chrono::milliseconds(20)) return false;
        asked_ = now;
        const nb::gil_scoped_acquire lock;
        return PyErr_CheckSignals() != 0;
    }

private:
    std::chrono::steady_clock::time_point asked_ = std::chrono::steady_clock::now();
};

nb::tuple step(Engine& engine, Column<std::int64_t> t, Column<std::uint16_t> x, Column<std::uint16_t> y,
               std::optional<Column<std::uint8_t>> p, std::optional<std::int64_t> until_us, bool final_only) {
    const std::size_t n = t.shape(0);
    if (x.shape(0) != n || y.shape(0) != n || (p && p->shape(0) != n))
        throw velocell::RecordingFault("t, x, y and p must have one entry per event");
    velocell::check_aligned(t, x, y);
    velocell::SpikeColumns spikes;
    try {
        const nb::gil_scoped_release release;
        spikes = engine.step(Chunk{t.data(), x.data(), y.data(), p ? p->data() : nullptr, n}, until_us, Signals(), final_only);
    } catch (...) {
        if (PyErr_Occurred() != nullptr) throw nb::python_error();  // a signal, whatever else happened
        throw;
    }
    const std::size_t size = spikes.size;
    return nb::make_tuple(array_of(std::move(spikes.t_us), size), array_of(std::move(spikes.x), size),
                          array_of(std::move(spikes.y), size), array_of(std::move(spikes.channel), size),
                          array_of(std::move(spikes.layer), size));
}

void translate_faults() {
    nb::register_exception_translator([](const std::exception_ptr& fault, void*) {
        const auto raise = [](const char* name, const std::exception& error) {
            PyErr_SetString(nb::module_::import_("velocell.errors").attr(name).ptr(), error.what());
        };
        try {
            std::rethrow_exception(fault);
        } catch (const velocell::NetworkFault& error) {
            raise("NetworkError", error);
        } catch (const velocell::RecordingFault& error) {
            raise("RecordingError", error);
        } catch (const velocell::EngineFault& error) {
            raise("EngineError", error);
        }
    });
}

}  // namespace

void bind_engine(nb::module_& m) {
    translate_faults();
    nb::class_<NetworkSpec>(m, "Network")
        .def(
            "__init__",
            [](NetworkSpec* self, std::int32_t width, std::int32_t height, std::int64_t dt_us,
               std::vector<std::int64_t> silence_us, bool flips, const std::vector<nb::tuple>& layers) {
                NetworkSpec spec{width, height, dt_us, {std::move(silence_us), flips}, {}};
                for (const nb::tuple& layer : layers) spec.layers.push_back(layer_of(layer));
                new (self) NetworkSpec(std::move(spec));
            },
            nb::kw_only(), nb::arg("width"), nb::arg("height"), nb::arg("dt_us"), nb::arg("silence_us"),
            nb::arg("flips"), nb::arg("layers"));
    nb::class_<Engine>(m, "Engine")
        .def(nb::init<NetworkSpec, std::size_t, std::size_t>(), nb::arg("network"), nb::kw_only(), nb::arg("threads"),
             nb::arg("max_spikes"))
        .def("step", &step, nb::arg("t_us").noconvert(), nb::arg("x").noconvert(), nb::arg("y").noconvert(),
             nb::arg("p").noconvert().none(), nb::arg("until_us").none(), nb::arg("final_only") = false)
        .def("allocate", &Engine::allocate)
        .def("copy", [](const Engine& self) { return new Engine(self); }, nb::rv_policy::take_ownership)
        .def("save",
             [](const Engine& self) {
                 const std::string bytes = velocell::Archive::save(self);
                 return nb::bytes(bytes.data(), bytes.size());
             })
        .def_static(
            "load",
            [](nb::bytes data, std::size_t threads, std::size_t max_spikes) {
                return velocell::Archive::load(data.c_str(), data.size(), threads, max_spikes).release();
            },
            nb::rv_policy::take_ownership, nb::arg("data"), nb::kw_only(), nb::arg("threads"), nb::arg("max_spikes"))
        .def("runs", [](const Engine& self, const NetworkSpec& network) { return self.spec() == network; })
        .def_prop_ro("next_us", &Engine::next_us)
        .def_prop_ro("size", [](const Engine& self) { return nb::make_tuple(self.spec().width, self.spec().height); })
        .def_prop_ro("membrane_bytes", &Engine::membrane_bytes);
    // For tests: every instruction set gives the same bits.
    m.def("patch_variants", [] {
        std::vector<std::string> names;
        const auto& variants = velocell::patch_variants();
        for (std::size_t i = 0; i < variants.count; ++i) names.emplace_back(variants.ops[i]->name);
        return names;
    });
    m.def("select_patch_variant", [](const std::string& name) { velocell::select_patch_ops(name.c_str()); });
}
