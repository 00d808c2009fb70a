#include "fit.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace velocell {

namespace {

// Cholesky solution of a symmetric 4x4 system in place; returns false where it is singular.
bool solve4(double a[4][4], double b[4]) {
    for (int j = 0; j < 4; ++j) {
        for (int k = 0; k < j; ++k) a[j][j] -= a[j][k] * a[j][k];
        if (a[j][j] <= 1e-300) return false;
        a[j][j] = std::sqrt(a[j][j]);
        for (int i = j + 1; i < 4; ++i) {
            for (int k = 0; k < j; ++k) a[i][j] -= a[i][k] * a[j][k];
            a[i][j] /= a[j][j];
        }
    }
    for (int i = 0; i < 4; ++i) {
        for (int k = 0; k < i; ++k) b[i] -= a[i][k] * b[k];
        b[i] /= a[i][i];
    }
    for (int i = 3; i >= 0; --i) {
        for (int k = i + 1; k < 4; ++k) b[i] -= a[k][i] * b[k];
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

std::array<double, 2> Fit::advance(std::int64_t t, double memory_px, double max_speed) {
    std::array<double, 2> moved{};
    for (int i = 0; i < 3; ++i) {
        pp[i] += npp[i];
        pv[i] += npv[i];
        vv[i] += nvv[i];
    }
    if (count > 0) {
        double a[4][4], b[4] = {bx, by, bvx, bvy};
        fill(pp, pv, vv, a);
        if (solve4(a, b)) {
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
    x += vx * s;
    y += vy * s;
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
    if (!solve4(a, b)) return std::numeric_limits<double>::infinity();
    return std::sqrt(std::max(0.0, variance * (b[2] * cx + b[3] * cy)));
}

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

void Extent::solve(double nominal, double prior, double stretch_prior) {
    const double a = w_ + prior, c = wcc_ + stretch_prior, det = a * c - wc_ * wc_;
    const double d = d_ + prior * nominal;
    radius = (c * d - wc_ * dc_) / det;
    stretch = (a * dc_ - wc_ * d) / det;
}

}  // namespace velocell
