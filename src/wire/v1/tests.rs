//! What the v1 codecs promise beyond the golden vectors: own bytes come back, and no bytes at all do harm.

use proptest::prelude::*;

use super::*;
use crate::wire::cursor::encode_varint;
use crate::wire::envelope::{Envelope, flag};

fn bytes(max: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..max)
}

fn messages() -> impl Strategy<Value = Message> {
    let capabilities = prop::collection::btree_map(bytes(9), bytes(9), 0..5).prop_map(|map| map.into_iter().rev().collect());
    prop_oneof![
        (any::<u64>(), any::<u64>(), bytes(40), capabilities, bytes(80)).prop_map(|(nonce_a, ts_ms, node_id, capabilities, public_key)| {
            Message::Hello(Hello { nonce_a, ts_ms, node_id, capabilities, public_key })
        }),
        (any::<u64>(), any::<u64>(), bytes(80)).prop_map(|(nonce_a, nonce_b, public_key)| Message::HelloAck(HelloAck {
            nonce_a,
            nonce_b,
            public_key
        })),
        (any::<u64>(), any::<u64>(), bytes(80)).prop_map(|(nonce_a, nonce_b, signature)| Message::HelloFinish(HelloFinish {
            nonce_a,
            nonce_b,
            signature
        })),
        any::<u64>().prop_map(|nonce| Message::Ping(Ping { nonce })),
        any::<u64>().prop_map(|nonce| Message::Pong(Pong { nonce })),
        (any::<u64>(), any::<u64>(), bytes(300)).prop_map(|(seq_begin, seq_end, wal_bytes)| Message::WalPush(WalPush {
            seq_begin,
            seq_end,
            wal_bytes
        })),
        any::<u64>().prop_map(|last_applied_seq| Message::WalAck(WalAck { last_applied_seq })),
        (bytes(40), any::<u32>()).prop_map(|(target_node_id, max_items)| Message::OutboxPull(OutboxPull { target_node_id, max_items })),
    ]
}

#[test]
fn message_ids_begin_at_one_for_every_sender() {
    let (mut a, mut b) = (envelope::MessageIds::default(), envelope::MessageIds::default());
    assert_eq!((a.next_id(), a.next_id(), b.next_id()), (1, 2, 1));
}

#[test]
fn a_frame_length_that_wraps_is_an_error_and_one_that_does_not_is_waited_for() {
    for (len, verdict) in [(u64::MAX - 10, true), (u64::MAX - 9, false), (u64::MAX, false)] {
        let mut buffer = Vec::new();
        encode_varint(len, &mut buffer);
        let decoded = framing::decode(&buffer);
        assert_eq!(decoded.is_ok(), verdict, "{len}");
        assert!(verdict || decoded == Err(Error::LengthOverflow));
    }
}

#[test]
fn an_envelope_of_another_version_is_told_from_a_cut_one() {
    let mut bytes = Envelope { major: 2, payload: vec![1, 2], ..Envelope::default() }.encode();
    assert_eq!(envelope::decode(&bytes), Err(Error::IncompatibleVersion));
    bytes.pop();
    assert_eq!(envelope::decode(&bytes), Err(Error::BytesTooLarge));
}

#[test]
fn announced_capabilities_cost_nothing_that_is_not_there() {
    let mut payload = vec![0, 0, 0];
    encode_varint(u64::MAX, &mut payload);
    assert_eq!(Message::decode(kind::HELLO, &payload), Err(Error::Underflow));
}

proptest! {
    #[test]
    fn a_message_survives_its_payload_and_its_envelope(message in messages(), msg_id: u64, flags: u32) {
        let packed = envelope::pack(&message, msg_id, flags & !flag::ENCRYPTED);
        let unpacked = envelope::decode(&packed.encode()).expect("own envelope");
        prop_assert_eq!(Message::decode(unpacked.kind, &unpacked.payload), Ok(message));
        prop_assert_eq!(unpacked, packed);
    }

    #[test]
    fn a_sealed_envelope_keeps_what_its_seal_covers(plaintext in bytes(60), msg_id: u64, counter: u64, flags: u32) {
        let mut covered = Vec::new();
        let packed = envelope::pack_secure(kind::WAL_PUSH, &plaintext, msg_id, counter, flags, |_, aad, plaintext| {
            covered = aad.to_vec();
            (plaintext.to_vec(), [7; 16])
        });
        let bytes = packed.encode();
        prop_assert_eq!(&bytes[4..22], &covered);
        prop_assert_eq!(envelope::decode(&bytes), Ok(packed));
    }

    #[test]
    fn frames_come_back_whole_and_in_order(payloads in prop::collection::vec(bytes(200), 0..8), tail in 0usize..100) {
        let mut stream = Vec::new();
        payloads.iter().for_each(|p| framing::encode(p, &mut stream));
        let whole = stream.len();
        framing::encode(&[0; 100], &mut stream);
        let decoded = framing::decode(&stream[..whole + tail]).expect("own frames");
        prop_assert_eq!(decoded.frames, payloads);
        prop_assert_eq!(decoded.remaining, &stream[whole..whole + tail]);
    }

    #[test]
    fn any_bytes_are_decoded_or_refused_without_panic(input in bytes(200), kind in 0u16..14) {
        let _ = (envelope::decode(&input), Message::decode(kind, &input), DiscoveryAnnounce::from_json(&input));
        if let Ok(decoded) = framing::decode(&input) {
            prop_assert!(decoded.frames.iter().map(|f| f.len() + 1).sum::<usize>() + decoded.remaining.len() <= input.len());
        }
    }

    #[test]
    fn what_was_decoded_laxly_encodes_to_something_that_decodes_to_the_same(input in bytes(120), kind in 0u16..14) {
        if let Ok(message) = Message::decode(kind, &input) {
            prop_assert_eq!(Message::decode(kind, &message.encode()), Ok(message));
        }
    }

    #[test]
    fn an_announcement_scan_survives_any_text_between_braces(inner in ".{0,80}", port in 1u16..) {
        let text = format!("{{{inner}\"node_id\":\"n\",\"tcp_port\":{port},\"ts_ms\":1,\"nonce\":2}}");
        let _ = DiscoveryAnnounce::from_json(text.as_bytes());
    }
}
