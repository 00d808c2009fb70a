#include "table.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace velocell {

namespace {

constexpr double kPowers[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};
constexpr double kMost = 4503599627370496.0;  // 2^52: below it a double has a half, above it none
constexpr std::size_t kField = 24;            // characters, with a sign and a point

// The whole number nearest to value * power, of two as near ones the even one: exact, since what the product loses is
// found by a fused multiply-add. The standard library's own way is not in every system that wheels are made for.
bool scaled(double value, double power, std::int64_t& whole) {
    const double product = value * power;
    if (!(product < kMost)) return false;
    const double lost = std::fma(value, power, -product), nearest = std::nearbyint(product);
    // Only at a half does it matter: what is lost is less than half a step of the product.
    const double beyond = product - nearest;
    whole = static_cast<std::int64_t>(nearest);
    if (beyond == 0.5 && lost > 0) ++whole;
    if (beyond == -0.5 && lost < 0) --whole;
    return true;
}

char* write_fraction(char* to, double value, int decimals, bool& plain, bool json) {
    if (value != value) return json ? std::copy_n("null", 4, to) : to;
    if (std::signbit(value)) *to++ = '-';
    std::int64_t whole = 0;
    if (!scaled(std::abs(value), kPowers[decimals], whole)) {
        plain = false;
        return to;
    }
    const auto power = static_cast<std::int64_t>(kPowers[decimals]);
    // Python writes less than 1e-4 with an exponent, and 1 of no decimals as 1.0.
    if (json && (decimals == 0 || (whole != 0 && whole < power / 10'000))) plain = false;
    to = std::to_chars(to, to + kField, whole / power).ptr;
    if (decimals == 0) return to;
    *to = '.';
    std::int64_t rest = whole % power;
    for (int k = decimals; k > 0; --k, rest /= 10) to[k] = static_cast<char>('0' + rest % 10);
    char* end = to + decimals + 1;
    if (json)
        while (end > to + 2 && end[-1] == '0') --end;
    return end;
}

}  // namespace

bool write_lines(const std::vector<NumberColumn>& columns, std::size_t n, Lines kind, std::string& text) {
    const bool json = kind == Lines::kJson;
    bool plain = true;
    for (std::size_t row = 0; row < n && plain; ++row) {
        for (const NumberColumn& column : columns) {
            char field[kField];
            char* end = column.integers != nullptr
                            ? std::to_chars(field, field + kField, column.integers[row]).ptr
                            : write_fraction(field, column.fractions[row], column.decimals, plain, json);
            text += column.before;
            text.append(field, end);
        }
        text += json ? "}\n" : "\n";
    }
    return plain;
}

}  // namespace velocell
