#include "fit.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace velocell {

namespace {

// Cholesky factor of a symmetric matrix in its lower triangle; false where it is singular.
template <int N>
bool factor(double (&a)[N][N]) {
    for (int j = 0; j < N; ++j) {
        for (int k = 0; k < j; ++k) a[j][j] -= a[j][k] * a[j][k];
        if (a[j][j] <= 1e-300) return false;
        a[j][j] = std::sqrt(a[j][j]);
        for (int i = j + 1; i < N; ++i) {
            for (int k = 0; k < j; ++k) a[i][j] -= a[i][k] * a[j][k];
            a[i][j] /= a[j][j];
        }
    }
    return true;
}

template <int N>
void solve(const double (&a)[N][N], double (&b)[N]) {
    for (int i = 0; i < N; ++i) {
        for (int k = 0; k < i; ++k) b[i] -= a[i][k] * b[k];
        b[i] /= a[i][i];
    }
    for (int i = N - 1; i >= 0; --i) {
        for (int k = i + 1; k < N; ++k) b[i] -= a[k][i] * b[k];
        b[i] /= a[i][i];
    }
}

// Of a symmetric 2x2 matrix (xx, xy, yy) and a vector.
double times(const std::array<double, 3>& m, double x, double y, int row) {
    return row == 0 ? m[0] * x + m[1] * y : m[1] * x + m[2] * y;
}

// A symmetric matrix of 2x2 blocks, which are given row by row of its upper triangle.
template <int N, std::size_t Blocks>
void fill(const std::array<const std::array<double, 3>*, Blocks>& blocks, double (&a)[N][N]) {
    int block = 0;
    for (int i = 0; i < N / 2; ++i)
        for (int j = i; j < N / 2; ++j) {
            const auto& m = *blocks[block++];
            const double cells[2][2] = {{m[0], m[1]}, {m[1], m[2]}};
            for (int k = 0; k < 2; ++k)
                for (int l = 0; l < 2; ++l) a[2 * i + k][2 * j + l] = a[2 * j + l][2 * i + k] = cells[k][l];
        }
}

}  // namespace

void Sums::add(double s, double ux, double uy, double residual, double weight) {
    const double uu[3] = {weight * ux * ux, weight * ux * uy, weight * uy * uy};
    for (int i = 0; i < 3; ++i) {
        pp[i] += uu[i];
        pv[i] += s * uu[i];
        vv[i] += s * s * uu[i];
    }
    const double wx = weight * residual * ux, wy = weight * residual * uy;
    p[0] += wx;
    p[1] += wy;
    v[0] += s * wx;
    v[1] += s * wy;
    ++count;
}

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

std::array<double, 2> Fit::advance(std::int64_t t, double memory_px, double max_speed, double ax, double ay) {
    std::array<double, 2> moved{};
    for (int i = 0; i < 3; ++i) {
        pp[i] += fresh.pp[i];
        pv[i] += fresh.pv[i];
        vv[i] += fresh.vv[i];
    }
    if (fresh.count > 0) {
        double a[4][4], b[4] = {fresh.p[0], fresh.p[1], fresh.v[0], fresh.v[1]};
        fill<4, 3>({&pp, &pv, &vv}, a);
        if (factor(a)) {
            solve(a, b);
            moved = {b[0], b[1]};
            x += b[0];
            y += b[1];
            vx += b[2];
            vy += b[3];
            const double v = speed();
            if (v > max_speed) {
                vx *= max_speed / v;
                vy *= max_speed / v;
            }
        }
    }
    fresh = {};
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
    return moved;
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

void Curve::take(const Curve& other) {
    const Sums& events = other.fresh;
    for (int i = 0; i < 3; ++i) {
        pp[i] += events.pp[i];
        pv[i] += events.pv[i];
        vv[i] += events.vv[i];
    }
    // They lie where they do against the other one's path.
    const double dx = other.x - x, dy = other.y - y, du = other.vx - vx, dv = other.vy - vy;
    for (int k = 0; k < 2; ++k) {
        pull[k] += events.p[k] + times(events.pp, dx, dy, k) + times(events.pv, du, dv, k);
        pull[2 + k] += events.v[k] + times(events.pv, dx, dy, k) + times(events.vv, du, dv, k);
    }
}

void Curve::advance(std::int64_t t, double memory_px, double swing_px, double gain) {
    const double s = seconds(t_us, t), v2 = vx * vx + vy * vy;
    const double keep = std::exp(-std::sqrt(v2) * s / memory_px);
    const double turn = turns_round(swing_px) || v2 <= 0 ? 0 : (vx * ay - vy * ax) / v2 * s;
    fresh = {};
    t_us = t;
    const double ux = vx, uy = vy, more_x = gain * vx * s, more_y = gain * vy * s;
    x += (vx + (ax + more_x / 3) * s / 2) * s;
    y += (vy + (ay + more_y / 3) * s / 2) * s;
    vx += (ax + more_x / 2) * s;
    vy += (ay + more_y / 2) * s;
    ax += more_x;
    ay += more_y;
    if (turn != 0) {
        const double before = ax, cosine = std::cos(turn), sine = std::sin(turn);
        ax = cosine * ax - sine * ay;
        ay = cosine * ay + sine * before;
    }
    for (int k = 0; k < 2; ++k) {
        pull[4 + k] = keep * (pull[4 + k] - s * (pull[2 + k] - s * pull[k] / 2));
        pull[2 + k] = keep * (pull[2 + k] - s * pull[k]);
        pull[k] = keep * pull[k];
    }
    std::array<double, 2> p_g, v_g, a_g;
    for (int k = 0; k < 2; ++k) {
        const auto of = [&](const std::array<double, 3>& a_row, const std::array<double, 3>& v_row,
                            const std::array<double, 3>& p_row) {
            return s * (times(a_row, ux, uy, k) - s / 2 * (times(v_row, ux, uy, k) - s / 3 * times(p_row, ux, uy, k)));
        };
        p_g[k] = pg[k] - of(pa, pv, pp);
        v_g[k] = vg[k] - of(va, vv, pv);
        a_g[k] = ag[k] - of(aa, va, pa);
    }
    for (int k = 0; k < 2; ++k) {
        ag[k] = keep * (a_g[k] - s * (v_g[k] - s * p_g[k] / 2));
        vg[k] = keep * (v_g[k] - s * p_g[k]);
        pg[k] = keep * p_g[k];
    }
    for (int i = 0; i < 3; ++i) {
        const double p = pp[i], q = pv[i], r = pa[i], u = vv[i], w = va[i];
        aa[i] = keep * (aa[i] - s * (2 * w - s * (r + u - s * (q - s * p / 4))));
        va[i] = keep * (w - s * (u + r - s * (1.5 * q - s * p / 2)));
        vv[i] = keep * (u - s * (2 * q - s * p));
        pa[i] = keep * (r - s * (q - s * p / 2));
        pv[i] = keep * (q - s * p);
        pp[i] = keep * p;
    }
}

namespace {

using Six = double[6][6];

// The events' information and what is expected of the acceleration.
void fill(const Curve& curve, const Expected& expected, Six& a) {
    fill<6, 6>({&curve.pp, &curve.pv, &curve.pa, &curve.vv, &curve.va, &curve.aa}, a);
    const auto [hx, hy, value, sure] = expected;
    a[4][4] += sure.along * hx * hx + sure.across * hy * hy;
    a[5][4] += (sure.along - sure.across) * hx * hy;
    a[5][5] += sure.along * hy * hy + sure.across * hx * hx;
    a[4][5] = a[5][4];
}

// Variance along a direction of what begins at `first`.
double variance_of(const Six& factored, int first, double cx, double cy) {
    double b[6] = {};
    b[first] = cx;
    b[first + 1] = cy;
    solve(factored, b);
    return std::max(0.0, b[first] * cx + b[first + 1] * cy);
}

}  // namespace

void Curve::solve(const Expected& expected, double max_speed) {
    double a[6][6], by[6];
    std::copy(pull.begin(), pull.end(), by);
    fill(*this, expected, a);
    const auto [hx, hy, value, sure] = expected;
    const double along = sure.along * (value.along - (ax * hx + ay * hy));
    const double across = sure.across * (value.across - (ay * hx - ax * hy));
    by[4] += along * hx - across * hy;
    by[5] += along * hy + across * hx;
    if (!factor(a)) return;
    velocell::solve(a, by);
    x += by[0];
    y += by[1];
    vx += by[2];
    vy += by[3];
    ax += by[4];
    ay += by[5];
    for (int k = 0; k < 2; ++k) {
        pull[k] -= times(pp, by[0], by[1], k) + times(pv, by[2], by[3], k) + times(pa, by[4], by[5], k);
        pull[2 + k] -= times(pv, by[0], by[1], k) + times(vv, by[2], by[3], k) + times(va, by[4], by[5], k);
        pull[4 + k] -= times(pa, by[0], by[1], k) + times(va, by[2], by[3], k) + times(aa, by[4], by[5], k);
    }
    const double fast = speed();
    if (fast > max_speed) {
        vx *= max_speed / fast;
        vy *= max_speed / fast;
    }
}

Surprise Curve::surprise(const Expected& expected) const {
    double a[6][6], by[6];
    std::copy(pull.begin(), pull.end(), by);
    const auto [hx, hy, value, sure] = expected;
    fill(*this, {hx, hy, value, {}}, a);
    constexpr double kNothing = std::numeric_limits<double>::infinity();
    if (!factor(a)) return {{}, {kNothing, kNothing}, 0, 0};
    velocell::solve(a, by);
    double late[6] = {pg[0], pg[1], vg[0], vg[1], ag[0], ag[1]};
    velocell::solve(a, late);
    const double fx = ax + by[4], fy = ay + by[5];
    return {{fx * hx + fy * hy - value.along, fy * hx - fx * hy - value.across},
            {variance_of(a, 4, hx, hy), variance_of(a, 4, -hy, hx)},
            -(late[4] * hx + late[5] * hy), -(late[2] * hx + late[3] * hy)};
}

std::array<double, 2> Curve::sigmas(const Expected& expected) const {
    double a[6][6];
    fill(*this, expected, a);
    constexpr double kNothing = std::numeric_limits<double>::infinity();
    if (!factor(a)) return {kNothing, kNothing};
    const double v = speed(), cx = v > 0 ? vx / v : 1, cy = v > 0 ? vy / v : 0;
    return {std::sqrt(variance_of(a, 2, cx, cy)), std::sqrt(variance_of(a, 4, cx, cy))};
}

double Curve::speed() const { return length(vx, vy); }

void Extent::add(double distance, double cosine, double weight) {
    const double c = std::abs(cosine);
    w_ += weight;
    wc_ += weight * c;
    wcc_ += weight * c * c;
    d_ += weight * distance;
    dc_ += weight * c * distance;
}

void Extent::fade(double keep) {
    for (double* sum : {&w_, &wc_, &wcc_, &d_, &dc_}) *sum *= keep;
}

void Extent::solve(double nominal, double radius_prior, double stretch_prior) {
    radius = (d_ + radius_prior * nominal) / (w_ + radius_prior);
    if (w_ <= 0) return;
    mean_ = wc_ / w_;
    stretch = (dc_ - mean_ * d_) / (wcc_ - mean_ * wc_ + stretch_prior);
}

}  // namespace velocell
