#include "fit.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace velocell {

namespace {

// Cholesky solution of a symmetric system in place; returns false where it is singular.
template <int N>
bool solve(double (&a)[N][N], double (&b)[N]) {
    for (int j = 0; j < N; ++j) {
        for (int k = 0; k < j; ++k) a[j][j] -= a[j][k] * a[j][k];
        if (a[j][j] <= 1e-300) return false;
        a[j][j] = std::sqrt(a[j][j]);
        for (int i = j + 1; i < N; ++i) {
            for (int k = 0; k < j; ++k) a[i][j] -= a[i][k] * a[j][k];
            a[i][j] /= a[j][j];
        }
    }
    for (int i = 0; i < N; ++i) {
        for (int k = 0; k < i; ++k) b[i] -= a[i][k] * b[k];
        b[i] /= a[i][i];
    }
    for (int i = N - 1; i >= 0; --i) {
        for (int k = i + 1; k < N; ++k) b[i] -= a[k][i] * b[k];
        b[i] /= a[i][i];
    }
    return true;
}

void fill(const std::array<double, 3>& pp, const std::array<double, 3>& pv, const std::array<double, 3>& vv,
          double a[4][4]) {
    const double m[4][4] = {{pp[0], pp[1], pv[0], pv[1]},
                            {pp[1], pp[2], pv[1], pv[2]},
                            {pv[0], pv[1], vv[0], vv[1]},
                            {pv[1], pv[2], vv[1], vv[2]}};
    for (int i = 0; i < 4; ++i)
        for (int j = 0; j < 4; ++j) a[i][j] = m[i][j];
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

void Fit::add(double s, double ux, double uy, double residual, double weight) {
    const double uu[3] = {weight * ux * ux, weight * ux * uy, weight * uy * uy};
    for (int i = 0; i < 3; ++i) {
        npp[i] += uu[i];
        npv[i] += s * uu[i];
        nvv[i] += s * s * uu[i];
    }
    const double wx = weight * residual * ux, wy = weight * residual * uy;
    bx += wx;
    by += wy;
    bvx += s * wx;
    bvy += s * wy;
    ++count;
}

std::array<double, 2> Fit::advance(std::int64_t t, double memory_px, double max_speed, double ax, double ay) {
    std::array<double, 2> moved{};
    for (int i = 0; i < 3; ++i) {
        pp[i] += npp[i];
        pv[i] += npv[i];
        vv[i] += nvv[i];
    }
    if (count > 0) {
        double a[4][4], b[4] = {bx, by, bvx, bvy};
        fill(pp, pv, vv, a);
        if (solve(a, b)) {
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
    npp = npv = nvv = {};
    bx = by = bvx = bvy = 0;
    count = 0;
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

double Fit::speed_sigma(double variance) const {
    const double v = speed();
    const double cx = v > 0 ? vx / v : 1, cy = v > 0 ? vy / v : 0;
    double a[4][4], b[4] = {0, 0, cx, cy};
    fill(pp, pv, vv, a);
    if (!solve(a, b)) return std::numeric_limits<double>::infinity();
    return std::sqrt(std::max(0.0, variance * (b[2] * cx + b[3] * cy)));
}

namespace {

// Symmetric 2x2 blocks of one matrix, row by row of its upper triangle.
void fill(const std::array<const std::array<double, 3>*, 6>& blocks, double a[6][6]) {
    int block = 0;
    for (int i = 0; i < 3; ++i)
        for (int j = i; j < 3; ++j) {
            const auto& m = *blocks[block++];
            const double cells[2][2] = {{m[0], m[1]}, {m[1], m[2]}};
            for (int k = 0; k < 2; ++k)
                for (int l = 0; l < 2; ++l) a[2 * i + k][2 * j + l] = a[2 * j + l][2 * i + k] = cells[k][l];
        }
}

double times(const std::array<double, 3>& m, double x, double y, int row) {
    return row == 0 ? m[0] * x + m[1] * y : m[1] * x + m[2] * y;
}

}  // namespace

void Curve::reset(const Fit& start, double sigma_a) {
    *this = Curve{};
    x = start.x;
    y = start.y;
    vx = start.vx;
    vy = start.vy;
    pp = start.pp;
    pv = start.pv;
    vv = start.vv;
    aa = {1 / (sigma_a * sigma_a), 0, 1 / (sigma_a * sigma_a)};
}

void Curve::advance(const Fit& events, std::int64_t t, double memory_px, double max_speed, bool solve_now) {
    if (events.count > 0) {
        for (int i = 0; i < 3; ++i) {
            pp[i] += events.npp[i];
            pv[i] += events.npv[i];
            vv[i] += events.nvv[i];
            fresh[i] += events.npp[i];
        }
        // The events lie where they do against the other fit's path.
        const double dx = x - events.x, dy = y - events.y, du = vx - events.vx, dv = vy - events.vy;
        const double sums[4] = {events.bx, events.by, events.bvx, events.bvy};
        for (int k = 0; k < 2; ++k) {
            b[k] += sums[k] - times(events.npp, dx, dy, k) - times(events.npv, du, dv, k);
            b[2 + k] += sums[2 + k] - times(events.npv, dx, dy, k) - times(events.nvv, du, dv, k);
        }
    }
    if (solve_now) settle(memory_px, max_speed);
    const double s = seconds(events.t_us, t), v2 = vx * vx + vy * vy;
    const double keep = std::exp(-std::sqrt(v2) * s / memory_px);
    const double turn = v2 > 0 ? (vx * ay - vy * ax) / v2 * s : 0;
    x += (vx + ax * s / 2) * s;
    y += (vy + ay * s / 2) * s;
    vx += ax * s;
    vy += ay * s;
    const double before = ax;
    ax -= turn * ay;
    ay += turn * before;
    for (int k = 0; k < 2; ++k) {
        b[4 + k] = keep * (b[4 + k] - s * (b[2 + k] - s * b[k] / 2));
        b[2 + k] = keep * (b[2 + k] - s * b[k]);
        b[k] = keep * b[k];
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

void Curve::settle(double memory_px, double max_speed) {
    double a[6][6], by[6];
    std::copy(b.begin(), b.end(), by);
    fill({&pp, &pv, &pa, &vv, &va, &aa}, a);
    b = {};
    fresh = {};
    if (!solve(a, by)) return;
    x += by[0];
    y += by[1];
    vx += by[2];
    vy += by[3];
    ax += by[4];
    ay += by[5];
    // What few events say is bounded: no speed beyond the fastest, no turn sharper than the memory.
    const double fast = speed(), v = std::min(fast, max_speed), most = v * v / memory_px, size = length(ax, ay);
    if (fast > max_speed) {
        vx *= max_speed / fast;
        vy *= max_speed / fast;
    }
    if (size > most) {
        ax *= most / size;
        ay *= most / size;
    }
}

std::array<double, 2> Curve::pull(double cx, double cy) const {
    return {b[0] * cx + b[1] * cy, times(fresh, cx, cy, 0) * cx + times(fresh, cx, cy, 1) * cy};
}

std::array<double, 2> Curve::sigmas(double variance) const {
    const double v = speed(), size = length(ax, ay);
    std::array<double, 2> found{};
    for (int k = 0; k < 2; ++k) {
        const double cx = k == 0 ? (v > 0 ? vx / v : 1) : (size > 0 ? ax / size : 1);
        const double cy = k == 0 ? (v > 0 ? vy / v : 0) : (size > 0 ? ay / size : 0);
        double a[6][6], b[6] = {};
        b[2 + 2 * k] = cx;
        b[3 + 2 * k] = cy;
        fill({&pp, &pv, &pa, &vv, &va, &aa}, a);
        found[k] = solve(a, b) ? std::sqrt(std::max(0.0, variance * (b[2 + 2 * k] * cx + b[3 + 2 * k] * cy)))
                               : std::numeric_limits<double>::infinity();
    }
    return found;
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
