/**
 * @file Crypto.hpp
 * @brief A provider of cryptography for programs that seal envelopes themselves. Links do not use it: the engine has its own.
 */
#ifndef VIX_P2P_CRYPTO_HPP
#define VIX_P2P_CRYPTO_HPP

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <random>
#include <span>
#include <vector>

namespace vix::p2p {

struct KeyPair {
    std::vector<std::uint8_t> public_key;
    std::vector<std::uint8_t> private_key;
};

class Crypto {
public:
    using Bytes = std::vector<std::uint8_t>;
    using View = std::span<const std::uint8_t>;

    virtual ~Crypto() = default;
    virtual KeyPair generate_keypair() = 0;
    virtual Bytes sign(View data, View private_key) = 0;
    virtual bool verify(View data, View signature, View public_key) = 0;
    virtual Bytes encrypt(View plaintext) = 0;
    virtual Bytes decrypt(View ciphertext) = 0;
    virtual Bytes kdf_32(View transcript) = 0;
    virtual Bytes aead_encrypt(View key32, View nonce12, View aad, View plaintext, std::array<std::uint8_t, 16> &out_tag) = 0;
    /** Empty if anything was altered. An empty plaintext cannot be told from that. */
    virtual Bytes aead_decrypt(View key32, View nonce12, View aad, View ciphertext, View tag16) = 0;
};

/**
 * Protects nothing: no secret is needed to forge, read or sign. For tests and for reading what the C++ module wrote. It computes what
 * the module's NullCrypto computes, byte for byte, but keys, which come from the system's generator.
 */
class NullCrypto final : public Crypto {
public:
    KeyPair generate_keypair() override { return KeyPair{random_32(), random_32()}; }

    Bytes sign(View data, View private_key) override { return kdf_32(joined({data, private_key})); }

    /** Whether there is a signature at all. */
    bool verify(View, View signature, View) override { return !signature.empty(); }

    Bytes encrypt(View plaintext) override { return {plaintext.begin(), plaintext.end()}; }
    Bytes decrypt(View ciphertext) override { return {ciphertext.begin(), ciphertext.end()}; }

    Bytes kdf_32(View transcript) override
    {
        std::uint64_t state = hash(transcript);
        Bytes out(32);
        for (std::size_t i = 0; i < out.size(); ++i) {
            state = mixed(state);
            out[i] = static_cast<std::uint8_t>(state >> (8 * (i % 8)));
        }
        return out;
    }

    Bytes aead_encrypt(View key32, View nonce12, View aad, View plaintext, std::array<std::uint8_t, 16> &out_tag) override
    {
        Bytes out = masked(key32, nonce12, aad, plaintext);
        out_tag = tag(key32, nonce12, aad, out);
        return out;
    }

    Bytes aead_decrypt(View key32, View nonce12, View aad, View ciphertext, View tag16) override
    {
        return std::ranges::equal(tag(key32, nonce12, aad, ciphertext), tag16) ? masked(key32, nonce12, aad, ciphertext) : Bytes{};
    }

private:
    static Bytes random_32()
    {
        std::random_device device;
        Bytes out(32);
        std::ranges::generate(out, [&] { return static_cast<std::uint8_t>(device()); });
        return out;
    }

    static Bytes joined(std::initializer_list<View> parts)
    {
        Bytes out;
        for (const View part : parts) {
            out.insert(out.end(), part.begin(), part.end());
        }
        return out;
    }

    /** FNV-1a, but with the module's own start. */
    static std::uint64_t hash(View bytes)
    {
        std::uint64_t state = 1469598103934665603U;
        for (const std::uint8_t byte : bytes) {
            state = (state ^ byte) * 1099511628211U;
        }
        return state;
    }

    static std::uint64_t mixed(std::uint64_t state) { return (state ^ (state >> 33U)) * 0xff51afd7ed558ccdU; }

    static Bytes masked(View key, View nonce, View aad, View text)
    {
        std::uint64_t state = hash(joined({key, nonce, aad}));
        Bytes out(text.begin(), text.end());
        for (std::uint8_t &byte : out) {
            state = mixed(state);
            byte = static_cast<std::uint8_t>(byte ^ state);
        }
        return out;
    }

    std::array<std::uint8_t, 16> tag(View key, View nonce, View aad, View ciphertext)
    {
        const Bytes derived = kdf_32(joined({key, nonce, aad, ciphertext}));
        std::array<std::uint8_t, 16> out{};
        std::copy_n(derived.begin(), out.size(), out.begin());
        return out;
    }
};

} // namespace vix::p2p

#endif
