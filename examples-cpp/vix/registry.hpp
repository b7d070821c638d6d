// The least that answers like a registry: one text for every question, on 127.0.0.1. `vixp2p registry` is a real one.
#ifndef REGISTRY_HPP
#define REGISTRY_HPP

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

class Registry {
public:
    explicit Registry(std::string answer) : answer_(std::move(answer)), listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))
    {
        sockaddr_in address{};
        socklen_t size = sizeof address;
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        auto *place = reinterpret_cast<sockaddr *>(&address);
        if (bind(listener_, place, size) != 0 || listen(listener_, 8) != 0 || getsockname(listener_, place, &size) != 0) {
            throw std::runtime_error("no port for the registry");
        }
        port_ = ntohs(address.sin_port);
        thread_ = std::thread([this] { serve(); });
    }
    Registry(const Registry &) = delete;
    Registry &operator=(const Registry &) = delete;
    ~Registry()
    {
        shutdown(listener_, SHUT_RDWR);
        thread_.join();
        close(listener_);
    }

    std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/p2p/v1"; }

    // Every request so far, heads and bodies, the first bytes of each.
    std::vector<std::string> requests() const
    {
        std::lock_guard<std::mutex> lock(mutex_);
        return requests_;
    }

private:
    void serve()
    {
        for (int client = 0; (client = accept(listener_, nullptr, nullptr)) >= 0; close(client)) {
            const std::string request = read_request(client);
            const std::string body = request.rfind("GET", 0) == 0 ? answer_ : "{\"ok\":true}";
            const std::string whole = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: " +
                                      std::to_string(body.size()) + "\r\n\r\n" + body;
            std::lock_guard<std::mutex> lock(mutex_);
            requests_.push_back(request);
            if (send(client, whole.data(), whole.size(), MSG_NOSIGNAL) < 0) {
                continue;
            }
        }
    }

    static std::string read_request(int client)
    {
        std::string request;
        char bytes[2048];
        const auto is_whole = [&] {
            const std::size_t end = request.find("\r\n\r\n");
            return end != std::string::npos && (request.rfind("GET", 0) == 0 || request.back() == '}');
        };
        while (request.size() < 8192 && !is_whole()) {
            const ssize_t count = recv(client, bytes, sizeof bytes, 0);
            if (count <= 0) {
                break;
            }
            request.append(bytes, static_cast<std::size_t>(count));
        }
        return request;
    }

    const std::string answer_;
    const int listener_;
    std::uint16_t port_ = 0;
    mutable std::mutex mutex_;
    std::vector<std::string> requests_;
    std::thread thread_;
};

#endif
