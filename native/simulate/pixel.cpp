#include "simulate/pixel.hpp"

#include <algorithm>
#include <cmath>

namespace velocell {

namespace {

// A transient is stepped through in so many time constants; one smaller than kSmall lower thresholds in kLongStep (it
// moves events by that at most), and one smaller than kOver thresholds is over.
constexpr double kStep = 0.2, kLongStep = 6, kSmall = 0.03, kOver = 1e-3;

// A change of ln(light) up to this leaves the photoreceptor's cutoff about as it is.
constexpr double kSteady = 0.2;

double most(double transient, double threshold, double cutoff, double left) {
    if (transient < kOver * threshold) return left;
    return std::min(left, (transient < kSmall * threshold ? kLongStep : kStep) / cutoff);
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

PixelEvents simulate_pixels(const PixelRules& rules, const PerPixel& pixels, const Samples& samples, double duration) {
    // Sorted by pixel by counting, then by time within each.
    std::vector<std::size_t> first(pixels.size + 1, 0);
    for (std::size_t i = 0; i < samples.size; ++i) ++first[samples.pixel[i] + 1];
    for (std::size_t p = 0; p < pixels.size; ++p) first[p + 1] += first[p];
    struct Sample {
        double t;
        float level;
    };
    std::vector<Sample> sorted(samples.size);
    {
        std::vector<std::size_t> next(first.begin(), first.end() - 1);
        for (std::size_t i = 0; i < samples.size; ++i)
            sorted[next[samples.pixel[i]]++] = {samples.t[i], samples.level[i]};
    }
    PixelEvents events;
    for (std::size_t p = 0; p < pixels.size; ++p) {
        const auto begin = sorted.begin() + first[p], end = sorted.begin() + first[p + 1];
        const auto earlier = [](const Sample& a, const Sample& b) { return a.t < b.t; };
        if (!std::is_sorted(begin, end, earlier)) std::stable_sort(begin, end, earlier);
        Pixel pixel(rules, pixels.start[p], pixels.threshold_on[p], pixels.threshold_off[p], pixels.leak[p],
                    pixels.offset[p], pixels.speed[p]);
        const auto fired = [&](double t, bool on) {
            events.t.push_back(t);
            events.pixel.push_back(static_cast<std::int32_t>(p));
            events.on.push_back(on);
        };
        for (auto sample = begin; sample != end; ++sample) pixel.follow(sample->t, sample->level, fired);
        pixel.follow(duration, begin == end ? pixels.start[p] : (end - 1)->level, fired);
    }
    return events;
}

}  // namespace velocell
