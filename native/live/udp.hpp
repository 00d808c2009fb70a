// Packets off a socket, taken by a thread of its own, so that none is lost while Python's lock is held elsewhere.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "datagram.hpp"

namespace velocell {

struct Packet {
    Sender from;
    double at_s;  // when it was taken, of the steady clock (CLOCK_MONOTONIC on Linux)
    std::string data;
};

// Holds at most `most_bytes`, and nothing that has waited for more than `most_wait_s` when something comes; the oldest
// packets give way. So whatever is done with them, and however slowly, what is known here is never old. The socket stays
// its owner's, and outlives this.
class UdpReceiver {
public:
    UdpReceiver(Socket socket, std::size_t most_bytes, double most_wait_s, double silent_s);
    ~UdpReceiver() { stop(); }
    UdpReceiver(const UdpReceiver&) = delete;
    UdpReceiver& operator=(const UdpReceiver&) = delete;

    bool wait(double seconds);  // until packets wait; false if none came
    // Until so long has passed, or a packet waits that ends at this time of its sender (32 bits that wrap around) or
    // later, also where others came behind it; false if none does.
    bool gather(double seconds, std::optional<std::uint32_t> until);
    std::vector<Packet> take(std::size_t bytes);  // the oldest, about so many bytes
    void stop();
    // Others are counted as they come, so that they cannot crowd it out; until it has been silent for `silent_s`, from
    // `heard_s` on, when one of them comes. Then all are kept.
    void keep_only(const Sender& sender, double heard_s);
    bool keeps_all();

    std::uint64_t others() const { return others_; }      // packets of other senders, not kept
    std::uint64_t lost() const { return lost_; }          // by the system, where it tells
    std::uint64_t overflow() const { return overflow_; }  // that gave way here
    int error() const { return error_; }                  // the system's, that ended the receiving; 0: none
    double heard_s() const { return heard_s_; }           // when the last packet came that was kept; 0: none did

private:
    bool await(double seconds, std::function<bool()> come);
    void run();
    bool receive();
    void keep(std::vector<Packet>& taken);

    Socket socket_;
    std::size_t most_bytes_, held_ = 0;
    double most_wait_s_, silent_s_, only_heard_s_ = 0;
    std::atomic<std::uint64_t> lost_{0}, overflow_{0}, others_{0};
    std::atomic<bool> stopped_{false};
    std::atomic<int> error_{0};
    std::atomic<double> heard_s_{0};
    std::mutex mutex_;
    std::condition_variable arrived_;
    std::function<bool()> awaited_;  // by the one who waits; none: nobody does
    std::deque<Packet> packets_;
    std::optional<Sender> only_;
    std::optional<std::uint32_t> newest_;  // latest end of those with times since none waited
    std::vector<char> buffer_;
    std::thread thread_;
};

}  // namespace velocell
