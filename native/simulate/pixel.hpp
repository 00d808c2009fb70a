// The pixel of an event camera: logarithm, photoreceptor, buffer, comparison with a remembered level, blind time.
// The equations stand in simulate/sensor.py.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace velocell {

// Times in seconds, frequencies as angular ones (1/s), light in lux.
struct PixelRules {
    double cutoff_per_lux = 0;  // of the photoreceptor; 0 in cutoff_most: it follows at once
    double cutoff_most = 0;
    double follower_on = 0;  // of the buffer; 0: it follows at once
    double follower_off = 0;
    double refractory = 0;
};

struct PixelEvents {
    std::vector<double> t;
    std::vector<std::int32_t> pixel;
    std::vector<std::uint8_t> on;
};

// One pixel from time 0 on; what it sees is given as straight pieces of ln(light).
class Pixel {
public:
    // start: ln(light) at time 0, to which it is settled. offset: the signal minus the remembered level. speed: a factor
    // of all its cutoffs.
    Pixel(const PixelRules& rules, double start, double threshold_on, double threshold_off, double leak, double offset,
          double speed);

    // ln(light) goes straight to `level` at time `t`; an event is fired(time, on).
    template <typename Fired>
    void follow(double t, double level, Fired&& fired);

private:
    template <typename Fired>
    void compare(double t1, double v0, double v1, Fired&& fired);
    double step(double slope, double left, double& u1, double& v1) const;

    const PixelRules& rules_;
    double on_, off_, leak_, speed_;
    double t_ = 0, level_, u_, v_, remembered_;
    double blind_until_ = -1;
};

// Samples of ln(light), in any order: of pixel `pixel[i]` at time t[i] it is level[i], straight in between and
// constant after the last.
struct Samples {
    const std::int32_t* pixel;
    const double* t;
    const float* level;
    std::size_t size;
};

// Further samples, of all pixels at the same rising times: level[i * pixels + p].
struct Frames {
    const double* t;
    const float* level;
    std::size_t size;
};

// What is added to ln(light) of all pixels, straight between these rising times; 0 at time 0.
struct Lamp {
    const double* t;
    const double* level;
    std::size_t size;
};

struct PerPixel {
    const float *start, *threshold_on, *threshold_off, *leak, *offset, *speed;
    std::size_t size;
};

// Events come pixel by pixel.
PixelEvents simulate_pixels(const PixelRules& rules, const PerPixel& pixels, const Samples& samples,
                            const Frames& frames, const Lamp& lamp, double duration);

}  // namespace velocell
