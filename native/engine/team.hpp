// Team: threads for the time of one step. Started and joined there, so nothing outlives a call,
// a fork of the process finds no half-alive pool, and two engines never wait for each other.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace velocell {

class Team {
public:
    using Job = std::function<void(std::size_t worker, std::size_t index)>;

    // `idle` is called every few milliseconds while the caller only waits for others; it must not throw.
    Team(std::size_t workers, std::function<void()> idle);
    ~Team();
    Team(const Team&) = delete;
    Team& operator=(const Team&) = delete;

    std::size_t size() const { return threads_.size() + 1; }

    // job(worker, index) for every index below count, in any order; the caller is worker 0.
    // Returns when all are done; the first exception ends the others early and is thrown here.
    void run(std::size_t count, const Job& job);

private:
    void live(std::size_t worker);
    void work(std::size_t worker);

    std::vector<std::thread> threads_;
    std::function<void()> idle_;
    std::mutex mutex_;
    std::condition_variable start_, done_;
    const Job* job_ = nullptr;
    std::size_t count_ = 0, round_ = 0, busy_ = 0;
    std::atomic<std::size_t> next_{0};
    std::exception_ptr failure_;
    bool closing_ = false;
};

}  // namespace velocell
