// The three messages of the 1.0 handshake as values. Links of a node make their handshake by themselves: see 08_manual_connect.cpp.
#include <iostream>

#include <vix/p2p.hpp>

using namespace vix::p2p;

int main()
{
    NullCrypto crypto; // no protection: for looking at formats only
    const KeyPair initiator = crypto.generate_keypair(), responder = crypto.generate_keypair();

    const msg::Hello hello{1001, 1710000000000, "node-a", {{"proto", "1.0"}}, initiator.public_key};
    const msg::Hello heard = msg::Hello::decode_or_throw(hello.encode());
    std::cout << "Hello from " << heard.node_id << ", proto " << heard.capabilities.at("proto") << '\n';

    const msg::HelloAck ack = msg::HelloAck::decode_or_throw(msg::HelloAck{heard.nonce_a, 2002, responder.public_key}.encode());
    std::cout << "HelloAck " << ack.nonce_a << ' ' << ack.nonce_b << '\n';

    const std::vector<std::uint8_t> transcript = hello.encode();
    const msg::HelloFinish finish{ack.nonce_a, ack.nonce_b, crypto.sign(transcript, initiator.private_key)};
    const msg::HelloFinish last = msg::HelloFinish::decode_or_throw(finish.encode());
    const bool ok = last.nonce_b == 2002 && crypto.verify(transcript, last.signature, heard.public_key);
    std::cout << "HelloFinish, signature of " << last.signature.size() << " bytes\n";
    return ok ? 0 : 1;
}
