//! Every golden vector of the existing C++ module, positive and negative, against `wire::v1`. Counts are asserted section by
//! section, so that nothing is skipped in silence.

use serde_json::Value;
use vixp2p::wire::Writer;
use vixp2p::wire::envelope::Envelope;
use vixp2p::wire::v1::{self, DiscoveryAnnounce, Message, Reader, envelope, framing};

const VECTORS: &str = include_str!("vectors/vectors_v1.json");

/// Sections and their sizes; `messages` is counted by message below.
const SECTIONS: [(&str, usize); 12] = [
    ("varint", 15),
    ("varint_edge", 9),
    ("framing", 15),
    ("framing_edge", 13),
    ("envelope_plain", 16),
    ("envelope_secure_nullcrypto", 14),
    ("envelope_secure_edge", 9),
    ("nullcrypto", 7),
    ("handshake", 5),
    ("negative", 41),
    ("discovery_to_json", 13),
    ("discovery_from_json", 24),
];

/// Kinds of message and the number of their vectors.
const MESSAGES: [(&str, u16, usize); 8] = [
    ("Hello", v1::kind::HELLO, 12),
    ("HelloAck", v1::kind::HELLO_ACK, 16),
    ("HelloFinish", v1::kind::HELLO_FINISH, 16),
    ("Ping", v1::kind::PING, 13),
    ("Pong", v1::kind::PONG, 13),
    ("WalAck", v1::kind::WAL_ACK, 13),
    ("WalPush", v1::kind::WAL_PUSH, 12),
    ("OutboxPull", v1::kind::OUTBOX_PULL, 12),
];

fn vectors() -> Value {
    serde_json::from_str(VECTORS).expect("the vectors are JSON")
}

/// Runs every case of a section and checks that there are as many as the table says.
fn each(section: &str, mut check: impl FnMut(&Value, &str)) {
    let all = vectors();
    let cases = all[section].as_array().expect("a section is a list");
    let (_, count) = SECTIONS.iter().find(|(name, _)| *name == section).expect("the section is in the table");
    assert_eq!(cases.len(), *count, "{section}");
    for (i, case) in cases.iter().enumerate() {
        check(case, &format!("{section}[{i}] {}", case["name"].as_str().unwrap_or_default()));
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("no text {key} in {value}"))
}

fn hex(value: &Value, key: &str) -> Vec<u8> {
    unhex(text(value, key))
}

fn unhex(digits: &str) -> Vec<u8> {
    vixp2p::base::id::from_hex(digits).unwrap_or_else(|| panic!("not hex: {digits}"))
}

/// 64-bit numbers stand as text, smaller ones as numbers.
fn number(value: &Value, key: &str) -> u64 {
    let field = &value[key];
    field.as_u64().or_else(|| field.as_str()?.parse().ok()).unwrap_or_else(|| panic!("no number {key} in {value}"))
}

fn pattern(seed: u32, len: usize) -> Vec<u8> {
    let mut x = seed;
    let mut next = || {
        x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (x >> 24) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// Hex, or the words `pattern seed 7` with the length in them or beside them.
fn hex_or_pattern(digits: &str, len: Option<u64>) -> Vec<u8> {
    let Some(words) = digits.strip_prefix("pattern seed ") else { return unhex(digits) };
    let words: Vec<&str> = words.split([' ', ',']).filter(|word| !word.is_empty()).collect();
    let written = words.iter().skip_while(|word| **word != "len").nth(1).and_then(|word| word.parse().ok());
    pattern(words[0].parse().expect("a seed"), written.or(len).expect("a length") as usize)
}

/// The pairs of a capability object in a given order of keys.
fn pairs(object: &Value, mut place: impl FnMut(&str) -> usize) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut pairs: Vec<(&str, &str)> =
        object.as_object().expect("an object").iter().map(|(k, v)| (k.as_str(), v.as_str().expect("text"))).collect();
    pairs.sort_by_key(|(key, _)| place(key));
    pairs.into_iter().map(|(k, v)| (k.as_bytes().to_vec(), v.as_bytes().to_vec())).collect()
}

#[test]
fn the_file_holds_the_sections_of_the_table_and_no_others() {
    let all = vectors();
    let mut found: Vec<&str> = all.as_object().expect("an object").keys().map(String::as_str).collect();
    let mut known: Vec<&str> = SECTIONS.iter().map(|(name, _)| *name).chain(["messages", "source", "conventions"]).collect();
    found.sort_unstable();
    known.sort_unstable();
    assert_eq!(found, known);
    let mut names: Vec<&str> = all["messages"].as_object().expect("an object").keys().map(String::as_str).collect();
    let mut expected: Vec<&str> = MESSAGES.iter().map(|(name, ..)| *name).collect();
    names.sort_unstable();
    expected.sort_unstable();
    assert_eq!(names, expected);
    let total = SECTIONS.iter().map(|(_, n)| n).sum::<usize>() + MESSAGES.iter().map(|(.., n)| n).sum::<usize>();
    assert_eq!(total, 288);
}

#[test]
fn varints_are_written_and_read_as_v1_does() {
    each("varint", |case, name| {
        let value = number(&case["inputs"], "value");
        let mut out = Vec::new();
        Writer::new(&mut out).var_u64(value);
        assert_eq!(out, hex(case, "hex"), "{name}");
        assert_eq!(Reader::new(&out).var_u64(), Ok(value), "{name}");
    });
    each("varint_edge", |case, name| {
        let bytes = hex(case, "hex");
        let mut r = Reader::new(&bytes);
        let verdict = match r.var_u64() {
            Ok(value) => format!("ok value={value} remaining={}", r.remaining()),
            Err(e) => format!("bin::Error: {e}"),
        };
        assert_eq!(verdict, text(case, "verdict"), "{name}");
    });
}

#[test]
fn frames_are_written_and_split_as_v1_does() {
    each("framing", |case, name| {
        let inputs = &case["inputs"];
        let payload = pattern(number(inputs, "pattern_seed") as u32, number(inputs, "payload_len") as usize);
        if inputs.get("payload_hex").is_some() {
            assert_eq!(payload, hex(inputs, "payload_hex"), "{name}");
        }
        let mut out = Vec::new();
        framing::encode(&payload, &mut out);
        assert_eq!(out, hex(case, "hex"), "{name}");
        let decoded = framing::decode(&out).expect("own frame");
        assert_eq!((decoded.frames, decoded.remaining), (vec![&payload[..]], &[][..]), "{name}");
    });
    each("framing_edge", |case, name| {
        let bytes = hex(case, "hex");
        let verdict = match framing::decode(&bytes) {
            Ok(decoded) => {
                let lens: Vec<String> = decoded.frames.iter().map(|frame| frame.len().to_string()).collect();
                format!("frames={} lens=[{}] remaining={}", lens.len(), lens.join(","), decoded.remaining.len())
            }
            // Where the C++ code dies of an uncaught exception, this one says so.
            Err(v1::Error::LengthOverflow) => "NON-bin exception: cannot create std::vector larger than max_size()".into(),
            Err(e) => format!("bin::Error: {e}"),
        };
        assert_eq!(verdict, text(case, "verdict"), "{name}");
    });
}

#[test]
fn plain_envelopes_are_written_and_read_as_v1_does() {
    each("envelope_plain", |case, name| {
        let inputs = &case["inputs"];
        let len = number(inputs, "payload_len");
        let payload = hex_or_pattern(text(inputs, "payload_hex"), Some(len));
        assert_eq!(payload.len() as u64, len, "{name}");
        let packed = Envelope {
            major: number(inputs, "major") as u16,
            minor: number(inputs, "minor") as u16,
            kind: number(inputs, "type") as u16,
            msg_id: number(inputs, "msg_id"),
            flags: number(inputs, "flags") as u32,
            payload,
            ..Envelope::default()
        };
        assert_eq!(packed.encode(), hex(case, "hex"), "{name}");
        assert_eq!(envelope::decode(&hex(case, "hex")).as_ref(), Ok(&packed), "{name}");
        assert_eq!(Envelope::decode(&hex(case, "hex"), 1 << 20), Ok(packed), "{name}: the strict reader too");
    });
}

fn message(name: &str, inputs: &Value) -> Message {
    let n = |key| number(inputs, key);
    let b = |key: &str| hex_or_pattern(text(inputs, key), None);
    let s = |key: &str| text(inputs, key).as_bytes().to_vec();
    match name {
        "Hello" => {
            let order: Vec<&str> = text(inputs, "wire_order_of_keys").split(',').collect();
            let place = |key: &str| order.iter().position(|name| *name == key).expect("a key of the wire order");
            let capabilities = pairs(&inputs["capabilities"], place);
            let (nonce_a, ts_ms, node_id, public_key) = (n("nonce_a"), n("ts_ms"), s("node_id"), b("public_key_hex"));
            Message::Hello(v1::Hello { nonce_a, ts_ms, node_id, capabilities, public_key })
        }
        "HelloAck" => Message::HelloAck(v1::HelloAck { nonce_a: n("nonce_a"), nonce_b: n("nonce_b"), public_key: b("public_key_hex") }),
        "HelloFinish" => {
            Message::HelloFinish(v1::HelloFinish { nonce_a: n("nonce_a"), nonce_b: n("nonce_b"), signature: b("signature_hex") })
        }
        "Ping" => Message::Ping(v1::Ping { nonce: n("nonce") }),
        "Pong" => Message::Pong(v1::Pong { nonce: n("nonce") }),
        "WalAck" => Message::WalAck(v1::WalAck { last_applied_seq: n("last_applied_seq") }),
        "WalPush" => {
            let wal_bytes = pattern(n("pattern_seed") as u32, n("wal_len") as usize);
            Message::WalPush(v1::WalPush { seq_begin: n("seq_begin"), seq_end: n("seq_end"), wal_bytes })
        }
        "OutboxPull" => Message::OutboxPull(v1::OutboxPull { target_node_id: s("target_node_id"), max_items: n("max_items") as u32 }),
        other => panic!("unknown message {other}"),
    }
}

#[test]
fn messages_are_written_and_read_as_v1_does() {
    let all = vectors();
    for (name, kind, count) in MESSAGES {
        let cases = all["messages"][name].as_array().expect("a list");
        assert_eq!(cases.len(), count, "{name}");
        for (i, case) in cases.iter().enumerate() {
            let message = message(name, &case["inputs"]);
            assert_eq!(message.kind(), kind, "{name}[{i}]");
            assert_eq!(message.encode(), hex(case, "hex"), "{name}[{i}]");
            assert_eq!(Message::decode(kind, &hex(case, "hex")), Ok(message), "{name}[{i}]");
        }
    }
}

#[test]
fn broken_input_gets_the_verdict_and_the_text_of_v1() {
    each("negative", |case, name| {
        let bytes = hex(case, "hex");
        let verdict = match text(case, "kind") {
            "Envelope::decode_or_throw" => {
                envelope::decode(&bytes).map(|e| format!("ok type={} flags={} payload_len={}", e.kind, e.flags, e.payload.len()))
            }
            "msg::decode_payload_or_throw" => {
                Message::decode(number(case, "type") as u16, &bytes).map(|message| format!("ok index={}", message.index()))
            }
            other => panic!("unknown decoder {other}"),
        };
        assert_eq!(verdict.unwrap_or_else(|e| format!("bin::Error: {e}")), text(case, "verdict"), "{name}");
    });
}

#[test]
fn announcements_are_written_as_v1_does_and_found_again_as_v1_does() {
    each("discovery_to_json", |case, name| {
        let inputs = &case["inputs"];
        let expected = hex(case, "json_hex");
        let written = String::from_utf8_lossy(&expected);
        let announce = DiscoveryAnnounce {
            node_id: text(inputs, "node_id").as_bytes().to_vec(),
            tcp_port: number(inputs, "tcp_port") as u16,
            ts_ms: number(inputs, "ts_ms"),
            nonce: number(inputs, "nonce"),
            // v1 writes hash order; the vector shows which one it was.
            capabilities: pairs(&inputs["cap"], |key| written.find(&format!("\"{key}\":")).expect("the key was written")),
        };
        assert_eq!(announce.to_json(), expected, "{name}");
        assert_eq!(expected.len() as u64, number(case, "len"), "{name}");
        let found = DiscoveryAnnounce::from_json(&expected);
        assert_eq!(Value::Bool(found.is_some()), case["parses_back"], "{name}");
        let same = found.is_some_and(|found| found.node_id == announce.node_id);
        assert_eq!(Value::Bool(same), case["parsed_node_id_equal"], "{name}");
    });
}

#[test]
fn announcement_texts_get_the_verdict_of_v1() {
    each("discovery_from_json", |case, name| {
        let verdict = match DiscoveryAnnounce::from_json(text(case, "text").as_bytes()) {
            Some(a) => {
                let node_id = String::from_utf8_lossy(&a.node_id);
                format!("ok node_id={node_id} port={} ts={} nonce={} caps={}", a.tcp_port, a.ts_ms, a.nonce, a.capabilities.len())
            }
            None => "rejected".into(),
        };
        assert_eq!(verdict, text(case, "verdict"), "{name}");
    });
}

/// The parts that need the null provider; built with the feature `null-crypto`.
#[cfg(feature = "null-crypto")]
mod null_crypto {
    use vixp2p::crypto::null;
    use vixp2p::wire::envelope::flag;
    use vixp2p::wire::v1::hello::signature_input;

    use super::*;

    fn array<const N: usize>(bytes: Vec<u8>) -> [u8; N] {
        bytes.try_into().expect("a field of fixed length")
    }

    #[test]
    fn sealed_envelopes_are_written_and_opened_as_v1_does() {
        each("envelope_secure_nullcrypto", |case, name| {
            let inputs = &case["inputs"];
            let kind = number(inputs, "type") as u16;
            let key = array(hex(inputs, "key_hex"));
            let plaintext = match text(inputs, "plaintext_hex") {
                // The label of this one speaks of the message; its plaintext is the whole encoding of it.
                "pattern seed 7, len 4114" => {
                    Message::WalPush(v1::WalPush { seq_begin: 1, seq_end: 1, wal_bytes: pattern(7, 4096) }).encode()
                }
                digits => unhex(digits),
            };
            assert_eq!(plaintext.len() as u64, number(inputs, "plaintext_len"), "{name}");
            let flags = number(inputs, "flags") as u32 & !flag::ENCRYPTED;
            let seal = |nonce: &[u8; 12], aad: &[u8], plaintext: &[u8]| null::seal(&key, nonce, aad, plaintext);
            let packed = envelope::pack_secure(kind, &plaintext, number(inputs, "msg_id"), number(inputs, "nonce_counter"), flags, seal);
            assert_eq!(packed.nonce[..], hex(case, "nonce_hex"), "{name}");
            assert_eq!(envelope::associated_data(&packed), hex(case, "aad_hex"), "{name}");
            // The 4 KiB case leaves the field empty; its ciphertext stands in the whole envelope below.
            if !text(case, "ciphertext_hex").is_empty() {
                assert_eq!(packed.payload, hex(case, "ciphertext_hex"), "{name}");
            }
            assert_eq!(packed.tag[..], hex(case, "tag_hex"), "{name}");
            assert_eq!(packed.encode(), hex(case, "hex"), "{name}");
            assert_eq!(envelope::decode(&hex(case, "hex")).as_ref(), Ok(&packed), "{name}");
            let opened = null::open(&key, &packed.nonce, &envelope::associated_data(&packed), &packed.payload, &packed.tag);
            assert_eq!(opened, plaintext, "{name}");
            assert_eq!(Value::Bool(opened.is_empty()), case["decrypt_returns_empty"], "{name}");
        });
    }

    #[test]
    fn altered_sealed_envelopes_get_the_verdict_of_v1() {
        each("envelope_secure_edge", |case, name| {
            let e = envelope::decode(&hex(case, "hex")).expect("every one of them is an envelope");
            let opened = null::open(&array(hex(case, "key_hex")), &e.nonce, &envelope::associated_data(&e), &e.payload, &e.tag);
            let verdict = match opened.is_empty() {
                true => "auth failure (empty)".into(),
                false => format!("accepted {}", vixp2p::base::id::hex(&opened)),
            };
            assert_eq!(verdict, text(case, "verdict"), "{name}");
        });
    }

    #[test]
    fn the_null_provider_computes_what_the_default_provider_of_v1_does() {
        each("nullcrypto", |case, name| match text(case, "fn") {
            "NullCrypto::kdf_32" => assert_eq!(null::kdf_32(&hex(case, "input_hex"))[..], hex(case, "out_hex"), "{name}"),
            "NullCrypto::sign(data,priv) = kdf_32(data||priv)" => {
                assert_eq!(null::sign(&hex(case, "data_hex"), &hex(case, "priv_hex"))[..], hex(case, "out_hex"), "{name}");
            }
            "NullCrypto::verify" => {
                assert_eq!(Value::Bool(null::verify(&[0])), case["any_1_byte"], "{name}");
                assert_eq!(Value::Bool(null::verify(&[])), case["empty"], "{name}");
            }
            other => panic!("unknown function {other}"),
        });
    }

    #[test]
    fn the_handshake_of_v1_signs_and_derives_as_the_vectors_say() {
        each("handshake", |case, name| {
            let inputs = &case["inputs"];
            let transcript = signature_input(number(inputs, "nonce_a"), number(inputs, "nonce_b"), number(inputs, "ts_ms"));
            assert_eq!(transcript, hex(case, "signature_input_hex"), "{name}");
            let signature = null::sign(&transcript, &hex(inputs, "initiator_priv"));
            assert_eq!(signature[..], hex(case, "nullcrypto_signature_hex"), "{name}");
            let (initiator, responder) = (hex(inputs, "initiator_pub"), hex(inputs, "responder_pub"));
            let keys = [
                ("session_key_initiator_hex (transcript||responder_pub||initiator_pub)", &responder, &initiator),
                ("session_key_responder_hex (transcript||initiator_pub||responder_pub)", &initiator, &responder),
            ];
            for (field, peer, own) in keys {
                assert_eq!(null::kdf_32(&[&transcript[..], peer, own].concat())[..], hex(case, field), "{name} {field}");
            }
        });
    }
}
