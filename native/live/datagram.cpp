#include "datagram.hpp"

#include <cstring>

#if defined(_WIN32)
#include <winsock2.h>
#include <ws2tcpip.h>
#else
#include <cerrno>

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#endif

namespace velocell {

namespace {

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

Received nothing() { return {Received::State::kNothing, 0, {}, {}, 0}; }
Received failed(int error) { return {Received::State::kFailed, 0, {}, {}, error}; }

}  // namespace

// A refusal that an earlier packet of the socket's owner met says nothing of what comes.

#if defined(_WIN32)

bool waits(Socket socket, int milliseconds) {
    WSAPOLLFD ready{static_cast<SOCKET>(socket), POLLRDNORM, 0};
    return WSAPoll(&ready, 1, milliseconds) != 0;  // an error too: the next call meets it again, and says which
}

Received receive_datagram(Socket socket, char* buffer, std::size_t size) {
    // No flag for one call says that it shall not wait, and the socket's mode is its owner's.
    if (!waits(socket, 0)) return nothing();
    sockaddr_storage from{};
    int from_size = sizeof from;
    const int n = recvfrom(static_cast<SOCKET>(socket), buffer, static_cast<int>(size), 0,
                           reinterpret_cast<sockaddr*>(&from), &from_size);
    if (n >= 0) return {Received::State::kData, static_cast<std::size_t>(n), sender_of(from), {}, 0};
    const int error = WSAGetLastError();
    if (error == WSAEMSGSIZE) return {Received::State::kData, size, sender_of(from), {}, 0};
    const bool open = error == WSAEWOULDBLOCK || error == WSAEINTR || error == WSAECONNRESET || error == WSAENETRESET;
    return open ? nothing() : failed(error);
}

#else

bool waits(Socket socket, int milliseconds) {
    pollfd ready{static_cast<int>(socket), POLLIN, 0};
    return poll(&ready, 1, milliseconds) > 0;
}

Received receive_datagram(Socket socket, char* buffer, std::size_t size) {
    alignas(cmsghdr) char control[64];
    iovec where{buffer, size};
    msghdr message{};
    sockaddr_storage from{};
    message.msg_name = &from;
    message.msg_namelen = sizeof from;
    message.msg_iov = &where;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t n = recvmsg(static_cast<int>(socket), &message, MSG_DONTWAIT);
    if (n < 0) {
        const bool open = errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR || errno == ECONNREFUSED;
        return open ? nothing() : failed(errno);
    }
    Received got{Received::State::kData, static_cast<std::size_t>(n), sender_of(from), {}, 0};
#if defined(SO_RXQ_OVFL)
    for (cmsghdr* c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL) {
            std::uint32_t count;
            std::memcpy(&count, CMSG_DATA(c), sizeof count);
            got.lost = count;
        }
#endif
    return got;
}

#endif

}  // namespace velocell
