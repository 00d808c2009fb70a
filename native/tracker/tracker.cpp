#include "tracker.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <utility>

#include "lifecycle.hpp"

namespace velocell {

namespace {

// Whether a ring of one size answers to disks of another one where these are.
bool is_about(double ring, double radius, const Rules& rules) {
    return std::min(ring, radius) >= rules.smaller_ring_radii * std::max(ring, radius);
}

}  // namespace

Tracker::Tracker(const TrackerConfig& config, Model model)
    : config_(config), model_(std::move(model)), grid_(config.width, config.height),
      past_(static_cast<std::size_t>(config.width) * config.height) {
    for (const double distance : model_.outline) {
        nearest_edge_ = std::min(nearest_edge_, distance);
        farthest_edge_ = std::max(farthest_edge_, distance);
    }
    // Beyond what fits into a time, only the limits below count.
    const double upkeep_us = std::min(1e6 * model_.rules.upkeep_px / model_.edges.back(), 1e15);
    upkeep_us_ = std::clamp<std::int64_t>(upkeep_us > 1 ? static_cast<std::int64_t>(upkeep_us) : 1,
                                          std::min(config_.dt_us, config_.every_us), config_.every_us);
}

void Tracker::step(const EventSpan& events, const SpikeSpan& spikes, std::int64_t until_us, std::vector<Row>& rows) {
    std::int64_t e = 0, s = 0;
    const std::int64_t never = std::numeric_limits<std::int64_t>::max();
    while (true) {
        const std::int64_t te = e < events.n ? events.t[e] : never;
        const std::int64_t ts = s < spikes.n ? spikes.t[s] + config_.dt_us : never;
        const std::int64_t next = std::min(te, ts);
        if (tracks_.empty() && !resting_) {  // nothing to say until the next spike
            const std::int64_t from = std::min(next, until_us);
            next_report_us_ = std::max(next_report_us_, (from + config_.every_us - 1) / config_.every_us * config_.every_us);
            next_upkeep_us_ = std::max(next_upkeep_us_, (from + upkeep_us_ - 1) / upkeep_us_ * upkeep_us_);
        }
        const std::int64_t instant = std::min(next_report_us_, next_upkeep_us_);
        // Spikes that become known exactly at an instant still count for it, events do not.
        if (instant <= until_us && instant <= te && instant < ts) {
            upkeep(instant);
            if (instant == next_report_us_) {
                report(tracks_, lost_, instant, model_, rows);
                next_report_us_ += config_.every_us;
            }
            if (instant == next_upkeep_us_) next_upkeep_us_ += upkeep_us_;
        } else if (next == never) {
            break;
        } else if (ts <= te) {
            on_spike({ts, spikes.x[s] + config_.offset, spikes.y[s] + config_.offset, spikes.channel[s],
                      model_.radii[spikes.size[s]]});
            ++s;
        } else {
            // As long as there is something to say, the next instant stays the same.
            const bool waits = tracks_.empty() && !resting_;
            e = feed(events, e, waits ? te + 1 : std::min(ts, instant <= until_us ? instant : never));
        }
    }
}

std::int64_t Tracker::feed(const EventSpan& events, std::int64_t first, std::int64_t until) {
    std::int64_t e = first;
    for (; e < events.n && events.t[e] < until; ++e) {
        if (e + kAhead < events.n) ask_for_pixel(events.x[e + kAhead], events.y[e + kAhead]);
        if (e + kSoon < events.n) ask_for_track(events.x[e + kSoon], events.y[e + kSoon]);
        on_event(events.t[e], events.x[e], events.y[e], events.p ? events.p[e] != 0 : 2);
    }
    return e;
}

void Tracker::on_event(std::int64_t t, int x, int y, int p) {
    if (x >= config_.width || y >= config_.height) throw std::out_of_range("an event lies outside the sensor");
    const auto candidates = grid_.at(x, y);
    if (candidates.empty()) return;
    PixelPast& past = past_[static_cast<std::size_t>(y) * config_.width + x];
    const Before before = past.meet(t, p);
    ++polarities_[p];

    around_.clear();
    Claim claimed;
    claim(candidates, t, x, y, before, claimed);
    if (claimed.owner == kNobody || near_[claimed.owner].id < 0)
        for (const int number : around_) tracks_[number].passes_by(model_);
    if (claimed.owner == kNobody) {
        if (before.flipped) past.begin(t);
        return;
    }
    const Near& near = near_[claimed.owner];
    Track& track = tracks_[claimed.owner];
    if (claimed.rival != kNobody && near.id >= 0 &&
        (claimed.second - claimed.best()) * near.gate < model_.rules.unclear_px) {
        track.share(t, model_);
        tracks_[claimed.rival].share(t, model_);
        return;
    }
    const double v = near.edge_speed;
    const bool rests = before.rests(v, model_.rules), begins = rests || before.flips(v, near.oval.radius, model_.rules);
    if (begins) past.begin(t);
    const Crossing crossing{begins, before.flipped || rests, seconds(past.began_us(), t), p};
    if (track.take(t, claimed.offset, crossing, v, model_)) advance(track, t);
}

void Tracker::claim(std::span<const int> candidates, std::int64_t t, int x, int y, const Before& before, Claim& found) {
    for (const int number : candidates) {
        const Near& near = near_[number];
        const auto [dx, dy, d2] = near.to(t, x, y);
        if (d2 > near.most2 || d2 < near.least2) continue;
        if (d2 > near.around2 && d2 < near.far2) {
            if (before.begins(near.edge_speed, near.oval.radius, model_.rules)) around_.push_back(number);
            continue;
        }
        const Offset at{dx, dy, std::sqrt(d2)};
        const double away = at.d - near.outline(at, model_);
        if (std::abs(away) >= near.gate) {
            if (away > 0 && away < near.gate + model_.rules.around_px &&
                before.begins(near.edge_speed, near.oval.radius, model_.rules))
                around_.push_back(number);
            continue;
        }
        if (found.owner == kNobody) {
            found = {.owner = number, .away = std::abs(away), .gate = near.gate, .offset = at};
            continue;
        }
        const double off = std::abs(away) / near.gate, best = found.best();
        // A candidate of another size takes nothing from what is known.
        const bool is_known = near.id >= 0, is_known_owner = near_[found.owner].id >= 0;
        const bool unlike = is_known_owner != is_known &&
                            !is_about(tracks_[found.owner].nominal, tracks_[number].nominal, model_.rules);
        if (unlike ? is_known : off < best) {
            if (is_known_owner) {
                found.second = best;
                found.rival = found.owner;
            }
            found.away = std::abs(away);
            found.gate = near.gate;
            found.owner = number;
            found.offset = at;
        } else if (!unlike && off < found.second && is_known) {
            found.second = off;
            found.rival = number;
        }
    }
}

void Tracker::on_spike(const Spike& spike) {
    if (spike.channel < 0 || spike.channel >= static_cast<int>(model_.edges.size()) - 1) return;
    const Rules& rules = model_.rules;
    Track *owner = nullptr, *lost = nullptr;
    double best = 1, nearest_lost = rules.recapture_radii, ox = 0, oy = 0;  // in reaches, in radii
    bool covered = false;
    for (const int index : grid_.nearest(spike.x, spike.y)) {
        const auto [dx, dy, d2] = near_[index].to(spike.t_us, spike.x, spike.y);
        if (near_[index].id < 0 && d2 > near_[index].answers2) continue;
        Track& track = tracks_[index];
        const double d = std::sqrt(d2);
        // A small ring answers to the edge of a large disk, which says nothing new once that is followed; one that is
        // much larger or smaller is not about this object.
        if (!is_about(spike.radius, track.radius, rules)) {
            covered |= track.id >= 0 && spike.radius < track.radius && d < track.radius + spike.radius;
            continue;
        }
        // A ring of another size answers that far from where the object is.
        const double reach = rules.reach(track.nominal) + std::abs(spike.radius - track.nominal);
        if (d < best * reach) {
            best = d / reach;
            owner = &track;
            ox = dx;
            oy = dy;
        } else if (d < nearest_lost * track.nominal && track.id >= 0 && track.support(rules) < rules.lost_support) {
            nearest_lost = d / track.nominal;
            lost = &track;
        }
    }
    if (owner == nullptr && covered) return;
    if (owner == nullptr && lost != nullptr) {
        lost->restart(spike.t_us, spike.x, spike.y, 0, 0, model_);
        surround(*lost);
        owner = lost;
    }
    if (owner == nullptr) start(spike);
    else owner->answer(spike, ox, oy, model_);
}

// Where tentative tracks are many, most of them follow clutter, and every event around would have to be held against
// each. So a place has room for some; a spike that finds it full takes that of the one which is least like a disk.
void Tracker::start(const Spike& spike) {
    ++crowding_.births;
    const auto around = grid_.nearest(spike.x, spike.y);
    const auto tentative = std::count_if(around.begin(), around.end(), [&](int index) { return near_[index].id < 0; });
    if (static_cast<double>(tentative) >= model_.rules.max_tentative_tracks) {
        ++crowding_.crowded;
        for (const int index : around)
            if (near_[index].id < 0) tracks_[index].jammed = true;
        Track* gone = weakest(around, spike.t_us);
        if (gone == nullptr) return;
        grid_.leave(tracks_.number_of(*gone), gone->place);
        *gone = Track(spike, model_);
        enter(*gone);
        surround(*gone);
        return;
    }
    if (static_cast<double>(tracks_.size()) >= model_.rules.max_tracks) return;
    Track& track = tracks_[tracks_.add(Track(spike, model_))];
    enter(track);
    surround(track);
}

// Of the tentative tracks that have had time to show what they are, the one that is least like a disk, if it is no more
// so than a track of which nothing is known.
Track* Tracker::weakest(std::span<const int> around, std::int64_t t) {
    const Rules& rules = model_.rules;
    Track* found = nullptr;
    double least = Evidence{}.log_odds(model_.width / 2.0, model_.height / 2.0, 1, 1, model_);
    for (const int index : around) {
        if (near_[index].id >= 0) continue;
        Track& track = tracks_[index];
        if (seconds(track.birth_us, t) * track.pace(model_) < rules.give_way_px) continue;
        const double odds = track.log_odds(model_);
        if (odds <= least) {
            least = odds;
            found = &track;
        }
    }
    return found;
}

void Tracker::advance(Track& track, std::int64_t t) {
    const double s = seconds(track.fast.t_us, t), px = track.move(t, model_);
    track.fade(t, px, model_);
    track.evidence.lasted += s;
    if (track.measure(model_)) enter_anew(track);
    track.correct(t, px, model_);
    const double away = length(track.fast.x - track.place.x, track.fast.y - track.place.y);
    if (away > model_.rules.grid_margin_px) enter_anew(track);
    surround(track);
}

void Tracker::surround(const Track& track) {
    constexpr double kRounding = 1e-6;  // also of a float, over its value
    const double across = track.extent.at(0), along = track.extent.at(1);
    const double nearest = std::min(across, along) * nearest_edge_, farthest = std::max(across, along) * farthest_edge_;
    const double least = nearest - track.gate - kRounding, around = farthest + track.gate + kRounding;
    const double far = std::max(nearest + track.gate + model_.rules.around_px - kRounding, 0.0);
    const double most = farthest + track.gate + model_.rules.around_px + kRounding;
    double reach = model_.rules.reach(track.nominal);
    if (sizes() > 1)  // see on_spike
        reach += std::max(track.radius / model_.rules.smaller_ring_radii - track.nominal, 0.0);
    const auto number = static_cast<std::size_t>(tracks_.number_of(track));
    if (number >= near_.size()) near_.resize(number + 1);
    near_[number] = {
        .t_us = track.fast.t_us,
        .x = track.fast.x,
        .y = track.fast.y,
        .vx = track.fast.vx,
        .vy = track.fast.vy,
        .least2 = least > 0 ? least * least : 0,
        .most2 = most * most,
        .id = track.id,
        .answers2 = static_cast<float>(reach * reach * (1 + kRounding)),
        .around2 = static_cast<float>(around * around * (1 + kRounding)),
        .far2 = static_cast<float>(far * far * (1 - kRounding)),
        .gate = track.gate,
        .edge_speed = track.edge_speed(model_),
        .heading_x = track.heading_x,
        .heading_y = track.heading_y,
        .oval = track.extent.oval(),
    };
}

// In the cells in which its events may lie before it is entered anew.
Place Tracker::place_of(const Track& track) const {
    const Rules& rules = model_.rules;
    const double reach = rules.max_radius * track.nominal + track.gate + rules.grid_margin_px + rules.grid_spare_px;
    return grid_.around(track.fast.x, track.fast.y, reach);
}

void Tracker::enter(Track& track) {
    track.place = place_of(track);
    grid_.enter(tracks_.number_of(track), track.place);
}

void Tracker::enter_anew(Track& track) {
    const Place place = place_of(track);
    if (!place.has_cells_of(track.place)) {
        grid_.leave(tracks_.number_of(track), track.place);
        grid_.enter(tracks_.number_of(track), place);
    }
    track.place = place;
}

void Tracker::upkeep(std::int64_t t) {
    const auto [off, on, none] = polarities_;
    model_.polarity = none == 0;
    model_.one_polarity = none == 0 && static_cast<double>(std::min(on, off)) <
                                           model_.rules.one_polarity_share * static_cast<double>(std::max(on, off));
    for (const int number : tracks_.numbers()) {
        advance(tracks_[number], t);
        if (!tracks_[number].dead) look_at(tracks_[number], t, model_, tracks_, lost_, next_id_);
        near_[number].id = tracks_[number].id;
        if (tracks_[number].id >= 0) find_shadow(tracks_[number]);
    }
    drop_doubles();
    drop_dead(t);
}

// What rode along with another one's edges stays its shadow for a while: where both turn, their speeds differ.
void Tracker::find_shadow(Track& track) {
    const Rules& rules = model_.rules;
    // None is much sharper than that.
    if (track.variance() < rules.shadow_scatter * rules.scatter_prior_px2) return;
    const double reach = rules.shadow_radii * track.radius;
    for (const int number : tracks_.numbers()) {
        const Near& near = near_[number];
        if (near.id < 0 || near.id == track.id || near.to(track.fast.t_us, track.fast.x, track.fast.y).d2 > reach * reach)
            continue;
        const Track& other = tracks_[number];
        if (other.dead || other.is_shadow() || !is_shadow(track, other, rules)) continue;
        track.shadow_until_px = track.travel + rules.long_memory_px;
        return;
    }
}

void Tracker::drop_doubles() {
    for (const int number : tracks_.numbers()) {
        const Track& first = tracks_[number];
        if (first.dead) continue;
        for (const int index : grid_.nearest(first.fast.x, first.fast.y)) {
            Track& second = tracks_[index];
            if (&second != &first && !second.dead && is_double(first, second, model_.rules))
                second.dead = second.doubled = true;
        }
    }
}

void Tracker::drop_dead(std::int64_t t) {
    std::erase_if(lost_, [&](const Lost& lost) { return seconds(lost.t_us, t) > model_.rules.keep_s; });
    const std::size_t before = tracks_.size();
    const auto most = static_cast<std::size_t>(model_.rules.max_tracks);
    for (const int number : tracks_.numbers()) {
        const Track& track = tracks_[number];
        if (!track.dead) continue;
        if (is_measured(track, model_.rules) && !track.is_shadow()) finished_.push_back(passage_of(track));
        if (is_kept(track, model_) && lost_.size() < most) lost_.push_back(lost_of(track, t, model_));
    }
    resting_ = std::any_of(lost_.begin(), lost_.end(), [](const Lost& lost) { return lost.rests; });
    tracks_.drop();
    if (tracks_.size() == before) return;
    // In the order of their births: of two that are as little like a disk, the younger one gives way.
    grid_.clear();
    for (const int number : tracks_.numbers()) enter(tracks_[number]);
}

Passage Tracker::passage_of(const Track& track) const {
    Passage passage = track.passage(model_);
    passage.speed = track.travel / std::max(seconds(track.birth_us, track.fast.t_us), 1e-6);
    return passage;
}

std::vector<Passage> Tracker::passages() const {
    std::vector<Passage> all = finished_;
    for (const int number : tracks_.numbers())
        if (const Track& track = tracks_[number]; track.id >= 0 && is_measured(track, model_.rules) && !track.is_shadow())
            all.push_back(passage_of(track));
    return all;
}

// What is not sure to be there, or has not gone far enough to tell of its size, is looked for by all networks.
Allotment Tracker::allotment(std::int64_t start_us, std::int64_t stop_us) const {
    const Rules& rules = model_.rules;
    std::vector<Followed> followed;
    for (const int number : tracks_.numbers()) {
        const Track& track = tracks_[number];
        if (track.id < 0 || track.travel < rules.long_memory_px || !track.keeps_pace(model_)) continue;
        const double support = track.support(rules);
        if (confidence(track, track.band(), support, track.log_odds(model_), model_) < rules.allot_confidence) continue;
        const double across = track.extent.at(0), along = track.extent.at(1);
        const auto [small, large] = std::minmax(track.nominal, track.radius);
        followed.push_back({.t_us = track.fast.t_us,
                            .x = track.fast.x,
                            .y = track.fast.y,
                            .vx = track.slow.vx,
                            .vy = track.slow.vy,
                            .ax = track.slow.ax,
                            .ay = track.slow.ay,
                            .least = std::min(across, along) * nearest_edge_ - track.gate,
                            .most = std::max(across, along) * farthest_edge_ + track.gate,
                            .smallest = small / rules.allot_ratio,
                            .largest = large * rules.allot_ratio});
    }
    return {config_.width, config_.height, model_.radii, start_us, stop_us, followed};
}

}  // namespace velocell
