/**
 * @file Finder.hpp
 * @brief What Discovery and Bootstrap have in common: a node of the engine that only looks for others, and a thread that tells of them.
 */
#ifndef VIX_P2P_DETAIL_FINDER_HPP
#define VIX_P2P_DETAIL_FINDER_HPP

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include <vix/p2p/detail/Engine.hpp>
#include <vix/p2p/detail/Log.hpp>

namespace vix::p2p::detail {

/** What was found, and the place it counts by. */
template <class Item> struct Found {
    Item item;
    std::string place;
};

/** The settings of a node that neither listens nor dials, and announces a port that is another node's. */
inline vixp2p_node_options finder_options(const std::string &node_id, std::uint16_t port)
{
    vixp2p_node_options options = VIXP2P_NODE_OPTIONS_INIT;
    options.flags = VIXP2P_FLAG_NO_DIAL | VIXP2P_FLAG_NO_REMEMBER | VIXP2P_FLAG_NO_RELAY | VIXP2P_FLAG_NO_PEER_EXCHANGE;
    options.node_id = node_id.empty() ? nullptr : node_id.c_str();
    options.announce_port = port;
    options.delivery = VIXP2P_DELIVERY_POLL;
    options.log_level = VIXP2P_LOG_OFF;
    return options;
}

/**
 * start() and stop() may be called in any order, from any thread and from the callback. A run has a thread and an engine of its own;
 * stop() waits for the callback that is under way, unless it is called from it.
 */
template <class Item> class Finder {
public:
    using Open = std::function<void(EngineHandle &)>;
    using Read = std::function<std::vector<Found<Item>>(const vixp2p_node *)>;
    using Callback = std::function<void(const Item &)>;

    Finder(Open open, Read read, Callback callback, std::uint32_t cooldown_ms)
        : open_(std::move(open)), read_(std::move(read)),
          callback_(std::make_shared<const Callback>(std::move(callback))), cooldown_(cooldown_ms)
    {
    }

    void start()
    {
        std::lock_guard<std::mutex> lock(mutex_);
        if (run_) {
            return;
        }
        auto run = std::make_shared<Run>();
        open_(run->engine);
        vixp2p::check(vixp2p_node_start(run->engine.get()));
        run->thread = std::thread([run, read = read_, callback = callback_, cooldown = cooldown_] { tell(*run, read, *callback, cooldown); });
        run_ = std::move(run);
    }

    void stop()
    {
        std::shared_ptr<Run> run;
        {
            std::lock_guard<std::mutex> lock(mutex_);
            run.swap(run_);
        }
        if (!run) {
            return;
        }
        {
            std::lock_guard<std::mutex> lock(run->mutex);
            run->ends = true;
        }
        run->bell.notify_all();
        if (run->thread.get_id() == std::this_thread::get_id()) {
            run->thread.detach();
        } else {
            run->thread.join();
        }
    }

    std::vector<Item> snapshot() const
    {
        std::shared_ptr<Run> run;
        {
            std::lock_guard<std::mutex> lock(mutex_);
            run = run_;
        }
        std::vector<Item> items;
        if (run) {
            for (Found<Item> &found : read_(run->engine.get())) {
                items.push_back(std::move(found.item));
            }
        }
        return items;
    }

private:
    using Clock = std::chrono::steady_clock;

    struct Run {
        EngineHandle engine;
        std::mutex mutex;
        std::condition_variable bell;
        bool ends{false};
        std::thread thread;
    };

    /** The thread's work. What is not found any more is forgotten, so that the table is never larger than the engine's. */
    static void tell(Run &run, const Read &read, const Callback &callback, std::chrono::milliseconds cooldown)
    {
        std::unordered_map<std::string, Clock::time_point> told;
        std::unique_lock<std::mutex> lock(run.mutex);
        while (!run.ends) {
            lock.unlock();
            const Clock::time_point now = Clock::now();
            std::unordered_map<std::string, Clock::time_point> kept;
            for (const Found<Item> &found : read(run.engine.get())) {
                const auto before = told.find(found.place);
                const bool is_due = before == told.end() || now - before->second >= cooldown;
                kept.insert_or_assign(found.place, is_due ? now : before->second);
                if (is_due && callback && !ended(run)) {
                    called(callback, found.item);
                }
            }
            told = std::move(kept);
            lock.lock();
            run.bell.wait_for(lock, look_every, [&] { return run.ends; });
        }
    }

    static bool ended(Run &run)
    {
        std::lock_guard<std::mutex> lock(run.mutex);
        return run.ends;
    }

    /** An exception of the program does not end the search. */
    static void called(const Callback &callback, const Item &item) noexcept
    {
        const InCallback inside;
        guarded({}, "callback for a peer that was found", [&] { callback(item); });
    }

    static constexpr std::chrono::milliseconds look_every{100};

    const Open open_;
    const Read read_;
    const std::shared_ptr<const Callback> callback_;
    const std::chrono::milliseconds cooldown_;
    mutable std::mutex mutex_;
    std::shared_ptr<Run> run_;
};

} // namespace vix::p2p::detail

#endif
