// All tracks of a tracker. One keeps its number as long as it lives, and they come in the order in which they were
// started: a track is large, so that none is moved because another one goes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <utility>
#include <vector>

#include "track.hpp"

namespace velocell {

class Tracks {
  public:
    std::size_t size() const { return order_.size(); }
    bool empty() const { return order_.empty(); }
    const std::vector<int>& numbers() const { return order_; }
    Track& operator[](int number) { return all_[static_cast<std::size_t>(number)]; }
    const Track& operator[](int number) const { return all_[static_cast<std::size_t>(number)]; }
    int number_of(const Track& track) const { return static_cast<int>(&track - all_.data()); }

    // Its number: that of one that has gone, if there is any.
    int add(Track&& track) {
        if (free_.empty()) {
            order_.push_back(static_cast<int>(all_.size()));
            all_.push_back(std::move(track));
        } else {
            order_.push_back(free_.back());
            free_.pop_back();
            (*this)[order_.back()] = std::move(track);
        }
        return order_.back();
    }

    // Those that are dead.
    void drop() {
        const auto is_dead = [this](int number) { return (*this)[number].dead; };
        std::copy_if(order_.begin(), order_.end(), std::back_inserter(free_), is_dead);
        std::erase_if(order_, is_dead);
    }

  private:
    std::vector<Track> all_;
    std::vector<int> order_, free_;  // numbers
};

}  // namespace velocell
