//! The outbox where there is no room for what is read: what is left out, read again, or refused.

use super::*;

#[test]
fn what_there_is_no_room_for_comes_later_and_holds_up_nothing_else() {
    let mut c = outbox(C);
    c.inbox.open_max = 4;
    let sent = OpId { log: log_of(C), seq: 1 };
    c.record(log_of(C), 1, &put(Target::Peer(A), b"").encode());
    (1..=6).for_each(|seq| c.record(log_of(A), seq, &put(Target::All, b"").encode()));
    assert!(c.is_full());
    let answer = Receipt { op: sent, key: Vec::new(), outcome: Outcome::Done, attempts: 1, detail: String::new() };
    c.record(log_of(A), 7, &Body::Receipt(answer).encode());
    assert_eq!(c.stands(&sent), Some(State::Done), "what concerns its own operations is read on");
    c.record(log_of(A), 8, &Body::Settled(vec![op(1), op(6)]).encode());
    assert_eq!((c.left_out(), c.list().len()), (Some(LogRange { log: log_of(A), first: 5, last: 8 }), 4), "the first was withdrawn");
    c.record(log_of(B), 1, &put(Target::All, b"").encode());
    assert_eq!((c.left_out().map(|range| range.log), c.list().len()), (Some(log_of(B)), 4), "it leaves room to those before it");
    for seq in 2..=3 {
        assert_eq!(c.claim(at(0), 1)[0].id, op(seq));
        c.done(&op(seq)).expect("claimed");
        let receipts = c.unwritten();
        c.written(&receipts[0]);
    }
    assert_eq!(c.left_out().map(|range| (range.first, range.last)), Some((5, 8)));
    c.record(log_of(A), 5, &put(Target::All, b"").encode());
    c.record(log_of(A), 6, &put(Target::All, b"").encode());
    c.record(log_of(A), 7, b"");
    assert_eq!(c.claim(at(0), 9).iter().map(|c| c.id.seq).collect::<Vec<_>>(), [4, 5], "the sixth was withdrawn");
    c.record(log_of(A), 8, &Body::Settled(vec![op(1), op(6)]).encode());
    c.record(log_of(B), 1, &put(Target::All, b"").encode());
    assert_eq!((c.left_out(), c.claim(at(0), 9).len()), (None, 1));
    assert!(c.list().iter().filter(|op| op.side == Side::Received).all(|op| op.target == Target::All));
}

#[test]
fn what_was_withdrawn_while_it_was_left_out_is_not_taken_from_a_snapshot() {
    let mut c = outbox(C);
    c.inbox.open_max = 1;
    (1..=3).for_each(|seq| c.record(log_of(A), seq, &put(Target::Peer(C), b"").encode()));
    c.record(log_of(A), 4, &Body::Settled(vec![op(2)]).encode());
    c.recall(&BTreeMap::from([(log_of(A), 3)]), &mut |visit| {
        (2..=3).for_each(|seq| visit(log_of(A), seq, &put(Target::Peer(C), b"").encode()));
    });
    assert_eq!(c.claim(at(0), 9).iter().map(|c| c.id.seq).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(c.behind.get(&log_of(A)), Some(&3), "the settlement is read again");
}

#[test]
fn a_key_too_many_fails_for_good_and_known_ones_are_answered_as_ever() {
    let mut c = outbox(C);
    c.inbox.keys_max = 1;
    c.record(log_of(A), 1, &put(Target::Peer(C), b"known").encode());
    assert_eq!(c.claim(at(0), 9).len(), 1);
    c.done(&op(1)).expect("claimed");
    let receipts = c.unwritten();
    c.written(&receipts[0]);
    for (seq, key) in [(2, &b"new"[..]), (3, b"known"), (4, b"")] {
        c.record(log_of(A), seq, &put(Target::Peer(C), key).encode());
    }
    assert_eq!(c.claim(at(0), 9).iter().map(|c| c.id.seq).collect::<Vec<_>>(), [4]);
    let receipts = c.unwritten();
    assert_eq!(receipts.iter().map(|r| (r.op.seq, r.outcome)).collect::<Vec<_>>(), [(2, Outcome::Failed), (3, Outcome::Done)]);
    receipts.iter().for_each(|receipt| c.written(receipt));
    // A greater table would take it.
    c.inbox.keys_max = 9;
    c.record(log_of(A), 5, &put(Target::Peer(C), b"new").encode());
    assert_eq!(c.claim(at(0), 9).iter().map(|c| c.id.seq).collect::<Vec<_>>(), [5]);
}

#[test]
fn a_key_too_many_is_not_taken_from_an_earlier_operation_that_is_in_flight_with_it() {
    let mut c = outbox(C);
    (1..=2).for_each(|seq| c.record(log_of(A), seq, &put(Target::Peer(C), b"k").encode()));
    assert_eq!(c.claim(at(0), 1)[0].id, op(1));
    c.fail(at(0), &op(1), false, "not now").expect("claimed");
    c.inbox.keys_max = 0;
    assert!(c.claim(at(0), 9).is_empty());
    let receipts = c.unwritten();
    assert_eq!(receipts.iter().map(|r| (r.op, r.outcome)).collect::<Vec<_>>(), [(op(2), Outcome::Failed)]);
    assert_eq!(c.claim(at(500), 9)[0].id, op(1));
    c.written(&receipts[0]);
    c.inbox.keys_max = 9;
    c.record(log_of(A), 3, &put(Target::Peer(C), b"k").encode());
    assert!(c.claim(at(500), 9).is_empty(), "the first still has the key");
}

proptest! {
    #[test]
    fn however_little_room_there_is_every_operation_is_executed_once(
        room in 1_usize..6,
        turns in proptest::collection::vec(0_u8..4, 0..60),
    ) {
        let log_a_b = [log_of(A), log_of(B)];
        let mut c = outbox(C);
        c.inbox.open_max = room;
        let (mut next, mut executed) = ([1_u64; 2], BTreeMap::new());
        let body = put(Target::Peer(C), b"").encode();
        // The application has its way twelve times over at the end.
        for turn in turns.into_iter().chain((0..200).map(|n| n % 4)) {
            match turn {
                0 | 1 => {
                    let which = usize::from(turn);
                    if next[which] <= 12 {
                        c.record(log_a_b[which], next[which], &body);
                        next[which] += 1;
                    }
                }
                2 => {
                    for claimed in c.claim(at(0), 1) {
                        *executed.entry(claimed.id).or_insert(0) += 1;
                        prop_assert!(c.done(&claimed.id).is_ok());
                        let receipts = c.unwritten();
                        c.written(&receipts[0]);
                    }
                }
                _ => {
                    if let Some(range) = c.left_out() {
                        for seq in range.first..=range.last {
                            c.record(range.log, seq, &body);
                            if c.is_full() {
                                break;
                            }
                        }
                    }
                }
            }
            prop_assert!(c.list().len() <= room);
        }
        prop_assert_eq!(executed.len(), 24);
        prop_assert!(executed.values().all(|times| *times == 1));
    }
}
