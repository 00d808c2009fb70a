#include "fit.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <utility>

namespace velocell {

namespace {

bool is_small(double pivot) { return pivot <= 1e-300; }
bool is_small(Two pivot) { return is_small(pivot[0]) || is_small(pivot[1]); }

// Cholesky factor of a symmetric matrix, of which only the lower triangle is looked at; false where it (of two, either)
// is singular. sides: right sides, solved forward on the way, so that the processor need not wait for one after the other.
template <typename T, int N, typename... Sides>
bool factor(T (&a)[N][N], Sides (&... sides)[N]) {
    const auto forward = [&a]<typename B>(int j, B(&b)[N]) {
        for (int k = 0; k < j; ++k) b[j] -= broadcast(B{}, a[j][k]) * b[k];
        b[j] /= broadcast(B{}, a[j][j]);
    };
    for (int j = 0; j < N; ++j) {
        for (int k = 0; k < j; ++k) a[j][j] -= a[j][k] * a[j][k];
        if (is_small(a[j][j])) return false;
        a[j][j] = root(a[j][j]);
        for (int i = j + 1; i < N; ++i) {
            for (int k = 0; k < j; ++k) a[i][j] -= a[i][k] * a[j][k];
            a[i][j] /= a[j][j];
        }
        (forward(j, sides), ...);
    }
    return true;
}

// The rest of a solution. Of one matrix with one right side or two, or of two matrices with one each.
template <typename A, typename B, int N>
void solve_back(const A (&a)[N][N], B (&b)[N]) {
    for (int i = N - 1; i >= 0; --i) {
        for (int k = i + 1; k < N; ++k) b[i] -= broadcast(B{}, a[k][i]) * b[k];
        b[i] /= broadcast(B{}, a[i][i]);
    }
}

// Of a symmetric 2x2 matrix (xx, xy, yy) and a vector.
template <typename T, typename Matrix>
T times(const Matrix& m, T x, T y, int row) {
    return row == 0 ? m[0] * x + m[1] * y : m[1] * x + m[2] * y;
}

// Of a symmetric matrix of 2x2 blocks, which are given row by row of its upper triangle, the lower one.
template <typename T, typename Block, std::size_t Blocks, int N>
void fill(const std::array<const Block*, Blocks>& blocks, T (&a)[N][N]) {
    int block = 0;
    for (int i = 0; i < N / 2; ++i)
        for (int j = i; j < N / 2; ++j) {
            const Block& m = *blocks[block++];
            a[2 * j][2 * i] = m[0];
            a[2 * j + 1][2 * i] = m[1];
            a[2 * j + 1][2 * i + 1] = m[2];
            if (j > i) a[2 * j][2 * i + 1] = m[1];
        }
}

}  // namespace

void Fit::reset(std::int64_t t, double px, double py, double sigma_p, double sigma_v, double pvx, double pvy) {
    *this = Fit{};
    t_us = t;
    x = px;
    y = py;
    vx = pvx;
    vy = pvy;
    pp = {1 / (sigma_p * sigma_p), 0, 1 / (sigma_p * sigma_p)};
    vv = {1 / (sigma_v * sigma_v), 0, 1 / (sigma_v * sigma_v)};
}

std::array<double, 2> Fit::solve(const Sums& events, double max_speed) {
    for (int i = 0; i < 3; ++i) {
        pp[i] += events.pp[i];
        pv[i] += events.pv[i];
        vv[i] += events.vv[i];
    }
    double a[4][4], b[4] = {events.p[0], events.p[1], events.v[0], events.v[1]};
    fill(std::array{&std::as_const(pp), &std::as_const(pv), &std::as_const(vv)}, a);
    if (!factor(a, b)) return {};
    solve_back(a, b);
    x += b[0];
    y += b[1];
    vx += b[2];
    vy += b[3];
    const double v = speed();
    if (v > max_speed) {
        vx *= max_speed / v;
        vy *= max_speed / v;
    }
    return {b[0], b[1]};
}

void Fit::advance(std::int64_t t, double memory_px, double ax, double ay) {
    const double s = seconds(t_us, t);
    const double keep = std::exp(-speed() * s / memory_px);
    x += (vx + ax * s / 2) * s;
    y += (vy + ay * s / 2) * s;
    vx += ax * s;
    vy += ay * s;
    for (int i = 0; i < 3; ++i) {
        vv[i] = keep * (vv[i] - 2 * s * pv[i] + s * s * pp[i]);
        pv[i] = keep * (pv[i] - s * pp[i]);
        pp[i] = keep * pp[i];
    }
    t_us = t;
}

double Fit::speed() const { return length(vx, vy); }

void Curve::reset(const Fit& start, double sigma_a) {
    *this = Curve{};
    t_us = start.t_us;
    x = start.x;
    y = start.y;
    vx = start.vx;
    vy = start.vy;
    pp = start.pp;
    pv = start.pv;
    vv = start.vv;
    aa = {1 / (sigma_a * sigma_a), 0, 1 / (sigma_a * sigma_a)};
}

namespace {

// Every number of a path, or of two, with that of each.
template <typename T, typename Visit, typename... Curves>
void each(Lanes<T>& lanes, Visit visit, Curves&... curves) {
    visit(lanes.x, curves.x...);
    visit(lanes.y, curves.y...);
    visit(lanes.vx, curves.vx...);
    visit(lanes.vy, curves.vy...);
    visit(lanes.ax, curves.ax...);
    visit(lanes.ay, curves.ay...);
    for (std::size_t i = 0; i < 3; ++i) {
        visit(lanes.pp[i], curves.pp[i]...);
        visit(lanes.pv[i], curves.pv[i]...);
        visit(lanes.pa[i], curves.pa[i]...);
        visit(lanes.vv[i], curves.vv[i]...);
        visit(lanes.va[i], curves.va[i]...);
        visit(lanes.aa[i], curves.aa[i]...);
    }
    for (std::size_t k = 0; k < 6; ++k) visit(lanes.pull[k], curves.pull[k]...);
    for (std::size_t k = 0; k < 2; ++k) {
        visit(lanes.pg[k], curves.pg[k]...);
        visit(lanes.vg[k], curves.vg[k]...);
        visit(lanes.ag[k], curves.ag[k]...);
    }
}

Lanes<double> lanes_of(const Curve& curve) {
    Lanes<double> lanes;
    each(lanes, [](double& to, double from) { to = from; }, curve);
    return lanes;
}

void put_back(Lanes<double>& lanes, Curve& curve) {
    each(lanes, [](double from, double& to) { to = from; }, curve);
}

template <typename T>
void take(Lanes<T>& c, double x, double y, double vx, double vy, const Sums& events) {
    const auto all = [](double value) { return broadcast(T{}, value); };
    // They lie where they do against the other one's path.
    const T dx = all(x) - c.x, dy = all(y) - c.y, du = all(vx) - c.vx, dv = all(vy) - c.vy;
    T pp[3], pv[3], vv[3];
    for (std::size_t i = 0; i < 3; ++i) {
        pp[i] = all(events.pp[i]);
        pv[i] = all(events.pv[i]);
        vv[i] = all(events.vv[i]);
        c.pp[i] += pp[i];
        c.pv[i] += pv[i];
        c.vv[i] += vv[i];
    }
    for (int k = 0; k < 2; ++k) {
        const auto at = static_cast<std::size_t>(k);
        c.pull[k] += all(events.p[at]) + times(pp, dx, dy, k) + times(pv, du, dv, k);
        c.pull[2 + k] += all(events.v[at]) + times(pv, dx, dy, k) + times(vv, du, dv, k);
    }
}

// s later, without the turn of the acceleration.
template <typename T>
void move(Lanes<T>& c, double seconds, T keep, double gain) {
    const auto all = [](double value) { return broadcast(T{}, value); };
    const T s = all(seconds), half = all(seconds / 2), third = all(seconds / 3);
    const T ux = c.vx, uy = c.vy, more_x = all(gain) * c.vx * s, more_y = all(gain) * c.vy * s;
    c.x += (c.vx + (c.ax + more_x / all(3)) * s / all(2)) * s;
    c.y += (c.vy + (c.ay + more_y / all(3)) * s / all(2)) * s;
    c.vx += (c.ax + more_x / all(2)) * s;
    c.vy += (c.ay + more_y / all(2)) * s;
    c.ax += more_x;
    c.ay += more_y;
    for (int k = 0; k < 2; ++k) {
        T* pull = c.pull + k;
        pull[4] = keep * (pull[4] - s * (pull[2] - s * pull[0] * all(0.5)));
        pull[2] = keep * (pull[2] - s * pull[0]);
        pull[0] = keep * pull[0];
        const auto of = [&](const T(&a_row)[3], const T(&v_row)[3], const T(&p_row)[3]) {
            return s * (times(a_row, ux, uy, k) - half * (times(v_row, ux, uy, k) - third * times(p_row, ux, uy, k)));
        };
        const T p_g = c.pg[k] - of(c.pa, c.pv, c.pp);
        const T v_g = c.vg[k] - of(c.va, c.vv, c.pv);
        const T a_g = c.ag[k] - of(c.aa, c.va, c.pa);
        c.ag[k] = keep * (a_g - s * (v_g - s * p_g * all(0.5)));
        c.vg[k] = keep * (v_g - s * p_g);
        c.pg[k] = keep * p_g;
    }
    for (int i = 0; i < 3; ++i) {
        const T p = c.pp[i], q = c.pv[i], r = c.pa[i], u = c.vv[i], w = c.va[i];
        c.aa[i] = keep * (c.aa[i] - s * (all(2) * w - s * (r + u - s * (q - s * p * all(0.25)))));
        c.va[i] = keep * (w - s * (u + r - s * (all(1.5) * q - s * p * all(0.5))));
        c.vv[i] = keep * (u - s * (all(2) * q - s * p));
        c.pa[i] = keep * (r - s * (q - s * p * all(0.5)));
        c.pv[i] = keep * (q - s * p);
        c.pp[i] = keep * p;
    }
}

// What s seconds leave of a path's events, and by how much its acceleration turns meanwhile.
struct Step {
    double keep, turn;
};
Step step_of(double vx, double vy, double ax, double ay, double s, double memory_px, double swing_px) {
    const double v2 = vx * vx + vy * vy;
    const bool straight = v2 <= 0 || turns_round(vx, vy, ax, ay, swing_px);
    return {std::exp(-std::sqrt(v2) * s / memory_px), straight ? 0 : (vx * ay - vy * ax) / v2 * s};
}

void turn(Curve& curve, double angle) {
    if (angle == 0) return;
    const double before = curve.ax, cosine = std::cos(angle), sine = std::sin(angle);
    curve.ax = cosine * curve.ax - sine * curve.ay;
    curve.ay = cosine * curve.ay + sine * before;
}

template <typename T>
using Six = T[6][6];

// The events' information and what is expected of the acceleration.
template <typename T>
void fill(const Lanes<T>& c, const Expected (&expected)[sizeof(T) / sizeof(double)], Six<T>& a) {
    fill(std::array{&c.pp, &c.pv, &c.pa, &c.vv, &c.va, &c.aa}, a);
    T xx{}, xy{}, yy{};
    for (int lane = 0; lane < static_cast<int>(std::size(expected)); ++lane) {
        const auto& [hx, hy, value, sure] = expected[lane];
        put(xx, lane, sure.along * hx * hx + sure.across * hy * hy);
        put(xy, lane, (sure.along - sure.across) * hx * hy);
        put(yy, lane, sure.along * hy * hy + sure.across * hx * hx);
    }
    a[4][4] += xx;
    a[5][4] += xy;
    a[5][5] += yy;
}

void solve_alone(Lanes<Two>& both, int number, const Expected& expected, double max_speed);

// To the path that the events and what is expected make.
template <typename T>
void solve(Lanes<T>& c, const Expected (&expected)[sizeof(T) / sizeof(double)], double max_speed) {
    constexpr int kLanes = static_cast<int>(sizeof(T) / sizeof(double));
    T a[6][6], by[6];
    fill(c, expected, a);
    std::copy(c.pull, c.pull + 6, by);
    T pull_x{}, pull_y{};
    for (int lane = 0; lane < kLanes; ++lane) {
        const auto& [hx, hy, value, sure] = expected[lane];
        const double ax = get(c.ax, lane), ay = get(c.ay, lane);
        const double along = sure.along * (value.along - (ax * hx + ay * hy));
        const double across = sure.across * (value.across - (ay * hx - ax * hy));
        put(pull_x, lane, along * hx - across * hy);
        put(pull_y, lane, along * hy + across * hx);
    }
    by[4] += pull_x;
    by[5] += pull_y;
    if (!factor(a, by)) {
        if constexpr (kLanes > 1) {
            for (int lane = 0; lane < kLanes; ++lane) solve_alone(c, lane, expected[lane], max_speed);
        }
        return;
    }
    solve_back(a, by);
    c.x += by[0];
    c.y += by[1];
    c.vx += by[2];
    c.vy += by[3];
    c.ax += by[4];
    c.ay += by[5];
    for (int k = 0; k < 2; ++k) {
        c.pull[k] -= times(c.pp, by[0], by[1], k) + times(c.pv, by[2], by[3], k) + times(c.pa, by[4], by[5], k);
        c.pull[2 + k] -= times(c.pv, by[0], by[1], k) + times(c.vv, by[2], by[3], k) + times(c.va, by[4], by[5], k);
        c.pull[4 + k] -= times(c.pa, by[0], by[1], k) + times(c.va, by[2], by[3], k) + times(c.aa, by[4], by[5], k);
    }
    for (int lane = 0; lane < kLanes; ++lane) {
        const double vx = get(c.vx, lane), vy = get(c.vy, lane), fast = length(vx, vy);
        if (fast > max_speed) {
            put(c.vx, lane, vx * (max_speed / fast));
            put(c.vy, lane, vy * (max_speed / fast));
        }
    }
}

void solve_alone(Lanes<Two>& both, int number, const Expected& expected, double max_speed) {
    Lanes<double> one;
    each(both, [number](const Two& from, double& to) { to = from[number]; }, one);
    solve(one, {expected}, max_speed);
    each(both, [number](Two& to, double from) { to[number] = from; }, one);
}

// Of which a variance is wanted: of what begins at `at`, along a direction.
struct Direction {
    int at;
    double x, y;
};

// Two right sides from which variances follow, and these from their solution.
void ask(const Direction& first, const Direction& second, Two (&b)[6]) {
    for (Two& row : b) row = Two{};
    b[first.at][0] = first.x;
    b[first.at + 1][0] = first.y;
    b[second.at][1] = second.x;
    b[second.at + 1][1] = second.y;
}
Two variances(const Direction& first, const Direction& second, const Two (&b)[6]) {
    return two(std::max(0.0, b[first.at][0] * first.x + b[first.at + 1][0] * first.y),
               std::max(0.0, b[second.at][1] * second.x + b[second.at + 1][1] * second.y));
}

}  // namespace

void Curve::solve(const Expected& expected, double max_speed) {
    Lanes<double> lanes = lanes_of(*this);
    velocell::solve(lanes, {expected}, max_speed);
    put_back(lanes, *this);
}

Surprise Curve::surprise(const Expected& expected) const {
    double a[6][6];
    const auto [hx, hy, value, sure] = expected;
    fill(lanes_of(*this), {{hx, hy, value, {}}}, a);
    constexpr double kNothing = std::numeric_limits<double>::infinity();
    const double late[6] = {pg[0], pg[1], vg[0], vg[1], ag[0], ag[1]};
    const Direction along{4, hx, hy}, across{4, -hy, hx};
    Two by[6], spread[6];  // by: and how late it is
    for (std::size_t i = 0; i < 6; ++i) by[i] = two(pull[i], late[i]);
    ask(along, across, spread);
    if (!factor(a, by, spread)) return {{}, {kNothing, kNothing}, 0, 0};
    solve_back(a, by);
    solve_back(a, spread);
    const double fx = ax + by[4][0], fy = ay + by[5][0];
    const Two variance = variances(along, across, spread);
    return {{fx * hx + fy * hy - value.along, fy * hx - fx * hy - value.across},
            {variance[0], variance[1]},
            -(by[4][1] * hx + by[5][1] * hy), -(by[2][1] * hx + by[3][1] * hy)};
}

std::array<double, 2> Curve::sigmas(const Expected& expected) const {
    double a[6][6];
    fill(lanes_of(*this), {expected}, a);
    const double v = speed(), cx = v > 0 ? vx / v : 1, cy = v > 0 ? vy / v : 0;
    const Direction of_speed{2, cx, cy}, of_acceleration{4, cx, cy};
    Two spread[6];
    ask(of_speed, of_acceleration, spread);
    constexpr double kNothing = std::numeric_limits<double>::infinity();
    if (!factor(a, spread)) return {kNothing, kNothing};
    solve_back(a, spread);
    const Two variance = variances(of_speed, of_acceleration, spread);
    return {std::sqrt(variance[0]), std::sqrt(variance[1])};
}

template <>
Paths<double>::Paths(const std::array<Curve*, 1>& curves) : curves_(curves), lanes_(lanes_of(*curves[0])) {}

template <>
Paths<Two>::Paths(const std::array<Curve*, 2>& curves) : curves_(curves) {
    each(lanes_, [](Two& to, double one, double other) { to = two(one, other); }, *curves[0], *curves[1]);
}

template <>
void Paths<double>::put_back() {
    velocell::put_back(lanes_, *curves_[0]);
}

template <>
void Paths<Two>::put_back() {
    each(lanes_, [](Two from, double& one, double& other) { one = from[0], other = from[1]; }, *curves_[0], *curves_[1]);
}

template <typename T>
void Paths<T>::take(const Sums& events) {
    velocell::take(lanes_, last(lanes_.x), last(lanes_.y), last(lanes_.vx), last(lanes_.vy), events);
}

template <typename T>
void Paths<T>::solve(const Expected (&expected)[kPaths], double max_speed) {
    velocell::solve(lanes_, expected, max_speed);
}

template <typename T>
void Paths<T>::advance(std::int64_t t, const std::array<double, kPaths>& memory_px, double swing_px, double gain) {
    const double s = seconds(curves_[0]->t_us, t);
    T keep{};
    std::array<double, kPaths> turns;
    for (int i = 0; i < kPaths; ++i) {
        const auto at = static_cast<std::size_t>(i);
        const Step step = step_of(get(lanes_.vx, i), get(lanes_.vy, i), get(lanes_.ax, i), get(lanes_.ay, i), s,
                                  memory_px[at], swing_px);
        put(keep, i, step.keep);
        turns[at] = step.turn;
    }
    move(lanes_, s, keep, gain);
    put_back();
    for (std::size_t i = 0; i < kPaths; ++i) {
        turn(*curves_[i], turns[i]);
        curves_[i]->t_us = t;
    }
}

template class Paths<double>;
template class Paths<Two>;

void OutlineFit::fade(double keep) {
    for (double* sum : {&w_, &wc_, &wcc_, &d_, &dc_}) *sum *= keep;
}

void OutlineFit::solve(double nominal, double radius_prior, double stretch_prior) {
    radius = (d_ + radius_prior * nominal) / (w_ + radius_prior);
    if (w_ <= 0) return;
    mean_ = wc_ / w_;
    stretch = (dc_ - mean_ * d_) / (wcc_ - mean_ * wc_ + stretch_prior);
}

}  // namespace velocell
