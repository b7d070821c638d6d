// What the tests with running nodes share. Everything stays on 127.0.0.1; waits are bounded and end with what they wait for.
#ifndef LOOPBACK_HPP
#define LOOPBACK_HPP

#include "check.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

#include <vix/p2p.hpp>

// Log lines, or anything else that is told from other threads.
class Lines {
public:
    void add(std::string_view line)
    {
        std::lock_guard<std::mutex> lock(mutex_);
        lines_.emplace_back(line);
        bell_.notify_all();
    }
    std::vector<std::string> all() const
    {
        std::lock_guard<std::mutex> lock(mutex_);
        return lines_;
    }
    // The first line with these words.
    std::string wait_for(const std::string &words)
    {
        std::unique_lock<std::mutex> lock(mutex_);
        std::string found;
        const bool came = bell_.wait_for(lock, std::chrono::milliseconds(PATIENCE_MS), [&] {
            for (const std::string &line : lines_) {
                if (line.find(words) != std::string::npos) {
                    found = line;
                    return true;
                }
            }
            return false;
        });
        if (!came) {
            std::fprintf(stderr, "no line with \"%s\"\n", words.c_str());
        }
        CHECK(came);
        return found;
    }
    std::size_t count(const std::string &words) const
    {
        std::lock_guard<std::mutex> lock(mutex_);
        std::size_t count = 0;
        for (const std::string &line : lines_) {
            count += line.find(words) != std::string::npos ? 1 : 0;
        }
        return count;
    }

private:
    mutable std::mutex mutex_;
    std::condition_variable bell_;
    std::vector<std::string> lines_;
};

// Until something holds that nothing tells of.
template <class Holds> void eventually(Holds holds)
{
    std::mutex mutex;
    std::condition_variable never;
    std::unique_lock<std::mutex> lock(mutex);
    for (int tries = 0; !holds(); ++tries) {
        CHECK(tries < PATIENCE_MS / 10);
        never.wait_for(lock, std::chrono::milliseconds(10));
    }
}

inline vix::p2p::NodeConfig listening(const char *name, Lines *lines = nullptr)
{
    vix::p2p::NodeConfig config;
    config.node_id = name;
    config.listen_host = "127.0.0.1";
    if (lines != nullptr) {
        config.on_log = [lines](std::string_view line) { lines->add(line); };
    }
    return config;
}

inline vix::p2p::PeerEndpoint endpoint_of(const vix::p2p::Node &node)
{
    std::uint16_t port = 0;
    CHECK(vixp2p_node_port(vix::p2p::engine_of(node), &port) == VIXP2P_OK && port != 0);
    return {"127.0.0.1", port, "tcp"};
}

inline vixp2p_peer_id id_of(const vix::p2p::Node &node)
{
    vixp2p_peer_id id{};
    CHECK(vixp2p_node_id(vix::p2p::engine_of(node), &id) == VIXP2P_OK);
    return id;
}

inline std::string key_of(const vix::p2p::Node &node) { return vixp2p::to_hex(id_of(node)); }

inline bool sees_connected(const vix::p2p::Node &node, const vix::p2p::PeerId &id)
{
    const auto peer = node.get_peer(id);
    return peer && peer->is_connected();
}

// Stops where the address is one that nobody listens at.
inline vix::p2p::PeerEndpoint deserted()
{
    const auto node = vix::p2p::make_tcp_node(listening("gone"));
    node->start();
    const vix::p2p::PeerEndpoint endpoint = endpoint_of(*node);
    node->stop();
    return endpoint;
}

#endif
