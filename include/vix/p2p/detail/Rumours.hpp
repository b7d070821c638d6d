/**
 * @file Rumours.hpp
 * @brief Which addresses that somebody named are to be dialled, and when. Dials nobody, and has no clock.
 */
#ifndef VIX_P2P_DETAIL_RUMOURS_HPP
#define VIX_P2P_DETAIL_RUMOURS_HPP

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <iterator>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

namespace vix::p2p::detail {

struct Rumour {
    std::string endpoint;
    /** By a registry; else by an announcement. */
    bool is_registered{false};
};

/**
 * A few in each step, each seldom, and no longer than somebody repeats them. Who was never dialled comes first, then who was dialled
 * longest ago, so that no number of dead addresses keeps another from its turn.
 */
class Rumours {
public:
    using Time = std::chrono::steady_clock::time_point;

    struct Todo {
        std::vector<std::string> dial, forget;
    };

    /** The program asked for this address itself: it is neither dialled nor forgotten as a rumour. Whether that is new. */
    bool claim(const std::string &endpoint)
    {
        dialled_.erase(endpoint);
        return claimed_.insert(endpoint).second;
    }
    void release(const std::string &endpoint) { claimed_.erase(endpoint); }
    bool is_claimed(const std::string &endpoint) const { return claimed_.count(endpoint) != 0; }

    /** About once a second: with everybody who is named, and where a dial or a link is under way. */
    Todo step(Time now, const std::vector<Rumour> &found, const std::unordered_set<std::string> &busy)
    {
        Todo todo;
        std::unordered_set<std::string> repeated;
        std::vector<Due> due;
        for (const Rumour &rumour : found) {
            if (!repeated.insert(rumour.endpoint).second || is_claimed(rumour.endpoint) || busy.count(rumour.endpoint) != 0) {
                continue;
            }
            const auto before = dialled_.find(rumour.endpoint);
            if (before == dialled_.end()) {
                due.push_back({std::nullopt, &rumour});
            } else if (now - before->second.last >= cooldown) {
                due.push_back({before->second.last, &rumour});
            }
        }
        std::size_t held = 0;
        for (auto at = dialled_.begin(); at != dialled_.end();) {
            const bool is_repeated = repeated.count(at->first) != 0;
            const bool is_given_up = busy.count(at->first) == 0 && now - at->second.last >= patience;
            if (at->second.is_held && (!is_repeated || is_given_up)) {
                todo.forget.push_back(at->first);
                at->second.is_held = false;
            }
            held += at->second.is_held ? 1 : 0;
            at = is_repeated ? std::next(at) : dialled_.erase(at);
        }
        std::stable_sort(due.begin(), due.end(), [](const Due &a, const Due &b) { return a.before < b.before; });
        std::size_t announced = announced_max, registered = registered_max;
        for (const Due &one : due) {
            std::size_t &left = one.rumour->is_registered ? registered : announced;
            if (left > 0 && held < rumours_max) {
                --left;
                ++held;
                dialled_.insert_or_assign(one.rumour->endpoint, Dialled{now, true});
                todo.dial.push_back(one.rumour->endpoint);
            }
        }
        return todo;
    }

    /** Dials in a step: of neighbours at the engine's own pace, of a registry as many as the module. */
    static constexpr std::size_t announced_max = 2, registered_max = 8;
    /** Addresses that the engine keeps for them at once: half of all it does, so that the program's own find room. */
    static constexpr std::size_t rumours_max = 512;
    static constexpr std::chrono::seconds cooldown{12};
    /** Until a dial that led nowhere is taken back from the engine, which would go on for ever. */
    static constexpr std::chrono::seconds patience{2};

private:
    struct Due {
        std::optional<Time> before;
        const Rumour *rumour;
    };

    struct Dialled {
        Time last;
        /** Among those that the engine keeps. */
        bool is_held{false};
    };

    /** No more than are named. */
    std::unordered_map<std::string, Dialled> dialled_;
    std::unordered_set<std::string> claimed_;
};

} // namespace vix::p2p::detail

#endif
