// Columns of numbers -> lines of text: the fast way of `data/tables.py`, which has the definition.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace velocell {

// One of both. Fractions are written with so many decimals, those that are not numbers as nothing.
struct NumberColumn {
    const double* fractions = nullptr;
    const std::int64_t* integers = nullptr;
    int decimals = 0;  // at most 9
};

// Appends n lines with commas between their fields. False where a number has more digits than a double is sure of, or
// none; the text is then of no use.
bool write_lines(const std::vector<NumberColumn>& columns, std::size_t n, std::string& text);

}  // namespace velocell
