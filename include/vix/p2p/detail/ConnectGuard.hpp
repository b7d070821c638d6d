/**
 * @file ConnectGuard.hpp
 * @brief Whether an address may be dialled now, for nodes of any making. A node of the engine keeps its own guard besides.
 */
#ifndef VIX_P2P_DETAIL_CONNECT_GUARD_HPP
#define VIX_P2P_DETAIL_CONNECT_GUARD_HPP

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <unordered_map>

namespace vix::p2p::detail {

/** What the guard counted. */
struct GuardCounts {
    std::uint64_t attempts{0}, deduped{0}, failures{0}, skips{0}, tracked{0};
};

/** Remembers the addresses that were dialled last, at most endpoints_max. For any number of threads. */
class ConnectGuard {
public:
    using Time = std::chrono::steady_clock::time_point;
    static constexpr std::size_t endpoints_max = 1024;

    /** Whether to dial. An attempt of a person skips the dedupe and honours the backoff. */
    bool ask(Time now, const std::string &endpoint, bool manual)
    {
        std::lock_guard<std::mutex> lock(mutex_);
        const auto found = tracks_.find(endpoint);
        if (found != tracks_.end() && now < found->second.until) {
            ++counts_.skips;
            return false;
        }
        if (found != tracks_.end() && !manual && now - found->second.last < dedupe_gap) {
            ++counts_.deduped;
            return false;
        }
        ++counts_.attempts;
        make_room(endpoint);
        tracks_[endpoint].last = now;
        return true;
    }

    void succeeded(const std::string &endpoint)
    {
        std::lock_guard<std::mutex> lock(mutex_);
        if (const auto found = tracks_.find(endpoint); found != tracks_.end()) {
            found->second.failures = 0;
            found->second.until = Time{};
        }
    }

    void failed(Time now, const std::string &endpoint, bool manual)
    {
        std::lock_guard<std::mutex> lock(mutex_);
        ++counts_.failures;
        Track &track = tracks_[endpoint];
        track.failures = std::min(track.failures + 1, manual ? 8U : 10U);
        const std::uint32_t doublings = std::min(track.failures - 1, manual ? 5U : 6U);
        const std::uint32_t ms = std::min((manual ? 2500U : 2000U) << doublings, manual ? 12000U : 15000U);
        track.until = now + std::chrono::milliseconds(ms);
    }

    GuardCounts counts() const
    {
        std::lock_guard<std::mutex> lock(mutex_);
        GuardCounts counts = counts_;
        counts.tracked = tracks_.size();
        return counts;
    }

private:
    struct Track {
        Time last{}, until{};
        std::uint32_t failures{0};
    };

    void make_room(const std::string &endpoint)
    {
        if (tracks_.size() >= endpoints_max && tracks_.find(endpoint) == tracks_.end()) {
            tracks_.erase(std::min_element(tracks_.begin(), tracks_.end(),
                                           [](const auto &a, const auto &b) { return a.second.last < b.second.last; }));
        }
    }

    static constexpr std::chrono::milliseconds dedupe_gap{900};

    mutable std::mutex mutex_;
    std::unordered_map<std::string, Track> tracks_;
    GuardCounts counts_;
};

} // namespace vix::p2p::detail

#endif
