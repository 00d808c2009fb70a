#include "text.hpp"

namespace velocell {

namespace {

constexpr int kMostDigits = 18;  // of a time in microseconds: less than 2^62

bool is_digit(char c) { return static_cast<unsigned char>(c - '0') < 10; }

struct Cursor {
    const char *at, *last;

    bool number(std::int64_t& value, int most) {
        const char* first = at;
        value = 0;
        while (at < last && is_digit(*at) && at - first < most) value = value * 10 + (*at++ - '0');
        return at > first && !(at < last && is_digit(*at));
    }

    bool signed_number(std::int64_t& value, std::int64_t bound) {
        const bool negative = at < last && *at == '-';
        at += negative;
        if (!number(value, 10) || value >= bound) return false;
        if (negative) value = -value;
        return true;
    }

    // Rounded half up to whole microseconds.
    bool time(std::int64_t& value, int decimals) {
        const char* first = at;
        if (!number(value, kMostDigits)) return false;
        const auto digits = static_cast<int>(at - first);
        if (decimals < 0) {  // nanoseconds
            value = (value + 500) / 1000;
            return at == last || *at != '.';
        }
        if (digits + decimals > kMostDigits) return false;
        const bool point = at < last && *at == '.';
        at += point;
        for (int k = 0; k < decimals; ++k)
            value = value * 10 + (point && at < last && is_digit(*at) ? *at++ - '0' : 0);
        if (!point) return true;
        if (at < last && is_digit(*at)) value += *at++ >= '5';
        while (at < last && is_digit(*at)) ++at;
        return true;
    }

    bool take(char c) {
        const bool found = at < last && *at == c;
        at += found;
        return found;
    }

    void blanks() {
        while (at < last && (*at == ' ' || *at == '\t')) ++at;
    }

    bool skip_field(char separator, char comment) {
        const char* first = at;
        while (at < last && *at > ' ' && *at < 127 && *at != separator) {
            if (*at == comment) return false;
            ++at;
        }
        return separator != 0 || at > first;
    }
};

bool parse_field(Cursor& cursor, char role, char separator, char comment, int decimals, TextColumns& columns) {
    std::int64_t value = 0;
    if (role == '-') return cursor.skip_field(separator, comment);
    if (role == 't') {
        if (!cursor.time(value, decimals)) return false;
        columns.t.push_back(value);
        return true;
    }
    if (!cursor.signed_number(value, role == 'p' ? 2 : std::int64_t{1} << 31)) return false;
    if (role == 'p')
        columns.p.push_back(static_cast<std::int8_t>(value));
    else
        (role == 'x' ? columns.x : columns.y).push_back(static_cast<std::int32_t>(value));
    return true;
}

}  // namespace

bool parse_text(const char* data, std::size_t size, const std::string& roles, char separator, char comment,
                int decimals, TextColumns& columns) {
    Cursor cursor{data, data + size};
    const std::size_t bound = size / (2 * roles.size()) + 1;  // a field takes a digit and what ends it
    columns.t.reserve(bound);
    columns.x.reserve(bound);
    columns.y.reserve(bound);
    if (roles.find('p') != std::string::npos) columns.p.reserve(bound);
    while (true) {
        cursor.blanks();
        if (cursor.take('\n')) continue;
        if (cursor.take('\r')) continue;
        if (cursor.at == cursor.last) return true;
        for (std::size_t k = 0; k < roles.size(); ++k) {
            if (k) {
                const char* before = cursor.at;
                cursor.blanks();
                if (separator ? !cursor.take(separator) : cursor.at == before) return false;
                cursor.blanks();
            }
            if (!parse_field(cursor, roles[k], separator, comment, decimals, columns)) return false;
        }
        cursor.blanks();
        cursor.take('\r');
        if (cursor.at < cursor.last && !cursor.take('\n')) return false;
    }
}

}  // namespace velocell
