// Columns of numbers -> lines of text: the fast way of `data/tables.py`, which has the definition.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace velocell {

// One of both, and what stands before each number. Fractions are written with so many decimals.
struct NumberColumn {
    const double* fractions = nullptr;
    const std::int64_t* integers = nullptr;
    int decimals = 0;  // at most 9
    std::string before;
};

// CSV: fractions that are not numbers are nothing. JSON Lines: they are null, and zeros at a fraction's end are left out.
enum class Lines { kCsv, kJson };

// Appends n lines. False where a number has more digits than a double is sure of, or none, or where JSON would have it
// with an exponent; the text is then of no use.
bool write_lines(const std::vector<NumberColumn>& columns, std::size_t n, Lines kind, std::string& text);

}  // namespace velocell
