//! What the live messages promise: one encoding per value, every cap held, no panic and no needless memory on any bytes.

use proptest::prelude::*;

use super::*;
use crate::base::answer::ProvenRun;
use crate::base::{Incarnation, LogId, LogRange, PeerId};
use crate::wire::cursor::encode_varint;

fn logs() -> impl Strategy<Value = LogId> {
    (any::<[u8; 32]>(), any::<u64>()).prop_map(|(key, life)| LogId { origin: PeerId(key), incarnation: Incarnation(life) })
}

fn acks() -> impl Strategy<Value = WalAck> {
    (logs(), any::<u64>(), any::<u64>()).prop_map(|(log, a, b)| WalAck { log, durable: a.max(b), applied: a.min(b) })
}

fn parcel_ids() -> impl Strategy<Value = ParcelId> {
    (any::<[u8; 32]>(), any::<u64>(), any::<u64>(), any::<u8>()).prop_map(|(from, from_run, number, attempt)| ParcelId {
        from: PeerId(from),
        from_run,
        number,
        attempt,
    })
}

fn routing() -> impl Strategy<Value = Message> {
    let peers = || any::<[u8; 32]>().prop_map(PeerId);
    let verdicts = prop_oneof![
        any::<[u8; 32]>().prop_map(Verdict::Received),
        any::<(u64, [u8; 32], [u8; 32])>().prop_map(|(run, opened, proof)| Verdict::Run(ProvenRun { run, opened, proof })),
        Just(Verdict::NoRoute),
        Just(Verdict::TtlExceeded),
        Just(Verdict::Busy),
        Just(Verdict::Refused),
        Just(Verdict::Loop),
    ];
    let steps = prop_oneof![any::<u8>().prop_map(|ttl| SearchStep::Seek { ttl }), any::<u8>().prop_map(|hops| SearchStep::Found { hops })];
    prop_oneof![
        (parcel_ids(), peers(), any::<u64>(), any::<u8>(), prop::collection::vec(any::<u8>(), 0..300))
            .prop_map(|(id, to, to_run, ttl, sealed)| Message::Parcel(Parcel { id, to, to_run, ttl, sealed: sealed.into() })),
        (parcel_ids(), verdicts).prop_map(|(id, verdict)| Message::Notice(Notice { id, verdict })),
        (peers(), any::<u64>(), peers(), steps).prop_map(|(origin, number, target, step)| Message::Search(Search {
            origin,
            number,
            target,
            step
        })),
        (any::<u16>(), prop::collection::vec((peers(), ".{0,20}"), 0..5))
            .prop_map(|(port, others)| Message::Neighbours(Neighbours { port, others })),
    ]
}

fn snapshots() -> impl Strategy<Value = Message> {
    let ids = || any::<[u8; 32]>().prop_map(SnapshotId);
    let peers = || any::<[u8; 32]>().prop_map(PeerId);
    let parts = || prop_oneof![Just(Part::Manifest), Just(Part::Hashes), (0u64..32_768).prop_map(Part::Piece)];
    let declines = prop_oneof![Just(Decline::Behind), Just(Decline::Unneeded), Just(Decline::Unwelcome)];
    prop_oneof![
        (ids(), peers(), any::<[u8; 32]>(), 0..=limits::SNAPSHOT_MAX_BYTES, 0..=limits::SNAPSHOT_MANIFEST_MAX_BYTES as u32)
            .prop_map(|(id, maker, root, size, manifest)| Message::SnapshotOffer(SnapshotOffer { id, maker, root, size, manifest })),
        (ids(), parts()).prop_map(|(id, part)| Message::SnapshotFetch(SnapshotFetch { id, part })),
        (ids(), parts(), prop::option::of(prop::collection::vec(any::<u8>(), 0..300)))
            .prop_map(|(id, part, bytes)| Message::SnapshotData(SnapshotData { id, part, bytes: bytes.map(Bytes::from) })),
        (ids(), declines).prop_map(|(id, why)| Message::SnapshotDecline(SnapshotDecline { id, why })),
    ]
}

fn messages() -> impl Strategy<Value = Message> {
    prop_oneof![
        any::<u64>().prop_map(|nonce| Message::Ping { nonce }),
        any::<u64>().prop_map(|nonce| Message::Pong { nonce }),
        Just(Message::Welcome),
        (any::<u8>(), ".{0,50}").prop_map(|(code, detail)| Message::Close { code, detail }),
        (logs(), 1u64.., any::<u64>(), prop::collection::vec(any::<u8>(), 0..300)).prop_map(|(log, a, b, bytes)| {
            let (seq_begin, seq_end) = (a.min(b.max(1)), a.max(b));
            Message::WalPush(WalPush { log, seq_begin, seq_end, wal_bytes: bytes.into() })
        }),
        prop::collection::vec(any::<u8>(), 1..40).prop_map(|share| Message::KeyUpdate(KeyUpdate::Offer(share))),
        prop::collection::vec(any::<u8>(), 1..40).prop_map(|share| Message::KeyUpdate(KeyUpdate::Answer(share))),
        prop_oneof![Just(KeyUpdate::Request), Just(KeyUpdate::Switch)].prop_map(Message::KeyUpdate),
        acks().prop_map(Message::WalAck),
        prop::collection::vec(acks(), 0..5).prop_map(Message::Vector),
        (logs(), any::<u64>()).prop_map(|(log, have)| Message::WalNak(WalNak { log, have })),
        (logs(), any::<[u8; 32]>(), any::<u8>()).prop_map(|(log, some, at)| {
            let mut seal = [at; limits::SEAL_RECORD_BYTES];
            seal[..32].copy_from_slice(&some);
            Message::WalSeal(WalSeal { log, seal })
        }),
        routing(),
        snapshots(),
        (logs(), 1u32..).prop_map(|(log, max_items)| Message::OutboxPull(OutboxPull { target: log.origin, max_items })),
        (logs(), prop::collection::vec((logs(), 1u64.., any::<u64>()), 0..5)).prop_map(|(log, ranges)| {
            let range = |(log, a, b): (LogId, u64, u64)| LogRange { log, first: a.min(b.max(1)), last: a.max(b) };
            Message::OutboxHeld(OutboxHeld { target: log.origin, ranges: ranges.into_iter().map(range).collect() })
        }),
    ]
}

fn body(message: &Message) -> Vec<u8> {
    let mut out = Vec::new();
    message.encode_body(&mut out);
    out
}

fn decode(kind: u8, body: &[u8]) -> Result<Message, WireError> {
    Message::decode(kind, &Bytes::copy_from_slice(body))
}

fn log() -> LogId {
    LogId { origin: PeerId([1; 32]), incarnation: Incarnation(2) }
}

#[test]
fn a_push_has_the_layout_of_the_protocol_text() {
    let push = Message::WalPush(WalPush { log: log(), seq_begin: 3, seq_end: 4, wal_bytes: Bytes::from_static(b"xyz") });
    let mut want = vec![1; 32];
    want.extend_from_slice(&[2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 3]);
    want.extend_from_slice(b"xyz");
    assert_eq!(body(&push), want);
}

#[test]
fn the_records_of_a_push_are_not_copied() {
    let push = Message::WalPush(WalPush { log: log(), seq_begin: 1, seq_end: 1, wal_bytes: vec![7; 1000].into() });
    let bytes = Bytes::from(body(&push));
    let Ok(Message::WalPush(decoded)) = Message::decode(kind::WAL_PUSH, &bytes) else { panic!("own encoding") };
    assert_eq!(decoded.wal_bytes.as_ptr(), bytes[bytes.len() - 1000..].as_ptr());
}

#[test]
fn a_push_that_begins_at_zero_or_ends_before_it_begins_is_refused() {
    for (seq_begin, seq_end) in [(0, 0), (0, 5), (5, 4)] {
        let push = Message::WalPush(WalPush { log: log(), seq_begin, seq_end, wal_bytes: Bytes::new() });
        assert!(matches!(decode(kind::WAL_PUSH, &body(&push)), Err(WireError::Range { .. })), "{seq_begin}..={seq_end}");
    }
}

#[test]
fn an_ack_that_applies_more_than_it_holds_is_refused() {
    let ack = WalAck { log: log(), durable: 4, applied: 5 };
    assert!(matches!(decode(kind::WAL_ACK, &body(&Message::WalAck(ack))), Err(WireError::Range { .. })));
    assert!(matches!(decode(kind::VECTOR, &body(&Message::Vector(vec![ack]))), Err(WireError::Range { .. })));
}

#[test]
fn a_vector_is_not_longer_than_its_limit_and_not_longer_than_its_bytes() {
    let mut announced = Vec::new();
    encode_varint(limits::VECTOR_MAX_ENTRIES as u64 + 1, &mut announced);
    assert!(matches!(decode(kind::VECTOR, &announced), Err(WireError::TooLarge { .. })));
    announced.clear();
    encode_varint(limits::VECTOR_MAX_ENTRIES as u64, &mut announced);
    assert_eq!(decode(kind::VECTOR, &announced), Err(WireError::Underflow));
    let full = Message::Vector(vec![WalAck { log: log(), durable: 1, applied: 0 }; limits::VECTOR_MAX_ENTRIES]);
    assert_eq!(decode(kind::VECTOR, &body(&full)), Ok(full));
}

#[test]
fn an_explanation_over_its_limit_is_refused() {
    let close = |len| Message::Close { code: 10, detail: "x".repeat(len) };
    assert!(decode(kind::CLOSE, &body(&close(limits::CLOSE_DETAIL_MAX_BYTES))).is_ok());
    assert!(matches!(decode(kind::CLOSE, &body(&close(limits::CLOSE_DETAIL_MAX_BYTES + 1))), Err(WireError::TooLarge { .. })));
}

#[test]
fn the_routing_messages_have_the_layouts_of_the_protocol_text() {
    let id = ParcelId { from: PeerId([1; 32]), from_run: 2, number: 3, attempt: 4 };
    let mut named = vec![1; 32];
    named.extend_from_slice(&[2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 4]);
    let parcel = Parcel { id, to: PeerId([5; 32]), to_run: 6, ttl: 7, sealed: Bytes::from_static(b"xyz") };
    assert_eq!(parcel.header(), [2, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]);
    let want = [&named[..], &[5; 32], &[6, 0, 0, 0, 0, 0, 0, 0, 7, 3], b"xyz"].concat();
    assert_eq!(body(&Message::Parcel(parcel)), want);
    assert_eq!(body(&Message::Notice(Notice { id, verdict: Verdict::Loop })), [&named[..], &[6]].concat());
    let run = ProvenRun { run: 9, opened: [7; 32], proof: [8; 32] };
    let want = [&named[..], &[1, 9, 0, 0, 0, 0, 0, 0, 0], &[7; 32], &[8; 32]].concat();
    assert_eq!(body(&Message::Notice(Notice { id, verdict: Verdict::Run(run) })), want);
    let search = Search { origin: PeerId([1; 32]), number: 2, target: PeerId([3; 32]), step: SearchStep::Found { hops: 4 } };
    assert_eq!(body(&Message::Search(search)), [&[1; 32][..], &[2, 0, 0, 0, 0, 0, 0, 0], &[3; 32], &[1, 4]].concat());
    let told = Neighbours { port: 9001, others: vec![(PeerId([1; 32]), "h:1".into())] };
    assert_eq!(body(&Message::Neighbours(told)), [&[0x29, 0x23, 1][..], &[1; 32], &[3], b"h:1"].concat());
}

#[test]
fn routing_messages_over_their_limits_are_refused() {
    let id = ParcelId { from: PeerId([1; 32]), from_run: 2, number: 3, attempt: 4 };
    let parcel = |len| Message::Parcel(Parcel { id, to: PeerId([5; 32]), to_run: 6, ttl: 7, sealed: vec![0; len].into() });
    assert!(decode(kind::PARCEL, &body(&parcel(limits::PARCEL_MAX_BYTES))).is_ok());
    assert!(matches!(decode(kind::PARCEL, &body(&parcel(limits::PARCEL_MAX_BYTES + 1))), Err(WireError::TooLarge { .. })));
    let told = |n| Message::Neighbours(Neighbours { port: 1, others: vec![(PeerId([1; 32]), "h:1".into()); n] });
    assert!(decode(kind::NEIGHBOURS, &body(&told(limits::NEIGHBOURS_TOLD_MAX))).is_ok());
    assert!(matches!(decode(kind::NEIGHBOURS, &body(&told(limits::NEIGHBOURS_TOLD_MAX + 1))), Err(WireError::TooLarge { .. })));
    let search = [&[1; 32][..], &[0; 8], &[3; 32], &[2, 4]].concat();
    assert!(matches!(decode(kind::SEARCH, &search), Err(WireError::Malformed(_))));
}

#[test]
fn a_kind_nobody_defined_is_refused_by_its_number() {
    use kind::{CLOSE, KEY_UPDATE, OUTBOX_HELD, OUTBOX_PULL, PING, PONG, VECTOR, WAL_ACK, WAL_NAK, WAL_PUSH, WAL_SEAL, WELCOME};
    use kind::{NEIGHBOURS, NOTICE, PARCEL, SEARCH};
    use kind::{SNAPSHOT_DATA, SNAPSHOT_DECLINE, SNAPSHOT_FETCH, SNAPSHOT_OFFER};
    let log = [WAL_PUSH, WAL_ACK, VECTOR, WAL_NAK, WAL_SEAL, OUTBOX_PULL, OUTBOX_HELD];
    let defined = [&[PING, PONG, WELCOME, CLOSE, KEY_UPDATE][..], &log, &[PARCEL, NOTICE, SEARCH, NEIGHBOURS]].concat();
    let defined = [&defined[..], &[SNAPSHOT_OFFER, SNAPSHOT_FETCH, SNAPSHOT_DATA, SNAPSHOT_DECLINE]].concat();
    for kind in (0..=255).filter(|kind| !defined.contains(kind)) {
        assert_eq!(decode(kind, &[]), Err(WireError::UnknownKind(kind)));
    }
}

#[test]
fn no_part_of_a_snapshot_is_larger_than_it_may_be() {
    let id = SnapshotId([1; 32]);
    let data = |part: Part, len| body(&Message::SnapshotData(SnapshotData { id, part, bytes: Some(vec![0; len].into()) }));
    for part in [Part::Manifest, Part::Hashes, Part::Piece(0)] {
        assert!(decode(kind::SNAPSHOT_DATA, &data(part, part.max_bytes())).is_ok());
        assert!(matches!(decode(kind::SNAPSHOT_DATA, &data(part, part.max_bytes() + 1)), Err(WireError::TooLarge { .. })));
    }
    let offer = |size, manifest| body(&Message::SnapshotOffer(SnapshotOffer { id, maker: PeerId([2; 32]), root: [3; 32], size, manifest }));
    let most = limits::SNAPSHOT_MANIFEST_MAX_BYTES as u32;
    assert!(decode(kind::SNAPSHOT_OFFER, &offer(limits::SNAPSHOT_MAX_BYTES, most)).is_ok());
    assert!(decode(kind::SNAPSHOT_OFFER, &offer(limits::SNAPSHOT_MAX_BYTES + 1, most)).is_err());
    assert!(decode(kind::SNAPSHOT_OFFER, &offer(1, most + 1)).is_err());
    let fetch = |index| body(&Message::SnapshotFetch(SnapshotFetch { id, part: Part::Piece(index) }));
    assert!(decode(kind::SNAPSHOT_FETCH, &fetch(32_767)).is_ok());
    assert!(decode(kind::SNAPSHOT_FETCH, &fetch(32_768)).is_err());
}

#[test]
fn a_pull_names_its_target_in_one_way_and_asks_for_something() {
    let pull = |target: &str, max_items: u32| {
        let mut out = Vec::new();
        let mut w = crate::wire::cursor::Writer::new(&mut out);
        w.str(target);
        w.u32(max_items);
        decode(kind::OUTBOX_PULL, &out)
    };
    assert_eq!(pull(&"ab".repeat(32), 1), Ok(Message::OutboxPull(OutboxPull { target: PeerId([0xab; 32]), max_items: 1 })));
    for (target, max_items) in
        [("AB".repeat(32), 1), ("ab".repeat(31), 1), ("ab".repeat(33), 1), ("zz".repeat(32), 1), ("ab".repeat(32), 0)]
    {
        assert!(pull(&target, max_items).is_err(), "{target} {max_items}");
    }
}

proptest! {
    #[test]
    fn a_message_survives_its_body(message in messages()) {
        prop_assert_eq!(decode(message.kind(), &body(&message)), Ok(message));
    }

    #[test]
    fn a_cut_or_lengthened_body_is_refused(message in messages(), cut in any::<prop::sample::Index>()) {
        let bytes = body(&message);
        if !bytes.is_empty() {
            prop_assert!(decode(message.kind(), &bytes[..cut.index(bytes.len())]).is_err());
        }
        prop_assert_eq!(decode(message.kind(), &[&bytes[..], &[0]].concat()), Err(WireError::Trailing(1)));
    }

    #[test]
    fn any_body_decodes_to_what_encodes_to_it_or_not_at_all(kind in 0u8..40, bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(message) = decode(kind, &bytes) {
            prop_assert_eq!(message.kind(), kind);
            prop_assert_eq!(body(&message), bytes);
        }
    }

    #[test]
    fn an_altered_body_decodes_to_what_encodes_to_it_or_not_at_all(message in messages(), at in any::<prop::sample::Index>(), to: u8) {
        let mut bytes = body(&message);
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] = to;
        }
        if let Ok(other) = decode(message.kind(), &bytes) {
            prop_assert_eq!(body(&other), bytes);
        }
    }
}
