// Lines of plain numbers -> columns of events: the fast way of `formats/text.py`, which has the definition.
//
// Only what is written plainly is taken: whole numbers without a plus sign, times perhaps with decimals, one separator
// or white space between fields. Of anything else - a comment, an exponent, a quote, a number too large - the
// caller is told to read the block the careful way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace velocell {

struct TextColumns {
    std::vector<std::int64_t> t;
    std::vector<std::int32_t> x, y;
    std::vector<std::int8_t> p;
};

// roles: of each field of a line one letter: t, x, y, p, or - for a field that is skipped. separator: 0 for white
// space. decimals: the power of ten that turns times into microseconds. False: not plain; columns are then of no use.
bool parse_text(const char* data, std::size_t size, const std::string& roles, char separator, char comment,
                int decimals, TextColumns& columns);

}  // namespace velocell
