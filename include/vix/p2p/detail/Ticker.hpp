/**
 * @file Ticker.hpp
 * @brief A thread that does one thing about once a second.
 */
#ifndef VIX_P2P_DETAIL_TICKER_HPP
#define VIX_P2P_DETAIL_TICKER_HPP

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

namespace vix::p2p::detail {

/** Ends with its scope; waits for what is being done unless that is where it ends. */
class Ticker {
public:
    explicit Ticker(std::function<void()> work) : ending_(std::make_shared<Ending>())
    {
        thread_ = std::thread([ending = ending_, work = std::move(work)] { run(*ending, work); });
    }
    Ticker(const Ticker &) = delete;
    Ticker &operator=(const Ticker &) = delete;
    ~Ticker()
    {
        {
            std::lock_guard<std::mutex> lock(ending_->mutex);
            ending_->now = true;
        }
        ending_->bell.notify_all();
        if (thread_.get_id() == std::this_thread::get_id()) {
            thread_.detach();
        } else {
            thread_.join();
        }
    }

private:
    struct Ending {
        std::mutex mutex;
        std::condition_variable bell;
        bool now{false};
    };

    static void run(Ending &ending, const std::function<void()> &work)
    {
        std::unique_lock<std::mutex> lock(ending.mutex);
        while (!ending.now) {
            lock.unlock();
            work();
            lock.lock();
            ending.bell.wait_for(lock, std::chrono::seconds(1), [&] { return ending.now; });
        }
    }

    std::shared_ptr<Ending> ending_;
    std::thread thread_;
};

} // namespace vix::p2p::detail

#endif
