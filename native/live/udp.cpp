#include "udp.hpp"

#include <cerrno>
#include <chrono>
#include <cstring>

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

namespace velocell {

namespace {

constexpr std::size_t LARGEST = 1 << 16;
constexpr int POLL_MS = 50;   // a stop is noticed within this time
constexpr int AT_ONCE = 256;  // packets, before they are handed on

double now_s() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

Sender sender_of(const sockaddr_storage& from) {
    Sender sender{};
    if (from.ss_family == AF_INET) {
        const auto& v4 = reinterpret_cast<const sockaddr_in&>(from);
        sender[10] = sender[11] = 0xff;
        std::memcpy(&sender[12], &v4.sin_addr, 4);
        std::memcpy(&sender[16], &v4.sin_port, 2);
    } else if (from.ss_family == AF_INET6) {
        const auto& v6 = reinterpret_cast<const sockaddr_in6&>(from);
        std::memcpy(&sender[0], &v6.sin6_addr, 16);
        std::memcpy(&sender[16], &v6.sin6_port, 2);
    }
    return sender;
}

}  // namespace

UdpReceiver::UdpReceiver(int socket, std::size_t most_bytes)
    : socket_(socket), most_bytes_(most_bytes), buffer_(LARGEST), thread_([this] { run(); }) {}

bool UdpReceiver::wait(double seconds) {
    std::unique_lock<std::mutex> lock(mutex_);
    return arrived_.wait_for(lock, std::chrono::duration<double>(seconds), [this] { return !packets_.empty(); });
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
    return taken;
}

void UdpReceiver::keep_only(const Sender& sender) {
    std::lock_guard<std::mutex> lock(mutex_);
    only_ = sender;
}

void UdpReceiver::keep_all() {
    std::lock_guard<std::mutex> lock(mutex_);
    only_.reset();
}

void UdpReceiver::stop() {
    stopped_ = true;
    if (thread_.joinable()) thread_.join();
}

void UdpReceiver::run() {
    while (!stopped_) {
        pollfd ready{socket_, POLLIN, 0};
        if (poll(&ready, 1, POLL_MS) > 0 && !receive()) return;
    }
}

// All that waits, up to some packets; false where the socket gives no more.
bool UdpReceiver::receive() {
    std::vector<Packet> taken;
    bool open = true;
    for (int k = 0; k < AT_ONCE; ++k) {
        alignas(cmsghdr) char control[64];
        iovec where{buffer_.data(), buffer_.size()};
        msghdr message{};
        sockaddr_storage from{};
        message.msg_name = &from;
        message.msg_namelen = sizeof from;
        message.msg_iov = &where;
        message.msg_iovlen = 1;
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        const ssize_t n = recvmsg(socket_, &message, MSG_DONTWAIT);
        if (n < 0) {
            // A refusal that an earlier packet of the socket's owner met says nothing of what comes.
            open = errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR || errno == ECONNREFUSED;
            if (!open) error_ = errno;
            break;
        }
#if defined(SO_RXQ_OVFL)
        for (cmsghdr* c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c))
            if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL) {
                std::uint32_t count;  // of this socket since it was made
                std::memcpy(&count, CMSG_DATA(c), sizeof count);
                lost_ = count;
            }
#endif
        taken.push_back({sender_of(from), now_s(), std::string(buffer_.data(), static_cast<std::size_t>(n))});
    }
    if (!taken.empty()) keep(taken);
    return open;
}

void UdpReceiver::keep(std::vector<Packet>& taken) {
    {
        std::lock_guard<std::mutex> lock(mutex_);
        for (Packet& packet : taken) {
            if (only_ && *only_ != packet.from) {
                ++others_;
                continue;
            }
            held_ += packet.data.size() + sizeof(Packet);
            packets_.push_back(std::move(packet));
        }
        while (held_ > most_bytes_ && packets_.size() > 1) {
            held_ -= packets_.front().data.size() + sizeof(Packet);
            packets_.pop_front();
            ++overflow_;
        }
    }
    arrived_.notify_one();
}

}  // namespace velocell
