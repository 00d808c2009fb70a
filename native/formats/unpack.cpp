#include "unpack.hpp"

#include <algorithm>
#include <new>
#include <utility>

#if !defined(_WIN32)
#include <dlfcn.h>
#endif

namespace velocell {

namespace {

constexpr std::size_t kFirstBytes = std::size_t{1} << 18;

}  // namespace

FrameUnpacker::Outcome FrameUnpacker::unpack(const unsigned char* packed, std::size_t size, std::size_t most_bytes) {
    begin();
    size_ = 0;
    for (std::size_t given = 0;;) {
        if (room_bytes_ == given) {
            if (given > most_bytes) return Outcome::kOversized;
            // One more than the content may have: a full room does not tell whether the frame has ended.
            const std::size_t more = std::min(std::max(kFirstBytes, 2 * room_bytes_), most_bytes + 1);
            std::unique_ptr<unsigned char[]> larger(new unsigned char[more]);
            std::copy_n(room_.get(), given, larger.get());
            room_ = std::move(larger);
            room_bytes_ = more;
        }
        const Step done = step(packed, size, room_.get() + given, room_bytes_ - given);
        if (done.damaged) return Outcome::kDamaged;
        given += done.given;
        packed += done.taken;
        size -= done.taken;
        if (done.ended) {
            size_ = given;
            return given > most_bytes ? Outcome::kOversized : Outcome::kWhole;
        }
        if (done.taken == 0 && done.given == 0) return Outcome::kDamaged;  // it is cut off
    }
}

#if defined(_WIN32)

std::unique_ptr<FrameUnpacker> loaded_unpacker(const char*, bool) { return nullptr; }

#else

namespace {

class Library {
public:
    explicit Library(const char* path) : handle_(dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD)) {}
    ~Library() {
        if (handle_ != nullptr) dlclose(handle_);
    }
    Library(Library&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    Library& operator=(Library&&) = delete;
    template <typename Function>
    bool find(const char* name, Function*& function) const {
        function = handle_ == nullptr ? nullptr : reinterpret_cast<Function*>(dlsym(handle_, name));
        return function != nullptr;
    }

private:
    void* handle_;
};

// The declarations are those of lz4frame.h (1.8 or later) and zstd.h (1.4 or later), which promise to keep them.
class Lz4Frames final : public FrameUnpacker {
public:
    explicit Lz4Frames(Library library) : library_(std::move(library)) {
        good_ = library_.find("LZ4F_createDecompressionContext", create_) &&
                library_.find("LZ4F_freeDecompressionContext", free_) &&
                library_.find("LZ4F_decompress", decompress_) && library_.find("LZ4F_isError", is_error_) && renew();
    }
    ~Lz4Frames() override {
        if (context_ != nullptr) free_(context_);
    }
    bool good() const { return good_; }

private:
    // Behind a frame that was not whole. LZ4 1.9 has a function that resets a context, but what that frame said of its
    // length then counts for the next one.
    bool renew() {
        constexpr unsigned kVersion = 100;
        if (context_ != nullptr) free_(std::exchange(context_, nullptr));
        return is_error_(create_(&context_, kVersion)) == 0;
    }
    void begin() override {
        if (!std::exchange(whole_, false) && !renew()) throw std::bad_alloc();
    }
    Step step(const unsigned char* packed, std::size_t size, unsigned char* room, std::size_t bytes) override {
        Step done{size, bytes, false, false};
        const std::size_t said = decompress_(context_, room, &done.given, packed, &done.taken, nullptr);
        done.damaged = is_error_(said) != 0;
        done.ended = whole_ = said == 0;
        return done;
    }

    Library library_;
    std::size_t (*create_)(void**, unsigned) = nullptr;
    std::size_t (*free_)(void*) = nullptr;
    std::size_t (*decompress_)(void*, void*, std::size_t*, const void*, std::size_t*, const void*) = nullptr;
    unsigned (*is_error_)(std::size_t) = nullptr;
    void* context_ = nullptr;
    bool good_ = false, whole_ = true;
};

class ZstdFrames final : public FrameUnpacker {
public:
    explicit ZstdFrames(Library library) : library_(std::move(library)) {
        good_ = library_.find("ZSTD_createDCtx", create_) && library_.find("ZSTD_freeDCtx", free_) &&
                library_.find("ZSTD_DCtx_reset", reset_) && library_.find("ZSTD_decompressStream", decompress_) &&
                library_.find("ZSTD_isError", is_error_) && (context_ = create_()) != nullptr;
    }
    ~ZstdFrames() override {
        if (good_) free_(context_);
    }
    bool good() const { return good_; }

private:
    struct In {
        const void* bytes;
        std::size_t size, at;
    };
    struct Out {
        void* bytes;
        std::size_t size, at;
    };
    void begin() override {
        constexpr int kSessionOnly = 1;
        reset_(context_, kSessionOnly);
    }
    Step step(const unsigned char* packed, std::size_t size, unsigned char* room, std::size_t bytes) override {
        In in{packed, size, 0};
        Out out{room, bytes, 0};
        const std::size_t said = decompress_(context_, &out, &in);
        return {in.at, out.at, said == 0, is_error_(said) != 0};
    }

    Library library_;
    void* (*create_)() = nullptr;
    std::size_t (*free_)(void*) = nullptr;
    std::size_t (*reset_)(void*, int) = nullptr;
    std::size_t (*decompress_)(void*, Out*, In*) = nullptr;
    unsigned (*is_error_)(std::size_t) = nullptr;
    void* context_ = nullptr;
    bool good_ = false;
};

template <typename Frames>
std::unique_ptr<FrameUnpacker> if_good(const char* library) {
    auto made = std::make_unique<Frames>(Library(library));
    return made->good() ? std::unique_ptr<FrameUnpacker>(std::move(made)) : nullptr;
}

}  // namespace

std::unique_ptr<FrameUnpacker> loaded_unpacker(const char* library, bool zstd) {
    return zstd ? if_good<ZstdFrames>(library) : if_good<Lz4Frames>(library);
}

#endif

}  // namespace velocell
