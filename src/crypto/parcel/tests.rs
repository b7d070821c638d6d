//! What parcels promise: the answers another implementation gives, and no other opening than the right one.

use proptest::prelude::*;

use super::*;
use crate::base::config::Psk;
use crate::base::id::hex;

fn identity(byte: u8) -> Identity {
    Identity::from_seed(&Secret::new([byte; 32]))
}

fn cluster(byte: u8) -> ClusterKeys {
    ClusterKeys::new((byte > 0).then(|| Psk::new([byte; 32])).as_ref())
}

fn parcel(cluster: &ClusterKeys) -> Sealed {
    seal(&identity(1), &identity(2).id(), cluster, &Secret::new([3; 32]), b"header", b"payload").expect("a key")
}

#[test]
fn a_parcel_is_the_one_another_implementation_makes() {
    // tests/interop/test_parcels.py, written from PROTOCOL.md on other libraries.
    let known = [
        (
            0,
            concat!(
                "015dfedd3b6bd47f6fa28ee15d969d5bb0ea53774d488bdaf9df1c6e0124b3ef227ac0af2db2b56c3df2a4ef99d5ca119854",
                "c3373e7db0b614bcc6ae49032d5bb02b976baf895c04d14596c16b7a9268b3e4eb1d4614e446994136248e82c5bffc3718e7",
                "3f2289d87fd6c6352a141c668bb052e18a4a7ed672666097e9966369e00dd9bb474b34d796f72d9690b58916ae069b1e6eed",
                "ef5e"
            ),
            "9a6ad813ea2b379653919ed7d73c1162b28c7dcd86ecb3cd40afb4f40ab90156",
            "8e8bfd57e02aa246c32d7af59468db5f468de3ffc6cae53b7616209f1ea75912",
            "630f47617b6a7075a27a5db2035c2e3a0984588326ed46c71974e9e1642a39a0",
        ),
        (
            5,
            concat!(
                "015dfedd3b6bd47f6fa28ee15d969d5bb0ea53774d488bdaf9df1c6e0124b3ef2212d8004e764219f9bbe49745752a5e5f2c",
                "e5729b81a95252ab0a285b956d71fd7f4279a648b2cf96b6c629dbf5f94a15779eefd77c825c5012c8fd4b2cd730efc2136d",
                "2e06d3fb67e1daefeceead559ab04c5cde34d864769a7ea567f612c32aa25e1fb078d4d7307b108e467f8f129de5e87f6e97",
                "3100"
            ),
            "a80bdac378889c4184370613f1735102a604de3c5b3fe7c8affab21ef1ed8fa4",
            "25e8b332d928f06ae59f5a34fdc7e0e78c80a95bfea40fcee6b8cafe55e87b9b",
            "1dbdeb9b1a999eebe32bf57d1c838eb51b5bc86a3e11f0d3f8d000be45735de1",
        ),
    ];
    for (psk, text, receipt, said, proof) in known {
        let sealed = parcel(&cluster(psk));
        let run = sealed.answers.run(7);
        let told = [hex(&sealed.bytes), hex(&sealed.answers.receipt()), hex(&run.opened), hex(&run.proof)];
        assert_eq!(told, [text, receipt, said, proof]);
        let opened = open(&identity(2), &identity(1).id(), &[cluster(psk)], b"header", &sealed.bytes).expect("right");
        assert_eq!(opened.payload, b"payload");
        assert!(sealed.answers.proves_receipt(&opened.answers.receipt()) && sealed.answers.proves_run(&opened.answers.run(7)));
        assert_eq!(sealed.bytes.len(), b"payload".len() + OVERHEAD_BYTES);
    }
}

#[test]
fn a_parcel_with_any_bit_turned_does_not_open() {
    let sealed = parcel(&cluster(0)).bytes;
    for bit in 0..sealed.len() * 8 {
        let mut altered = sealed.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        // The highest bit of an X25519 key says nothing, but the key is bound as it came.
        assert!(open(&identity(2), &identity(1).id(), &[cluster(0)], b"header", &altered).is_err(), "bit {bit}");
    }
    for len in 0..sealed.len() {
        assert!(open(&identity(2), &identity(1).id(), &[cluster(0)], b"header", &sealed[..len]).is_err(), "{len} bytes");
    }
}

#[test]
fn another_header_sender_recipient_or_cluster_does_not_open() {
    let sealed = parcel(&cluster(5)).bytes;
    let refused = |to, from, psk, header: &[u8]| open(&identity(to), &identity(from).id(), &[cluster(psk)], header, &sealed).is_err();
    assert!(!refused(2, 1, 5, b"header"));
    assert!(refused(2, 1, 5, b"headeR") && refused(2, 1, 5, b""));
    assert!(refused(2, 3, 5, b"header") && refused(2, 2, 5, b"header"));
    assert!(refused(1, 1, 5, b"header") && refused(3, 1, 5, b"header"));
    assert!(refused(2, 1, 0, b"header") && refused(2, 1, 6, b"header"));
    let either = [cluster(6), cluster(5)];
    assert!(open(&identity(2), &identity(1).id(), &either, b"header", &sealed).is_ok(), "sealed before the cluster changed over");
}

#[test]
fn whoever_has_the_recipients_key_cannot_write_as_another() {
    // All that a thief of node 2's key can make: a box that opens, for the secret is known to it, under its own signature.
    let (thief, stolen, pair) = (identity(9), identity(2), KeyPair::from_secret(&Secret::new([4; 32])));
    let context = hash(&[CONTEXT, pair.public(), &stolen.id().0, &identity(1).id().0, b"header"]);
    let shared = stolen.agreement_key().agree(pair.public()).expect("no small order");
    let whole = hash(&[&context, b"lie"]);
    for signer in [&thief, &stolen] {
        let mut text = [b"lie".as_slice(), &signer.sign(&signed(&whole))].concat();
        let tag = Keys::new(&cluster(0), &shared, &context).aead.seal(NONCE, &context, &mut text);
        let pledge = Keys::new(&cluster(0), &shared, &context).answers(&whole).pledge();
        let forged = [&[VERSION], pair.public().as_slice(), &pledge.0, &text, &tag].concat();
        assert!(open(&stolen, &identity(1).id(), &[cluster(0)], b"header", &forged).is_err());
    }
}

#[test]
fn points_that_are_no_keys_are_refused_and_not_sealed_to() {
    let sealed = |to: [u8; 32]| seal(&identity(1), &PeerId(to), &cluster(0), &Secret::new([3; 32]), b"", b"");
    for point in curve25519_dalek::constants::EIGHT_TORSION {
        assert!(sealed(point.compress().to_bytes()).is_none());
    }
    let mut off_the_curve = [0; 32];
    off_the_curve[0] = 2;
    assert!(sealed(off_the_curve).is_none());
    // A small-order ephemeral key leads to a secret everybody knows.
    let mut parcel = parcel(&cluster(0)).bytes;
    parcel[1..33].fill(0);
    assert!(open(&identity(2), &identity(1).id(), &[cluster(0)], b"header", &parcel).is_err());
}

#[test]
fn two_parcels_of_one_payload_have_nothing_in_common() {
    let one = parcel(&cluster(0));
    let other = seal(&identity(1), &identity(2).id(), &cluster(0), &Secret::new([4; 32]), b"header", b"payload").expect("a key");
    assert!(one.bytes[1..].iter().zip(&other.bytes[1..]).filter(|(a, b)| a == b).count() < 12);
    assert!(!one.answers.proves_receipt(&other.answers.receipt()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn what_is_sealed_is_opened(
        payload in prop::collection::vec(any::<u8>(), 0..300), header in prop::collection::vec(any::<u8>(), 0..90), seed: [u8; 32],
    ) {
        let sealed = seal(&identity(1), &identity(2).id(), &cluster(5), &Secret::new(seed), &header, &payload).expect("a key");
        let opened = open(&identity(2), &identity(1).id(), &[cluster(5)], &header, &sealed.bytes).expect("right");
        prop_assert_eq!((opened.payload, opened.answers.receipt()), (payload, sealed.answers.receipt()));
    }

    #[test]
    fn no_bytes_make_it_panic(parcel in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(open(&identity(2), &identity(1).id(), &[cluster(0), cluster(5)], b"", &parcel).is_err());
    }
}
