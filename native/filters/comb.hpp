// Comb: events that a pixel repeats with the period of a lamp.
//
// A lamp brightens and dims all that it lights once a period, so a pixel gives events of a polarity in the same part of
// each. Time is cut into kBins bins a period; of each pixel and polarity it is remembered in which of the bins of
// the last kPeriods periods there were events. An event is the lamp's where at least `least` of the periods before it
// had one at its phase (to a bin), and hardly any had one half a period off: a pixel that is busy all the time, as in
// noise or in what trails behind an edge, repeats nothing. What passes a pixel once leaves no such past. Only what came
// before counts, so that it does not matter where a stream is cut, and nothing older than kPeriods periods.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace velocell {

class Comb {
  public:
    static constexpr int kBins = 16, kPeriods = 8;

    // period_us: of the lamp. least: of the kPeriods - 1 periods before an event, how many must have had it.
    Comb(int width, int height, double period_us, int least);

    // Looks at all pixels of this cell of kCell x kCell px from now on; others are left alone.
    void add_cell(int column, int row);

    // Clears keep[i] of the lamp's events; p may be null. Events must follow each other in time.
    void filter(const std::int64_t* t, const std::uint16_t* x, const std::uint16_t* y, const std::uint8_t* p,
                std::size_t n, std::uint8_t* keep);

    static constexpr int kCell = 16;  // px

  private:
    struct Past {
        std::uint64_t near = 0, far = 0;  // bins before the last event's, bit 0 its own; far: those beyond 64
        std::int64_t last = 0;            // bin of the last event
        void go_to(std::int64_t bin);
    };
    bool repeats(const Past& past, bool polarity) const;

    int width_, height_, columns_, least_;
    double bins_per_us_;
    std::vector<std::int32_t> slot_;  // of each cell: where its pixels are in past_, -1 where it is left alone
    std::vector<Past> past_;          // of each pixel OFF and ON
};

}  // namespace velocell
