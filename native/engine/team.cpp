#include "team.hpp"

#include <chrono>
#include <system_error>
#include <utility>

namespace velocell {

namespace {

constexpr std::chrono::milliseconds kIdle(10);

}  // namespace

Team::Team(std::size_t workers, std::function<void()> idle) : idle_(std::move(idle)) {
    for (std::size_t worker = 1; worker < workers; ++worker) {
        try {
            threads_.emplace_back(&Team::live, this, worker);
        } catch (const std::system_error&) {
            break;  // the system has no more threads to give; the result does not depend on it
        }
    }
}

Team::~Team() {
    {
        const std::lock_guard lock(mutex_);
        closing_ = true;
    }
    start_.notify_all();
    for (auto& thread : threads_) thread.join();
}

void Team::run(std::size_t count, const Job& job) {
    if (threads_.empty() || count < 2) {
        for (std::size_t i = 0; i < count; ++i) job(0, i);
        return;
    }
    {
        const std::lock_guard lock(mutex_);
        job_ = &job;
        count_ = count;
        next_ = 0;
        busy_ = threads_.size();
        ++round_;
    }
    start_.notify_all();
    work(0);
    std::unique_lock lock(mutex_);
    while (!done_.wait_for(lock, kIdle, [this] { return busy_ == 0; })) {
        lock.unlock();
        idle_();
        lock.lock();
    }
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

void Team::live(std::size_t worker) {
    std::size_t seen = 0;
    while (true) {
        {
            std::unique_lock lock(mutex_);
            start_.wait(lock, [&] { return closing_ || round_ != seen; });
            if (closing_) return;
            seen = round_;
        }
        work(worker);
        bool last = false;
        {
            const std::lock_guard lock(mutex_);
            last = --busy_ == 0;
        }
        if (last) done_.notify_one();
    }
}

void Team::work(std::size_t worker) {
    try {
        for (std::size_t i = next_++; i < count_; i = next_++) (*job_)(worker, i);
    } catch (...) {
        next_ = count_;
        const std::lock_guard lock(mutex_);
        if (!failure_) failure_ = std::current_exception();
    }
}

}  // namespace velocell
