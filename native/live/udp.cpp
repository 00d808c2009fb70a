#include "udp.hpp"

#include <chrono>

#include "spif.hpp"

namespace velocell {

namespace {

constexpr std::size_t LARGEST = 1 << 16;
constexpr int POLL_MS = 50;   // a stop is noticed within this time
constexpr int AT_ONCE = 256;  // packets, before they are handed on

double now_s() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// Of two times of a sender, which wrap around: whether `t` is `before` or comes after it.
bool reaches(std::uint32_t t, std::uint32_t before) { return static_cast<std::int32_t>(t - before) >= 0; }

}  // namespace

UdpReceiver::UdpReceiver(Socket socket, std::size_t most_bytes, double most_wait_s, double silent_s)
    : socket_(socket),
      most_bytes_(most_bytes),
      most_wait_s_(most_wait_s),
      silent_s_(silent_s),
      buffer_(LARGEST),
      thread_([this] { run(); }) {}

bool UdpReceiver::wait(double seconds) {
    return await(seconds, [this] { return !packets_.empty(); });
}

bool UdpReceiver::gather(double seconds, std::optional<std::uint32_t> until) {
    return await(seconds, [this, until] {
        return until && newest_ && reaches(*newest_, *until);
    });
}

// Who waits is woken once, not by each packet.
bool UdpReceiver::await(double seconds, std::function<bool()> come) {
    std::unique_lock<std::mutex> lock(mutex_);
    awaited_ = std::move(come);
    const bool there = arrived_.wait_for(lock, std::chrono::duration<double>(seconds), awaited_);
    awaited_ = nullptr;
    return there;
}

std::vector<Packet> UdpReceiver::take(std::size_t bytes) {
    std::vector<Packet> taken;
    std::lock_guard<std::mutex> lock(mutex_);
    for (std::size_t sum = 0; sum < bytes && !packets_.empty();) {
        const std::size_t size = packets_.front().data.size() + sizeof(Packet);
        taken.push_back(std::move(packets_.front()));
        packets_.pop_front();
        sum += size;
        held_ -= size;
    }
    if (packets_.empty()) newest_.reset();
    return taken;
}

void UdpReceiver::keep_only(const Sender& sender, double heard_s) {
    std::lock_guard<std::mutex> lock(mutex_);
    only_ = sender;
    only_heard_s_ = heard_s;
}

bool UdpReceiver::keeps_all() {
    std::lock_guard<std::mutex> lock(mutex_);
    return !only_;
}

void UdpReceiver::stop() {
    stopped_ = true;
    if (thread_.joinable()) thread_.join();
}

void UdpReceiver::run() {
    while (!stopped_)
        if (waits(socket_, POLL_MS) && !receive()) return;
}

// All that waits, up to some packets; false where the socket gives no more.
bool UdpReceiver::receive() {
    std::vector<Packet> taken;
    bool open = true;
    for (int k = 0; k < AT_ONCE; ++k) {
        const Received got = receive_datagram(socket_, buffer_.data(), buffer_.size());
        if (got.state != Received::State::kData) {
            open = got.state == Received::State::kNothing;
            if (!open) error_ = got.error;
            break;
        }
        if (got.lost) lost_ = *got.lost;
        taken.push_back({got.from, now_s(), std::string(buffer_.data(), got.bytes)});
    }
    if (!taken.empty()) keep(taken);
    return open;
}

void UdpReceiver::keep(std::vector<Packet>& taken) {
    bool come = false;
    {
        std::lock_guard<std::mutex> lock(mutex_);
        for (Packet& packet : taken) {
            if (only_ && *only_ == packet.from) {
                only_heard_s_ = packet.at_s;
            } else if (only_ && packet.at_s - only_heard_s_ <= silent_s_) {
                ++others_;
                continue;
            } else {
                only_.reset();
            }
            heard_s_ = packet.at_s;
            // Packets may overtake each other.
            if (const auto end = spif_end(packet.data); end && (!newest_ || reaches(*end, *newest_))) newest_ = end;
            held_ += packet.data.size() + sizeof(Packet);
            packets_.push_back(std::move(packet));
        }
        const auto old = [this](const Packet& packet) { return heard_s_ - packet.at_s > most_wait_s_; };
        while (packets_.size() > 1 && (held_ > most_bytes_ || old(packets_.front()))) {
            held_ -= packets_.front().data.size() + sizeof(Packet);
            packets_.pop_front();
            ++overflow_;
        }
        come = awaited_ && awaited_();
    }
    if (come) arrived_.notify_one();
}

}  // namespace velocell
