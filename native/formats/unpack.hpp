// Unpacks LZ4 and Zstandard frames by functions of these libraries that somebody has loaded already.
#pragma once

#include <cstddef>
#include <memory>

namespace velocell {

// One frame after the other, in memory that is set aside once.
class FrameUnpacker {
public:
    enum class Outcome { kWhole, kDamaged, kOversized };

    virtual ~FrameUnpacker() = default;
    // The frame at the head of these bytes; what follows it is left out. Never sets aside more than `most_bytes`, and
    // little more than the content takes.
    Outcome unpack(const unsigned char* packed, std::size_t size, std::size_t most_bytes);
    // Of the last one that was whole.
    const unsigned char* content() const { return room_.get(); }
    std::size_t size() const { return size_; }

protected:
    struct Step {
        std::size_t taken, given;
        bool ended, damaged;
    };

private:
    virtual void begin() = 0;
    // As far as these bytes and that room go.
    virtual Step step(const unsigned char* packed, std::size_t size, unsigned char* room, std::size_t bytes) = 0;

    std::unique_ptr<unsigned char[]> room_;
    std::size_t room_bytes_ = 0, size_ = 0;
};

// By the functions of a shared library that is loaded, an extension module of Python; nothing where it does not show
// them, or on Windows. zstd: whether those of Zstandard, else those of LZ4.
std::unique_ptr<FrameUnpacker> loaded_unpacker(const char* library, bool zstd);

}  // namespace velocell
