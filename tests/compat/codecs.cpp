// Every golden vector of the C++ module against the value types of <vix/p2p.hpp>. Where the module waits for ever or dies, or takes for
// an announcement what is none, the difference stands here by name.
#include "vectors.hpp"

#include <map>

#include <vix/p2p.hpp>

using namespace vix::p2p;

namespace {

template <class Call> std::string verdict(Call call)
{
    try {
        return call();
    } catch (const bin::Error &error) {
        return std::string("bin::Error: ") + error.what();
    }
}

void varints(const Value &all)
{
    for (const Value &entry : section(all, "varint", 15)) {
        bin::Writer writer;
        writer.var_u64(entry["inputs"]["value"].number());
        CHECK_CASE(writer.out == unhex(entry["hex"].text), entry["name"].text);
    }
    for (const Value &entry : section(all, "varint_edge", 9)) {
        const Bytes bytes = unhex(entry["hex"].text);
        const std::string got = verdict([&] {
            bin::Reader reader(bytes);
            const std::uint64_t value = reader.var_u64();
            return "ok value=" + std::to_string(value) + " remaining=" + std::to_string(reader.remaining());
        });
        CHECK_CASE(got == entry["verdict"].text, entry["name"].text);
    }
}

void frames(const Value &all)
{
    framing::LengthPrefixVarint framing;
    for (const Value &entry : section(all, "framing", 15)) {
        const Value &in = entry["inputs"];
        const Bytes payload = pattern(static_cast<std::uint32_t>(in["pattern_seed"].number()), in["payload_len"].number());
        const Bytes framed = framing.encode(payload).bytes;
        CHECK_CASE(framed == unhex(entry["hex"].text), entry["name"].text);
        const FrameDecodeResult back = framing.decode(framed);
        CHECK_CASE(back.frames.size() == 1 && back.frames[0].bytes == payload && back.remaining.empty(), entry["name"].text);
    }
    const std::string overflow = "bin::Error: LengthPrefixVarint: length overflow";
    const std::map<std::string, std::string> differs = {
        {"10 continuation bytes", "bin::Error: bin::Reader: varint too long"},
        {"20 continuation bytes", "bin::Error: bin::Reader: varint too long"},
        {"announced 4 GiB, 3 bytes present", overflow},
        {"announced 2^63", overflow},
        {"announced 2^64-1", overflow},
        {"announced 2^64-10 (wraps to exactly 0 needed)", overflow},
        {"announced 2^64-5 + 20 bytes", overflow},
    };
    std::size_t different = 0;
    for (const Value &entry : section(all, "framing_edge", 13)) {
        const std::string got = verdict([&] {
            const FrameDecodeResult result = framing.decode(unhex(entry["hex"].text));
            std::string lens;
            for (const Frame &frame : result.frames) {
                lens += (lens.empty() ? "" : ",") + std::to_string(frame.bytes.size());
            }
            return "frames=" + std::to_string(result.frames.size()) + " lens=[" + lens +
                   "] remaining=" + std::to_string(result.remaining.size());
        });
        const auto exception = differs.find(entry["name"].text);
        different += exception == differs.end() ? 0 : 1;
        CHECK_CASE(got == (exception == differs.end() ? entry["verdict"].text : exception->second), entry["name"].text);
    }
    CHECK(different == differs.size());
}

Bytes text_or_pattern(const Value &in, const char *hex, const char *len)
{
    const std::string &digits = in[hex].text;
    return digits.rfind("pattern", 0) == 0 ? pattern(7, in[len].number()) : unhex(digits);
}

void envelopes(const Value &all)
{
    for (const Value &entry : section(all, "envelope_plain", 16)) {
        const Value &in = entry["inputs"];
        Envelope envelope;
        envelope.version = {static_cast<std::uint16_t>(in["major"].number()), static_cast<std::uint16_t>(in["minor"].number())};
        envelope.type = static_cast<MessageType>(in["type"].number());
        envelope.msg_id = in["msg_id"].number();
        envelope.flags = static_cast<std::uint32_t>(in["flags"].number());
        envelope.payload = text_or_pattern(in, "payload_hex", "payload_len");
        CHECK_CASE(envelope.encode() == unhex(entry["hex"].text), entry["name"].text);
        const Envelope back = Envelope::decode_or_throw(envelope.encode());
        CHECK_CASE(back.encode() == envelope.encode() && back.version == envelope.version, entry["name"].text);
        CHECK_CASE(in["type_name"].text == to_string(envelope.type), entry["name"].text);
    }
    NullCrypto null;
    for (const Value &entry : section(all, "envelope_secure_nullcrypto", 14)) {
        const Value &in = entry["inputs"];
        const Bytes key = unhex(in["key_hex"].text);
        Bytes plain = text_or_pattern(in, "plaintext_hex", "plaintext_len");
        if (in["plaintext_len"].number() == 4114) {
            // Named after a pattern, but the encoding of a message around one.
            plain = msg::WalPush{1, 1, pattern(7, 4096)}.encode();
        }
        Envelope envelope = pack::make_envelope_secure(static_cast<MessageType>(in["type"].number()), plain, key, null,
                                                       in["nonce_counter"].number(), static_cast<std::uint32_t>(in["flags"].number()));
        envelope.msg_id = in["msg_id"].number();
        envelope.payload = null.aead_encrypt(key, envelope.nonce, pack::make_aad(envelope), plain, envelope.tag);
        CHECK_CASE(pack::make_aad(envelope) == unhex(entry["aad_hex"].text), entry["name"].text);
        CHECK_CASE(envelope.encode() == unhex(entry["hex"].text), entry["name"].text);
        const Envelope back = Envelope::decode_or_throw(envelope.encode());
        CHECK_CASE(null.aead_decrypt(key, back.nonce, pack::make_aad(back), back.payload, back.tag) == plain, entry["name"].text);
    }
    for (const Value &entry : section(all, "envelope_secure_edge", 9)) {
        const Envelope envelope = Envelope::decode_or_throw(unhex(entry["hex"].text));
        const Bytes plain = null.aead_decrypt(unhex(entry["key_hex"].text), envelope.nonce, pack::make_aad(envelope), envelope.payload, envelope.tag);
        const std::string &want = entry["verdict"].text;
        CHECK_CASE(want.rfind("accepted ", 0) == 0 ? plain == unhex(want.substr(9)) : plain.empty(), entry["name"].text);
    }
}

void null_crypto(const Value &all)
{
    NullCrypto null;
    for (const Value &entry : section(all, "nullcrypto", 7)) {
        const std::string &fn = entry["fn"].text;
        if (const Value *input = entry.find("input_hex")) {
            const bool named = input->text.rfind("pattern", 0) == 0;
            CHECK_CASE(named || null.kdf_32(unhex(input->text)) == unhex(entry["out_hex"].text), fn);
        } else if (const Value *data = entry.find("data_hex")) {
            CHECK_CASE(null.sign(unhex(data->text), unhex(entry["priv_hex"].text)) == unhex(entry["out_hex"].text), fn);
        } else {
            CHECK_CASE(null.verify({}, Bytes{0}, {}) && !null.verify({}, {}, {}), fn);
        }
    }
    for (const Value &entry : section(all, "handshake", 5)) {
        const Value &in = entry["inputs"];
        bin::Writer signed_part;
        signed_part.u64_le(in["nonce_a"].number());
        signed_part.u64_le(in["nonce_b"].number());
        signed_part.u64_le(in["ts_ms"].number());
        signed_part.u16_le(1);
        signed_part.u16_le(0);
        signed_part.u16_le(3);
        signed_part.bytes(Bytes{'t', 'c', 'p'});
        const std::string name = in["nonce_a"].text;
        CHECK_CASE(signed_part.out == unhex(entry["signature_input_hex"].text), name);
        CHECK_CASE(null.sign(signed_part.out, unhex(in["initiator_priv"].text)) == unhex(entry["nullcrypto_signature_hex"].text), name);
    }
}

template <class Message> void both_ways(const Value &entry, const Message &message)
{
    const Bytes bytes = unhex(entry["hex"].text);
    CHECK_CASE(message.encode() == bytes, entry["hex"].text);
    CHECK_CASE(Message::decode_or_throw(bytes).encode() == bytes, entry["hex"].text);
}

void hello(const Value &entry)
{
    const Value &in = entry["inputs"];
    const Bytes bytes = unhex(entry["hex"].text);
    msg::Hello hello{in["nonce_a"].number(), in["ts_ms"].number(), in["node_id"].text, {}, unhex(in["public_key_hex"].text)};
    for (const auto &[key, value] : in["capabilities"].members) {
        hello.capabilities[key] = value.text;
    }
    const msg::Hello read = msg::Hello::decode_or_throw(bytes);
    CHECK_CASE(read.nonce_a == hello.nonce_a && read.ts_ms == hello.ts_ms && read.node_id == hello.node_id &&
                   read.capabilities == hello.capabilities && read.public_key == hello.public_key,
               entry["hex"].text);
    // The order of more than one capability is the hash map's own.
    CHECK_CASE(hello.encode().size() == bytes.size() && (hello.capabilities.size() > 1 || hello.encode() == bytes), entry["hex"].text);
}

void messages(const Value &all)
{
    const Value &by_name = all["messages"];
    for (const Value &entry : section(by_name, "Hello", 12)) {
        hello(entry);
    }
    for (const Value &entry : section(by_name, "HelloAck", 16)) {
        const Value &in = entry["inputs"];
        both_ways(entry, msg::HelloAck{in["nonce_a"].number(), in["nonce_b"].number(), unhex(in["public_key_hex"].text)});
    }
    for (const Value &entry : section(by_name, "HelloFinish", 16)) {
        const Value &in = entry["inputs"];
        both_ways(entry, msg::HelloFinish{in["nonce_a"].number(), in["nonce_b"].number(), unhex(in["signature_hex"].text)});
    }
    for (const Value &entry : section(by_name, "Ping", 13)) {
        both_ways(entry, msg::Ping{entry["inputs"]["nonce"].number()});
    }
    for (const Value &entry : section(by_name, "Pong", 13)) {
        both_ways(entry, msg::Pong{entry["inputs"]["nonce"].number()});
    }
    for (const Value &entry : section(by_name, "WalAck", 13)) {
        both_ways(entry, msg::WalAck{entry["inputs"]["last_applied_seq"].number()});
    }
    for (const Value &entry : section(by_name, "WalPush", 12)) {
        const Value &in = entry["inputs"];
        both_ways(entry, msg::WalPush{in["seq_begin"].number(), in["seq_end"].number(), pattern(7, in["wal_len"].number())});
    }
    for (const Value &entry : section(by_name, "OutboxPull", 12)) {
        const Value &in = entry["inputs"];
        both_ways(entry, msg::OutboxPull{in["target_node_id"].text, static_cast<std::uint32_t>(in["max_items"].number())});
    }
}

void refusals(const Value &all)
{
    for (const Value &entry : section(all, "negative", 41)) {
        const Bytes bytes = unhex(entry["hex"].text);
        const std::string got = verdict([&] {
            if (const Value *type = entry.find("type")) {
                const auto any = msg::decode_payload_or_throw(static_cast<MessageType>(type->number()), bytes);
                return "ok index=" + std::to_string(any.index());
            }
            const Envelope envelope = Envelope::decode_or_throw(bytes);
            return "ok type=" + std::to_string(static_cast<unsigned>(envelope.type)) + " flags=" + std::to_string(envelope.flags) +
                   " payload_len=" + std::to_string(envelope.payload.size());
        });
        CHECK_CASE(got == entry["verdict"].text, entry["name"].text);
    }
}

void announcements(const Value &all)
{
    for (const Value &entry : section(all, "discovery_to_json", 13)) {
        const Value &in = entry["inputs"];
        msg::DiscoveryAnnounce announce{in["node_id"].text, static_cast<std::uint16_t>(in["tcp_port"].number()), in["ts_ms"].number(), in["nonce"].number(), {}};
        for (const auto &[key, value] : in["cap"].members) {
            announce.capabilities[key] = value.text;
        }
        const Bytes want = unhex(entry["json_hex"].text);
        const std::string json = announce.to_json();
        CHECK_CASE(json.size() == want.size(), json);
        CHECK_CASE(announce.capabilities.size() > 1 || std::equal(json.begin(), json.end(), want.begin(), [](char a, std::uint8_t b) { return static_cast<std::uint8_t>(a) == b; }), json);
    }
    // The module looks for words; this is a reader of JSON.
    const std::map<std::string, std::string> differs = {
        {"port float", "rejected"},
        {"port overflow wraps", "rejected"},
        {"unicode escape not decoded", "ok node_id=A port=9001 ts=1 nonce=2 caps=0"},
        {"escaped n becomes letter n", "ok node_id=a\nb port=9001 ts=1 nonce=2 caps=0"},
        {"key found inside an earlier value", "ok node_id=n port=9001 ts=1 nonce=2 caps=0"},
        {"nested only", "rejected"},
        {"broken json but braces", "rejected"},
        {"unterminated string ends with brace", "rejected"},
    };
    std::size_t different = 0;
    for (const Value &entry : section(all, "discovery_from_json", 24)) {
        const auto read = msg::DiscoveryAnnounce::from_json(entry["text"].text);
        const std::string got = !read ? "rejected"
                                      : "ok node_id=" + read->node_id + " port=" + std::to_string(read->tcp_port) + " ts=" +
                                            std::to_string(read->ts_ms) + " nonce=" + std::to_string(read->nonce) +
                                            " caps=" + std::to_string(read->capabilities.size());
        const auto exception = differs.find(entry["name"].text);
        different += exception == differs.end() ? 0 : 1;
        CHECK_CASE(got == (exception == differs.end() ? entry["verdict"].text : exception->second), entry["name"].text + ": " + got);
    }
    CHECK(different == differs.size());
}

// Bytes of strangers: a value or a bin::Error, never more than there was; any other exception would end the test.
void any_bytes_are_read_or_refused(const Value &all)
{
    std::vector<Bytes> seeds;
    for (const Value &entry : all["negative"].items) {
        seeds.push_back(unhex(entry["hex"].text));
    }
    for (const Value &entry : all["discovery_from_json"].items) {
        seeds.emplace_back(entry["text"].text.begin(), entry["text"].text.end());
    }
    std::uint64_t state = 1;
    const auto random = [&](std::size_t below) {
        state = state * 6364136223846793005U + 1442695040888963407U;
        return static_cast<std::size_t>(state >> 33U) % below;
    };
    framing::LengthPrefixVarint framing;
    for (int i = 0; i < 50000; ++i) {
        Bytes bytes = seeds[random(seeds.size())];
        for (std::size_t changes = random(4); changes > 0 && !bytes.empty(); --changes) {
            bytes[random(bytes.size())] = static_cast<std::uint8_t>(random(256));
        }
        bytes.resize(random(8) == 0 ? random(bytes.size() + 1) : bytes.size());
        verdict([&] {
            const Envelope envelope = Envelope::decode_or_throw(bytes);
            CHECK(envelope.payload.size() <= bytes.size() && Envelope::decode_or_throw(envelope.encode()).encode() == envelope.encode());
            return std::string();
        });
        verdict([&] {
            const auto any = msg::decode_payload_or_throw(static_cast<MessageType>(random(14)), bytes);
            const Bytes again = std::visit([](const auto &message) { return message.encode(); }, any);
            CHECK(again.size() <= bytes.size());
            return std::string();
        });
        verdict([&] {
            const FrameDecodeResult result = framing.decode(bytes);
            std::size_t total = result.remaining.size();
            for (const Frame &frame : result.frames) {
                total += frame.bytes.size() + 1;
            }
            CHECK(total <= bytes.size());
            return std::string();
        });
        if (const auto read = msg::DiscoveryAnnounce::from_json(std::string(bytes.begin(), bytes.end()))) {
            CHECK(read->tcp_port != 0 && !read->node_id.empty() && bytes.size() <= msg::DiscoveryAnnounce::kMaxBytes);
        }
    }
}

} // namespace

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    const Value all = read_vectors(argv[1]);
    varints(all);
    frames(all);
    envelopes(all);
    null_crypto(all);
    messages(all);
    refusals(all);
    announcements(all);
    any_bytes_are_read_or_refused(all);
    return 0;
}
