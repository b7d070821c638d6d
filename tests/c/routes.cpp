// vixp2p.hpp over a relay: a message to who is not connected, what becomes of it, and ways that are named.
#include "check.h"

#include <vixp2p.hpp>

#include <string>

namespace {

struct Party {
    explicit Party(const char *name)
    {
        vixp2p_node_options options = loopback(name, VIXP2P_DELIVERY_POLL);
        options.log_level = VIXP2P_LOG_OFF;
        options.trust = VIXP2P_TRUST_TOFU;
        options.flags |= VIXP2P_FLAG_NO_PEER_EXCHANGE;
        vixp2p::check(vixp2p_node_create(&options, &node));
        vixp2p::check(vixp2p_node_start(node));
        vixp2p::check(vixp2p_node_id(node, &id));
    }
    Party(const Party &) = delete;
    Party &operator=(const Party &) = delete;
    ~Party() { vixp2p_node_destroy(node); }

    vixp2p::Ending ending()
    {
        for (;;) {
            vixp2p_event *event = nullptr;
            CHECK(vixp2p_node_wait_event(node, PATIENCE_MS, &event) == VIXP2P_OK && event != nullptr);
            const auto end = vixp2p::ending(event);
            vixp2p_event_free(event);
            if (end) {
                return *end;
            }
        }
    }

    vixp2p_node *node = nullptr;
    vixp2p_peer_id id{};
};

bool same(const vixp2p_peer_id &one, const vixp2p_peer_id &other) { return vixp2p::to_hex(one) == vixp2p::to_hex(other); }

} // namespace

int main()
{
    Party a("a"), b("b"), c("c");
    join_polled(a.node, b.node);
    join_polled(b.node, c.node);
    CHECK(!vixp2p::route(a.node, c.id));
    const std::string zeros("by way\0of b", 11);
    const std::uint64_t number = vixp2p::send_to(a.node, c.id, zeros);
    vixp2p_event *got = wait_for(c.node, VIXP2P_EVENT_MESSAGE);
    std::size_t len = 0;
    const auto *data = static_cast<const char *>(vixp2p_event_data(got, &len));
    CHECK(std::string(data, len) == zeros && !vixp2p::ending(got));
    vixp2p_event_free(got);
    const vixp2p::Ending end = a.ending();
    CHECK(end.delivered() && end.number == number && same(end.peer, c.id) && end.text.empty());
    const auto found = vixp2p::route(a.node, c.id);
    CHECK(found && found->via_relay && same(found->next_hop, b.id) && found->ttl == 8);

    vixp2p::set_route(a.node, c.id, b.id, 1);
    CHECK(vixp2p::route(a.node, c.id)->ttl == 1);
    const std::uint64_t lost = vixp2p::send_to(a.node, c.id, "too far", 300);
    const vixp2p::Ending why = a.ending();
    CHECK(!why.delivered() && why.number == lost && why.reason == "ttl_exceeded" && !why.text.empty());
    CHECK(vixp2p::remove_route(a.node, c.id) && !vixp2p::remove_route(a.node, c.id));
    CHECK(!vixp2p::route(a.node, c.id));
    bool thrown = false;
    try {
        vixp2p::send_to(a.node, a.id, "to myself");
    } catch (const vixp2p::Error &error) {
        thrown = error.status() == VIXP2P_ERR_INVALID && std::strstr(error.what(), "this node itself") != nullptr;
    }
    CHECK(thrown);
    return 0;
}
