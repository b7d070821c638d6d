// A table of ways to nodes.
#include <iostream>

#include <vix/p2p.hpp>

using namespace vix::p2p;

int main()
{
    MemoryRouter router;
    router.upsert_route("node-c", Route{"node-b", true, 4});
    router.upsert_route("node-b", Route{"node-b"});

    const auto way = router.resolve("node-c");
    if (!way) {
        return 1;
    }
    std::cout << "node-c by " << way->next_hop << (way->via_relay ? ", relayed" : "") << ", ttl " << int{way->ttl} << '\n';

    router.remove_route("node-c");
    std::cout << "node-c " << (router.resolve("node-c") ? "known" : "unknown") << '\n';
    return router.resolve("node-c") || router.resolve("node-b")->ttl != 8 ? 1 : 0;
}
