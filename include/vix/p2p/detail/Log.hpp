/**
 * @file Log.hpp
 * @brief Where log lines go: a node's own function, then the process's. Both are called with no lock held, and nothing is printed.
 */
#ifndef VIX_P2P_DETAIL_LOG_HPP
#define VIX_P2P_DETAIL_LOG_HPP

#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

namespace vix::p2p::detail {

/** How many callbacks of this module the thread is inside of. */
inline thread_local unsigned callbacks_under_way = 0;

struct InCallback {
    InCallback() { ++callbacks_under_way; }
    ~InCallback() { --callbacks_under_way; }
    InCallback(const InCallback &) = delete;
    InCallback &operator=(const InCallback &) = delete;
};

using LogFunction = std::function<void(std::string_view)>;

/** The process's function; a line that is under way may still reach the one that was replaced. */
class GlobalLog {
public:
    static GlobalLog &the()
    {
        static GlobalLog log;
        return log;
    }
    void set(LogFunction function)
    {
        auto next = function ? std::make_shared<const LogFunction>(std::move(function)) : nullptr;
        std::lock_guard<std::mutex> lock(mutex_);
        function_.swap(next);
    }
    std::shared_ptr<const LogFunction> get() const
    {
        std::lock_guard<std::mutex> lock(mutex_);
        return function_;
    }

private:
    mutable std::mutex mutex_;
    std::shared_ptr<const LogFunction> function_;
};

/** What a log function throws is its own affair: the line may come from a thread of the engine. */
inline void say(const LogFunction &function, std::string_view line) noexcept
{
    const InCallback inside;
    try {
        function(line);
    } catch (...) {
    }
}

inline void log_line(const LogFunction &own, const std::string &line) noexcept
{
    if (own) {
        say(own, line);
    }
    if (const auto global = GlobalLog::the().get()) {
        say(*global, line);
    }
}

/** Calls a function of the program; says what it throws. Whether it threw nothing. */
template <class Call> bool guarded(const LogFunction &own, const char *what, Call call) noexcept
{
    try {
        call();
        return true;
    } catch (const std::exception &error) {
        log_line(own, std::string("[p2p] ") + what + " failed: " + error.what());
    } catch (...) {
        log_line(own, std::string("[p2p] ") + what + " failed");
    }
    return false;
}

} // namespace vix::p2p::detail

#endif
