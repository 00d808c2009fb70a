#include "simulate/pixel.hpp"

#include <algorithm>
#include <cmath>

namespace velocell {

namespace {

// The signal is taken for straight within a step. A transient d bends it by d (h w)^2 / 8 at most, which is kept at
// kBend thresholds; the end of it is stepped over in kLast time constants, and below kOver thresholds it is over.
constexpr double kBend = 0.01, kLeast = 0.1, kLast = 6, kOver = 1e-3;

// A change of ln(light) up to this leaves the photoreceptor's cutoff about as it is.
constexpr double kSteady = 0.2;

double most(double transient, double threshold, double cutoff, double left) {
    if (transient < kOver * threshold) return left;
    const double steps = transient < kBend * threshold ? kLast : std::sqrt(8 * kBend * threshold / transient);
    return std::min(left, std::max(steps, kLeast) / cutoff);
}

// A first-order filter of a straight input: exact. w: cutoff, x0 -> x1 in h.
double filtered(double y0, double x0, double x1, double w, double h) {
    const double lag = (x1 - x0) / (w * h);
    return x1 - lag + (y0 - x0 + lag) * std::exp(-w * h);
}

}  // namespace

Pixel::Pixel(const PixelRules& rules, double start, double threshold_on, double threshold_off, double leak,
             double offset, double speed)
    : rules_(rules), on_(threshold_on), off_(threshold_off), leak_(leak), speed_(speed), level_(start), u_(start), v_(start), remembered_(start - offset) {}

// The next step of the two filters: how long it takes (at most `left`) and where they are then.
double Pixel::step(double slope, double left, double& u1, double& v1) const {
    const double threshold = std::min(on_, off_);
    double h = left;
    double w1 = 0, w2 = 0;
    if (rules_.cutoff_most > 0) {
        w1 = speed_ * std::min(rules_.cutoff_per_lux * std::exp(level_), rules_.cutoff_most);
        // Behind a straight input it ends in a steady lag (w1 changes with the light, if slowly).
        const double transient = std::abs(u_ - (level_ - slope / w1));
        h = most(std::abs(slope) * left < kSteady ? transient : kSteady, threshold, w1, h);
    }
    if (rules_.follower_on > 0) {
        w2 = speed_ * (u_ >= v_ ? rules_.follower_on : rules_.follower_off);
        const double input = w1 > 0 ? w1 * (level_ - u_) : slope;
        const double transient = std::abs(u_ - v_ - input / w2);
        h = most(std::abs(slope) * left < kSteady ? transient : kSteady, threshold, w2, h);
    }
    const double x1 = level_ + slope * h;
    u1 = w1 > 0 ? filtered(u_, level_, x1, w1, h) : x1;
    v1 = w2 > 0 ? filtered(v_, u_, u1, w2, h) : u1;
    return h;
}

template <typename Fired>
void Pixel::follow(double t, double level, Fired&& fired) {
    while (t_ < t) {
        const double left = t - t_, slope = (level - level_) / left;
        double u1, v1;
        const double h = step(slope, left, u1, v1);
        const bool last = h >= left;
        compare(last ? t : t_ + h, v_, v1, fired);
        level_ = last ? level : level_ + slope * h;
        t_ = last ? t : t_ + h;
        u_ = u1;
        v_ = v1;
    }
    level_ = level;
}

// The signal goes from v0 to v1 between t_ and t1, and the remembered level sinks by leak_: in the frame of that
// level the signal rises by it.
template <typename Fired>
void Pixel::compare(double t1, double v0, double v1, Fired&& fired) {
    const double span = t1 - t_;
    const double rate = (v1 - v0) / span + leak_;
    const auto signal = [&](double t) { return v0 + leak_ * t_ + rate * (t - t_); };
    double now = t_;
    for (;;) {
        if (blind_until_ > now) {
            if (blind_until_ >= t1) return;
            now = blind_until_;
            remembered_ = signal(now);
        }
        const double target = remembered_ + (rate > 0 ? on_ : -off_);
        if (rate == 0) return;
        const double at = now + std::max((target - signal(now)) / rate, 0.0);
        if (at > t1) return;
        fired(at, rate > 0);
        now = at;
        remembered_ = target;
        blind_until_ = at + rules_.refractory;
    }
}

namespace {

struct Sample {
    double t;
    float level;
};

// The samples of each pixel, rising in time: those of pixel p from first[p] to first[p + 1].
struct ByPixel {
    std::vector<std::size_t> first;
    std::vector<Sample> samples;
};

ByPixel by_pixel(const Samples& samples, std::size_t pixels) {
    ByPixel sorted{std::vector<std::size_t>(pixels + 1, 0), std::vector<Sample>(samples.size)};
    auto& first = sorted.first;
    for (std::size_t i = 0; i < samples.size; ++i) ++first[samples.pixel[i] + 1];
    for (std::size_t p = 0; p < pixels; ++p) first[p + 1] += first[p];
    std::vector<std::size_t> next(first.begin(), first.end() - 1);
    for (std::size_t i = 0; i < samples.size; ++i)
        sorted.samples[next[samples.pixel[i]]++] = {samples.t[i], samples.level[i]};
    const auto earlier = [](const Sample& a, const Sample& b) { return a.t < b.t; };
    for (std::size_t p = 0; p < pixels; ++p) {
        const auto begin = sorted.samples.begin() + first[p], end = sorted.samples.begin() + first[p + 1];
        if (!std::is_sorted(begin, end, earlier)) std::stable_sort(begin, end, earlier);
    }
    return sorted;
}

// A pixel before a lamp: the lamp's times cut the straight pieces of what it sees.
class Lit {
public:
    Lit(Pixel pixel, double start, const Lamp& lamp) : pixel_(pixel), lamp_(lamp), level_(start) {}

    template <typename Fired>
    void follow(double t, double level, Fired&& fired) {
        if (t <= t_) {
            level_ = level;
            return;
        }
        const double slope = (level - level_) / (t - t_);
        for (; next_ < lamp_.size && lamp_.t[next_] < t; ++next_)
            pixel_.follow(lamp_.t[next_], level_ + slope * (lamp_.t[next_] - t_) + lamp_.level[next_], fired);
        pixel_.follow(t, level + shine(t), fired);
        level_ = level;
        t_ = t;
    }

private:
    // next_ is the first lamp time that is not before t.
    double shine(double t) const {
        if (lamp_.size == 0) return 0;
        if (next_ == lamp_.size) return lamp_.level[next_ - 1];
        const double t0 = next_ ? lamp_.t[next_ - 1] : 0, level0 = next_ ? lamp_.level[next_ - 1] : 0;
        const double t1 = lamp_.t[next_];
        return t1 > t0 ? level0 + (lamp_.level[next_] - level0) * (t - t0) / (t1 - t0) : lamp_.level[next_];
    }

    Pixel pixel_;
    const Lamp& lamp_;
    double level_, t_ = 0;
    std::size_t next_ = 0;
};

}  // namespace

PixelEvents simulate_pixels(const PixelRules& rules, const PerPixel& pixels, const Samples& samples,
                            const Frames& frames, const Lamp& lamp, double duration) {
    const ByPixel sorted = by_pixel(samples, pixels.size);
    PixelEvents events;
    for (std::size_t p = 0; p < pixels.size; ++p) {
        Lit pixel({rules, pixels.start[p], pixels.threshold_on[p], pixels.threshold_off[p], pixels.leak[p],
                   pixels.offset[p], pixels.speed[p]},
                  pixels.start[p], lamp);
        const auto fired = [&](double t, bool on) {
            events.t.push_back(t);
            events.pixel.push_back(static_cast<std::int32_t>(p));
            events.on.push_back(on);
        };
        double last = pixels.start[p];
        std::size_t frame = 0;
        const auto up_to = [&](double t) {
            for (; frame < frames.size && frames.t[frame] < t; ++frame)
                pixel.follow(frames.t[frame], last = frames.level[frame * pixels.size + p], fired);
        };
        for (std::size_t i = sorted.first[p]; i < sorted.first[p + 1]; ++i) {
            up_to(sorted.samples[i].t);
            pixel.follow(sorted.samples[i].t, last = sorted.samples[i].level, fired);
        }
        up_to(duration);
        pixel.follow(duration, last, fired);
    }
    return events;
}

}  // namespace velocell
