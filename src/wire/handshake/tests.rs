//! What the handshake bodies promise: one encoding per value, every cap held, no panic on any bytes.

use proptest::prelude::*;

use super::*;

fn hellos() -> impl Strategy<Value = Hello> {
    let versions = (any::<u16>(), any::<u16>()).prop_map(|(a, b)| (a.min(b), a.max(b)));
    let suites =
        prop::collection::btree_set(any::<u16>(), 1..=limits::SUITES_MAX).prop_map(|set| set.into_iter().rev().collect::<Vec<_>>());
    let share = prop::collection::vec(any::<u8>(), 0..=limits::KEY_SHARE_MAX_BYTES);
    (any::<u64>(), versions, suites, share, any::<[u8; 32]>(), any::<[u8; 8]>(), any::<[u8; 16]>()).prop_map(
        |(nonce_a, (version_min, version_max), mut suites, share, rand, psk_id, mac1)| {
            let mut groups: Vec<u8> = suites.iter().map(|suite| group_of(*suite)).collect();
            groups.sort_unstable();
            groups.dedup();
            groups.truncate(limits::KEY_SHARES_MAX);
            suites.retain(|suite| groups.contains(&group_of(*suite)));
            let key_shares = groups.into_iter().map(|group| (group, share.clone())).collect();
            Hello { nonce_a, version_min, version_max, suites, key_shares, rand, psk_id, mac1 }
        },
    )
}

fn acks() -> impl Strategy<Value = HelloAck> {
    let share = prop::collection::vec(any::<u8>(), 0..=limits::KEY_SHARE_MAX_BYTES);
    let sealed = prop::collection::vec(any::<u8>(), 0..600);
    (any::<(u64, u64, u16, u16)>(), share, any::<[u8; 32]>(), any::<[u8; 8]>(), sealed).prop_map(
        |((nonce_a, nonce_b, version, suite), key_share, rand, psk_id, sealed)| HelloAck {
            nonce_a,
            nonce_b,
            version,
            suite,
            key_share,
            rand,
            psk_id,
            sealed,
        },
    )
}

fn identities() -> impl Strategy<Value = Identity> {
    let capabilities = prop::collection::btree_map(".{0,20}", ".{0,20}", 0..6);
    let halves = (any::<[u8; 32]>(), any::<[u8; 32]>()).prop_map(|(a, b)| [a, b].concat().try_into().expect("64 bytes"));
    let certs = (0..=Rotation::MAX, any::<u8>()).prop_map(|(records, byte)| vec![byte; records * Rotation::BYTES]);
    (any::<[u8; 32]>(), ".{1,60}", capabilities, certs, halves, any::<[u8; 32]>()).prop_map(
        |(public_key, node_id, capabilities, cert, signature, fin)| Identity {
            claim: Claim { public_key, node_id, capabilities, cert },
            signature,
            fin,
        },
    )
}

fn identity() -> Identity {
    let capabilities = [("a", "1"), ("b", "2")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    let claim = Claim { public_key: [1; 32], node_id: "node-a".into(), capabilities, cert: Vec::new() };
    Identity { claim, signature: [2; 64], fin: [3; 32] }
}

fn hello() -> Hello {
    let (version_min, version_max, suites) = (2, 2, vec![0x0101, 0x0102]);
    Hello {
        nonce_a: 1,
        version_min,
        version_max,
        suites,
        key_shares: [(1, vec![4; 32])].into(),
        rand: [5; 32],
        psk_id: [6; 8],
        mac1: [7; 16],
    }
}

#[test]
fn a_hello_has_the_layout_of_the_protocol_text() {
    let mut want = vec![1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 2, 0, 2, 0x01, 0x01, 0x02, 0x01, 1, 1, 32];
    want.extend_from_slice(&[4; 32]);
    want.extend_from_slice(&[5; 32]);
    want.extend_from_slice(&[6; 8]);
    assert_eq!(without_mac(&hello().encode()), want);
    want.extend_from_slice(&[7; 16]);
    assert_eq!(hello().encode(), want);
}

#[test]
fn the_largest_ack_fits_the_frame_allowed_before_authentication() {
    let text = |n| "x".repeat(n);
    let per_entry = limits::CAPABILITIES_TOTAL_MAX_BYTES / limits::CAPABILITIES_MAX;
    let capabilities: BTreeMap<_, _> =
        (0..limits::CAPABILITIES_MAX).map(|i| (format!("{i:02}{}", text(per_entry / 2 - 2)), text(per_entry - per_entry / 2))).collect();
    let claim =
        Claim { public_key: [0; 32], node_id: text(limits::NODE_ID_MAX_BYTES), capabilities, cert: vec![0; limits::CERT_MAX_BYTES] };
    let plaintext = Identity { claim, signature: [0; 64], fin: [0; 32] }.encode();
    assert!(plaintext.len() <= limits::IDENTITY_MAX_BYTES, "{}", plaintext.len());
    assert!(Identity::decode(&plaintext).is_ok());
    let ack = HelloAck {
        nonce_a: 0,
        nonce_b: 0,
        version: 2,
        suite: 0,
        key_share: vec![0; limits::KEY_SHARE_MAX_BYTES],
        rand: [0; 32],
        psk_id: [0; 8],
        sealed: vec![0; SEALED_MAX],
    };
    let framed = to_frame(kind::HELLO_ACK, ack.encode());
    let range = frame::Framer::new(limits::PREAUTH_FRAME_MAX_BYTES).first(&framed).expect("within the limit").expect("whole");
    let payload = from_frame(kind::HELLO_ACK, &framed[range]).expect("own frame");
    assert_eq!(HelloAck::decode(&payload), Ok(ack));
}

#[test]
fn a_frame_with_another_type_version_flag_or_id_is_refused() {
    let good = Envelope::live(kind::HELLO, hello().encode());
    assert_eq!(from_frame(kind::HELLO, &good.encode()), Ok(hello().encode()));
    assert!(from_frame(kind::HELLO_ACK, &good.encode()).is_err());
    for bad in [
        Envelope { major: 1, ..good.clone() },
        Envelope { major: 3, ..good.clone() },
        Envelope { flags: 4, ..good.clone() },
        Envelope { msg_id: 1, ..good.clone() },
    ] {
        assert!(from_frame(kind::HELLO, &bad.encode()).is_err(), "{bad:?}");
    }
}

#[test]
fn a_hello_that_offers_nothing_twice_or_backwards_is_refused() {
    let base = hello();
    assert!(Hello::decode(&base.encode()).is_ok());
    for bad in [
        Hello { suites: vec![], ..base.clone() },
        Hello { suites: vec![0x0109, 0x0109], ..base.clone() },
        Hello { suites: (0x0101..0x0112).collect(), ..base.clone() },
        Hello { key_shares: [(1, vec![0; limits::KEY_SHARE_MAX_BYTES + 1])].into(), ..base.clone() },
        Hello { key_shares: (1..=5).map(|group| (group, vec![0; 32])).collect(), ..base.clone() },
        Hello { suites: vec![0x0101, 0x0201], ..base.clone() },
        Hello { key_shares: BTreeMap::new(), ..base.clone() },
        Hello { version_min: 3, ..base.clone() },
    ] {
        assert!(Hello::decode(&bad.encode()).is_err(), "{bad:?}");
    }
}

#[test]
fn key_shares_come_in_rising_groups() {
    let two = Hello { key_shares: [(1, vec![4]), (2, vec![4])].into(), ..hello() };
    let mut payload = two.encode();
    let at = payload.windows(6).position(|w| w == [2, 1, 1, 4, 2, 1]).expect("both shares");
    assert!(Hello::decode(&payload).is_ok());
    for (first, second) in [(2, 1), (1, 1)] {
        (payload[at + 1], payload[at + 4]) = (first, second);
        assert!(Hello::decode(&payload).is_err(), "{first} {second}");
    }
}

#[test]
fn padding_that_is_not_zero_or_not_the_least_is_refused() {
    let plaintext = identity().encode();
    assert_eq!(plaintext.len() % PADDING, 0);
    assert_ne!(plaintext.last(), Some(&3), "this identity has padding");
    let mut dirty = plaintext.clone();
    *dirty.last_mut().expect("not empty") = 1;
    let mut longer = plaintext.clone();
    longer.resize(plaintext.len() + PADDING, 0);
    for bad in [&dirty[..], &longer[..], &plaintext[..plaintext.len() - 1]] {
        assert!(Identity::decode(bad).is_err());
    }
}

#[test]
fn an_identity_that_fills_its_block_has_no_padding() {
    let mut full = identity();
    let bare = Identity::encode_signed(&full.claim, &full.signature).len() + FIN_LEN;
    full.claim.node_id.push_str(&"x".repeat(bare.next_multiple_of(PADDING) - bare));
    let plaintext = full.encode();
    assert_eq!(plaintext.last(), Some(&3));
    assert_eq!(Identity::decode(&plaintext).map(|(identity, _)| identity), Ok(full));
}

#[test]
fn capabilities_out_of_order_or_twice_are_refused() {
    let plaintext = identity().encode();
    let at = plaintext.windows(4).position(|w| w == b"\x01a\x011").expect("the first entry");
    for (key, other) in [(b'c', "before"), (b'b', "equal")] {
        let mut bad = plaintext.clone();
        bad[at + 1] = key;
        assert_eq!(Identity::decode(&bad), Err(WireError::Malformed("capability keys do not rise")), "{other}");
    }
}

#[test]
fn a_certificate_of_another_length_or_a_nameless_node_is_refused() {
    let mut with_cert = identity();
    for len in [1, Rotation::BYTES - 1, Rotation::BYTES + 1, limits::CERT_MAX_BYTES + 1, limits::CERT_MAX_BYTES + Rotation::BYTES] {
        with_cert.claim.cert = vec![1; len];
        assert!(Identity::decode(&with_cert.encode()).is_err(), "{len} bytes");
    }
    let mut nameless = identity();
    nameless.claim.node_id.clear();
    assert!(Identity::decode(&nameless.encode()).is_err());
}

proptest! {
    #[test]
    fn a_hello_survives_its_payload(hello in hellos()) {
        let payload = hello.encode();
        prop_assert_eq!(without_mac(&payload), hello.encode_without_mac());
        prop_assert_eq!(Hello::decode(&payload), Ok(hello));
    }

    #[test]
    fn an_ack_survives_its_payload_and_its_prefix_is_a_prefix(ack in acks()) {
        let payload = ack.encode();
        prop_assert!(payload.starts_with(&ack.encode_without_box()));
        prop_assert_eq!(HelloAck::decode(&payload), Ok(ack));
    }

    #[test]
    fn a_finish_survives_its_payload(nonce_a: u64, nonce_b: u64, sealed in prop::collection::vec(any::<u8>(), 0..600)) {
        let finish = HelloFinish { nonce_a, nonce_b, sealed };
        prop_assert_eq!(HelloFinish::decode(&finish.encode()), Ok(finish));
    }

    #[test]
    fn an_identity_survives_its_plaintext_and_names_what_was_signed(identity in identities()) {
        let plaintext = identity.encode();
        let (decoded, claim_len) = Identity::decode(&plaintext).expect("own encoding");
        prop_assert_eq!(&plaintext[..claim_len], identity.claim.encode());
        prop_assert_eq!(&plaintext[..claim_len + SIGNATURE_LEN], Identity::encode_signed(&identity.claim, &identity.signature));
        prop_assert_eq!(decoded, identity);
    }

    #[test]
    fn altered_payloads_decode_to_what_encodes_to_them_or_not_at_all(
        (hello, ack, identity) in (hellos(), acks(), identities()), at in any::<prop::sample::Index>(), to: u8,
    ) {
        let alter = |mut bytes: Vec<u8>| {
            let at = at.index(bytes.len());
            bytes[at] = to;
            bytes
        };
        let (h, a, i) = (alter(hello.encode()), alter(ack.encode()), alter(identity.encode()));
        prop_assert!(Hello::decode(&h).is_err() || Hello::decode(&h).is_ok_and(|m| m.encode() == h));
        prop_assert!(HelloAck::decode(&a).is_err() || HelloAck::decode(&a).is_ok_and(|m| m.encode() == a));
        prop_assert!(Identity::decode(&i).is_err() || Identity::decode(&i).is_ok_and(|(m, _)| m.encode() == i));
    }

    #[test]
    fn cut_and_lengthened_payloads_are_refused(
        (hello, ack, identity) in (hellos(), acks(), identities()), at in any::<prop::sample::Index>(),
    ) {
        for (bytes, decodes) in [
            (hello.encode(), (|b| Hello::decode(b).is_ok()) as fn(&[u8]) -> bool),
            (ack.encode(), |b| HelloAck::decode(b).is_ok()),
            (identity.encode(), |b| Identity::decode(b).is_ok()),
        ] {
            prop_assert!(!decodes(&bytes[..at.index(bytes.len())]));
            prop_assert!(!decodes(&[&bytes[..], &[0]].concat()));
        }
    }

    #[test]
    fn any_bytes_are_decoded_or_refused_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = (Hello::decode(&bytes), HelloAck::decode(&bytes), HelloFinish::decode(&bytes), Identity::decode(&bytes));
        let _ = (from_frame(kind::HELLO, &bytes), without_mac(&bytes));
    }
}
