// One datagram off a socket, by POSIX or by Windows Sockets.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace velocell {

// Address (IPv4 as IPv6 has it) and port of a sender, in network order.
using Sender = std::array<unsigned char, 18>;

// What Python calls the socket's fileno. Made by Python, which has started Windows Sockets.
using Socket = std::intptr_t;

// Whether a datagram waits, or an error does, within this time.
bool waits(Socket socket, int milliseconds);

struct Received {
    enum class State { kData, kNothing, kFailed } state;
    std::size_t bytes;                   // kData: written to the buffer; what was longer is cut off
    Sender from;                         // kData
    std::optional<std::uint32_t> lost;   // by the system since the socket was made, where it tells
    int error;                           // kFailed: the system's number, as Python's OSError knows it
};

// Never waits.
Received receive_datagram(Socket socket, char* buffer, std::size_t size);

}  // namespace velocell
