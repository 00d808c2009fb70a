// The tracker's cells beside plain lists: tracks enter and leave at random, so that cells hold none, few and many.

#include <algorithm>
#include <cstdio>
#include <optional>
#include <random>
#include <vector>

#include "tracker/grid.hpp"

using namespace velocell;

namespace {

constexpr int kWidth = 70, kHeight = 40, kCell = 16, kColumns = 5, kRows = 3, kTracks = 40;

struct Lists {
    std::vector<int> of[kRows][kColumns];

    template <typename Visit>
    void each(const Place& place, Visit visit) {
        for (int row = place.top; row <= place.bottom; ++row)
            for (int column = place.left; column <= place.right; ++column) visit(of[row][column]);
    }
    bool same_as(const Grid& grid) const {
        for (int y = 0; y < kHeight; ++y)
            for (int x = 0; x < kWidth; ++x)
                if (!std::ranges::equal(grid.at(x, y), of[y / kCell][x / kCell])) return false;
        return true;
    }
};

}  // namespace

int main() {
    std::mt19937 random(1);
    const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
    Grid grid(kWidth, kHeight);
    Lists lists;
    std::optional<Place> places[kTracks];
    std::size_t most = 0;
    for (int turn = 0; turn < 4000; ++turn) {
        const int track = below(turn / 500 % 2 == 0 ? kTracks : 8);
        auto& place = places[track];
        if (below(400) == 0) {
            grid.clear();
            lists = {};
            std::fill(places, places + kTracks, std::nullopt);
        } else if (place) {
            grid.leave(track, *place);
            lists.each(*place, [&](std::vector<int>& cell) { std::erase(cell, track); });
            place.reset();
        } else {
            place = grid.around(below(90) - 10, below(60) - 10, 1 + below(20));
            grid.enter(track, *place);
            lists.each(*place, [&](std::vector<int>& cell) { cell.push_back(track); });
        }
        if (!lists.same_as(grid)) return std::printf("another list after turn %d\n", turn), 1;
        const Grid copy = grid;
        if (!lists.same_as(copy)) return std::printf("another list in the copy of turn %d\n", turn), 1;
        for (const auto& row : lists.of)
            for (const auto& cell : row) most = std::max(most, cell.size());
    }
    if (most < 12) return std::printf("no cell had many tracks\n"), 1;
    return 0;
}
