// Two numbers that are worked on alike, each as if it were alone: one vector where the compiler has such.
#pragma once

#include <cmath>

#include "engine/portable.hpp"

namespace velocell {

#if defined(VELOCELL_GNU)

typedef double Two __attribute__((vector_size(16)));

#else

struct Two {
    double of[2];

    double& operator[](int lane) { return of[lane]; }
    double operator[](int lane) const { return of[lane]; }
    Two& operator+=(const Two& b) { return *this = *this + b; }
    Two& operator-=(const Two& b) { return *this = *this - b; }
    Two& operator*=(const Two& b) { return *this = *this * b; }
    Two& operator/=(const Two& b) { return *this = *this / b; }
    friend Two operator+(const Two& a, const Two& b) { return {{a.of[0] + b.of[0], a.of[1] + b.of[1]}}; }
    friend Two operator-(const Two& a, const Two& b) { return {{a.of[0] - b.of[0], a.of[1] - b.of[1]}}; }
    friend Two operator*(const Two& a, const Two& b) { return {{a.of[0] * b.of[0], a.of[1] * b.of[1]}}; }
    friend Two operator/(const Two& a, const Two& b) { return {{a.of[0] / b.of[0], a.of[1] / b.of[1]}}; }
};

#endif

inline Two two(double first, double second) {
    Two both{};
    both[0] = first;
    both[1] = second;
    return both;
}

inline double broadcast(double, double value) { return value; }
inline Two broadcast(Two, double value) { return two(value, value); }
inline Two broadcast(Two, Two values) { return values; }

inline double get(double of, int) { return of; }
inline double get(Two of, int lane) { return of[lane]; }
inline void put(double& of, int, double value) { of = value; }
inline void put(Two& of, int lane, double value) { of[lane] = value; }

inline double root(double x) { return std::sqrt(x); }
inline Two root(Two x) { return two(std::sqrt(x[0]), std::sqrt(x[1])); }

}  // namespace velocell
