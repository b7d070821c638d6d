// An envelope that a Crypto seals, opened again, and refused once altered.
#include <iostream>

#include <vix/p2p.hpp>

using namespace vix::p2p;

int main()
{
    NullCrypto crypto; // shows the calls; a program brings a Crypto that protects
    const std::vector<std::uint8_t> key = crypto.kdf_32({}), plain = msg::WalAck{12}.encode();

    Envelope sealed = pack::make_envelope_secure(MessageType::WalAck, plain, key, crypto, 1);
    const Envelope got = Envelope::decode_or_throw(sealed.encode());
    const auto opened = crypto.aead_decrypt(key, got.nonce, pack::make_aad(got), got.payload, got.tag);
    std::cout << "encrypted: " << (has_flag(got.flags, EnvelopeFlag::Encrypted) ? "yes" : "no") << ", opened: "
              << (opened == plain ? "yes" : "no") << '\n';

    sealed.msg_id += 1;
    const auto altered = crypto.aead_decrypt(key, sealed.nonce, pack::make_aad(sealed), sealed.payload, sealed.tag);
    std::cout << "with another id: " << (altered.empty() ? "refused" : "taken") << '\n';
    return opened == plain && altered.empty() ? 0 : 1;
}
