// Cells of the sensor, each with the tracks that may own events in it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace velocell {

// Where a track was entered: position (px), first and last column and row of its cells.
struct Place {
    double x = 0, y = 0;
    int left = 0, right = -1, top = 0, bottom = -1;

    bool has_cells_of(const Place& other) const {
        return left == other.left && right == other.right && top == other.top && bottom == other.bottom;
    }
};

class Grid {
  public:
    Grid(int width, int height)
        : columns_((width + kCell - 1) / kCell),
          rows_((height + kCell - 1) / kCell),
          cells_(static_cast<std::size_t>(columns_) * rows_) {}

    // Tracks of the cell of a pixel, which must lie on the sensor.
    const std::vector<int>& at(int x, int y) const {
        return cells_[static_cast<std::size_t>(y / kCell) * columns_ + x / kCell];
    }

    // Tracks of the cell nearest to any position.
    const std::vector<int>& nearest(double x, double y) const {
        const int column = std::clamp(static_cast<int>(x) / kCell, 0, columns_ - 1);
        const int row = std::clamp(static_cast<int>(y) / kCell, 0, rows_ - 1);
        return cells_[static_cast<std::size_t>(row) * columns_ + column];
    }

    // All cells within `reach` px.
    Place around(double x, double y, double reach) const {
        return {x, y, cell(x - reach, columns_), cell(x + reach, columns_), cell(y - reach, rows_),
                cell(y + reach, rows_)};
    }

    // Enter a track in these cells; it must have left those where it was before.
    void enter(int track, const Place& place) {
        each(place, [track](std::vector<int>& tracks) { tracks.push_back(track); });
    }

    void leave(int track, const Place& place) {
        each(place, [track](std::vector<int>& tracks) { std::erase(tracks, track); });
    }

    void clear() {
        for (auto& tracks : cells_) tracks.clear();
    }

  private:
    static constexpr int kCell = 16;  // px; a power of two, since every event is divided by it

    static int cell(double px, int count) {
        return std::clamp(static_cast<int>(std::floor(px / kCell)), 0, count - 1);
    }

    template <typename Visit>
    void each(const Place& place, Visit visit) {
        for (int row = place.top; row <= place.bottom; ++row)
            for (int column = place.left; column <= place.right; ++column)
                visit(cells_[static_cast<std::size_t>(row) * columns_ + column]);
    }

    int columns_, rows_;
    std::vector<std::vector<int>> cells_;
};

}  // namespace velocell
