// A program's records, from one node to another: EdgeSync on both sides, replicated by the engine.
#include <future>
#include <iostream>

#include "loopback.hpp"

class Ledger final : public EdgeSync {
public:
    explicit Ledger(std::vector<std::string> writes) : writes_(std::move(writes)) {}

    void on_wal_batch(const NodeId &, const WalBatch &batch) override
    {
        std::cout << "applies " << batch.seq_begin << ": " << std::string(batch.bytes.begin(), batch.bytes.end()) << '\n';
    }
    void on_wal_ack(const NodeId &, const WalAck &ack) override
    {
        if (ack.last_applied_seq == 2) {
            acknowledged.set_value();
        }
    }
    void on_outbox_pull(const NodeId &, const OutboxPullRequest &) override {}
    std::optional<WalBatch> next_wal_batch_for(const NodeId &) override
    {
        if (next_ == writes_.size()) {
            return std::nullopt;
        }
        const std::string &text = writes_[next_++];
        return WalBatch{0, 0, {text.begin(), text.end()}};
    }

    std::promise<void> acknowledged;

private:
    std::vector<std::string> writes_;
    std::size_t next_ = 0;
};

int main()
{
    const auto writer = std::make_shared<Ledger>(std::vector<std::string>{"paid 3", "paid 5"});
    const auto a = make_tcp_node(on_loopback("node-a")), b = make_tcp_node(on_loopback("node-b"));
    a->set_edge_sync(writer);
    b->set_edge_sync(std::make_shared<Ledger>(std::vector<std::string>{}));
    a->start();
    b->start();
    b->connect(where(*a));
    const bool arrived = writer->acknowledged.get_future().wait_for(patience) == std::future_status::ready;
    std::cout << (arrived ? "node-b has applied both\n" : "no word of node-b\n");
    a->stop();
    b->stop();
    return arrived ? 0 : 1;
}
