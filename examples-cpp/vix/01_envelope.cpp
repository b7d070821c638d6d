// A message in its envelope, to bytes and back.
#include <iostream>

#include <vix/p2p.hpp>

using namespace vix::p2p;

int main()
{
    const Envelope sent = pack::make_envelope(MessageType::Ping, msg::Ping{42});
    const std::vector<std::uint8_t> bytes = sent.encode();

    const Envelope got = Envelope::decode_or_throw(bytes);
    const msg::Ping ping = msg::Ping::decode_or_throw(got.payload);
    std::cout << to_string(got.type) << ' ' << ping.nonce << ", version " << got.version.major << '.' << got.version.minor << ", "
              << bytes.size() << " bytes\n";

    framing::LengthPrefixVarint framing;
    const FrameDecodeResult frames = framing.decode(framing.encode(bytes).bytes);
    std::cout << frames.frames.size() << " frame, " << frames.remaining.size() << " bytes left\n";
    return ping.nonce == 42 && frames.frames.size() == 1 && frames.frames[0].bytes == bytes ? 0 : 1;
}
