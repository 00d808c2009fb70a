// Faults: what the core refuses, translated to the classes of velocell.errors by the bindings.
#pragma once

#include <stdexcept>

namespace velocell {

struct NetworkFault : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct RecordingFault : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct EngineFault : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// A signal handler raised in Python; the error is set there.
struct Interrupted {};

}  // namespace velocell
