// Cells of the sensor, each with the tracks that may own events in it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <utility>
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

    // Tracks of the cell of a pixel, which must lie on the sensor. For use until any track enters or leaves.
    std::span<const int> at(int x, int y) const { return tracks_of(cell_of(x, y)); }

    // Where they are kept; and the first of them, if there is any, or anything else.
    const void* place_of(int x, int y) const { return &cell_of(x, y); }
    int first_at(int x, int y) const { return cell_of(x, y).few[0]; }

    // Tracks of the cell nearest to any position.
    std::span<const int> nearest(double x, double y) const {
        const int column = std::clamp(static_cast<int>(x) / kCell, 0, columns_ - 1);
        const int row = std::clamp(static_cast<int>(y) / kCell, 0, rows_ - 1);
        return tracks_of(cells_[static_cast<std::size_t>(row) * columns_ + column]);
    }

    // All cells within `reach` px.
    Place around(double x, double y, double reach) const {
        return {x, y, cell(x - reach, columns_), cell(x + reach, columns_), cell(y - reach, rows_),
                cell(y + reach, rows_)};
    }

    // Enter a track in these cells, behind those that are there; it must have left those where it was before.
    void enter(int track, const Place& place) {
        each(place, [this, track](Cell& cell) {
            if (cell.count == kFew) {
                const std::vector<int> all(cell.few, cell.few + kFew);
                if (free_.empty()) {
                    cell.few[0] = static_cast<int>(many_.size());
                    many_.push_back(all);
                } else {
                    cell.few[0] = free_.back();
                    free_.pop_back();
                    many_[static_cast<std::size_t>(cell.few[0])] = all;
                }
            }
            if (cell.count >= kFew) many_of(cell).push_back(track);
            else cell.few[cell.count] = track;
            ++cell.count;
        });
    }

    void leave(int track, const Place& place) {
        each(place, [this, track](Cell& cell) {
            if (cell.count <= kFew) {
                cell.count = static_cast<int>(std::remove(cell.few, cell.few + cell.count, track) - cell.few);
                return;
            }
            auto& all = many_of(cell);
            std::erase(all, track);
            cell.count = static_cast<int>(all.size());
            if (cell.count > kFew) return;
            free_.push_back(cell.few[0]);
            std::copy(all.begin(), all.end(), cell.few);
        });
    }

    void clear() {
        for (Cell& cell : cells_) cell.count = 0;
        many_.clear();
        free_.clear();
    }

  private:
    static constexpr int kCell = 16;  // px; a power of two, since every event is divided by it
    static constexpr int kFew = 7;

    // Every event asks one, so that few tracks lie in the cell itself. Of more than a few, few[0] is the number of
    // their list.
    struct Cell {
        int count = 0;
        int few[kFew]{};
    };

    std::vector<int>& many_of(const Cell& cell) { return many_[static_cast<std::size_t>(cell.few[0])]; }

    std::span<const int> tracks_of(const Cell& cell) const {
        if (cell.count <= kFew) return {cell.few, static_cast<std::size_t>(cell.count)};
        return many_[static_cast<std::size_t>(cell.few[0])];
    }

    const Cell& cell_of(int x, int y) const { return cells_[static_cast<std::size_t>(y / kCell) * columns_ + x / kCell]; }

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
    std::vector<Cell> cells_;
    std::vector<std::vector<int>> many_;
    std::vector<int> free_;  // of these
};

}  // namespace velocell
