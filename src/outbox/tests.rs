//! The outbox against simple models: what is executed, what is answered, what a restart and any order of reading give.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::base::Incarnation;

mod room;

const A: PeerId = PeerId([1; 32]);
const B: PeerId = PeerId([2; 32]);
const C: PeerId = PeerId([3; 32]);

fn log_of(origin: PeerId) -> LogId {
    LogId { origin, incarnation: Incarnation(7) }
}

fn op(seq: u64) -> OpId {
    OpId { log: log_of(A), seq }
}

fn plain() -> RetryPolicy {
    RetryPolicy { jitter_percent: 0, ..RetryPolicy::default() }
}

fn outbox(me: PeerId) -> Outbox {
    Outbox::new(me, &[], plain(), 1)
}

fn put(target: Target, key: &[u8]) -> Body {
    Body::Put { target, kind: "mail".into(), key: key.to_vec(), payload: b"sealed".to_vec() }
}

fn receipt(seq: u64, outcome: Outcome) -> Body {
    Body::Receipt(Receipt { op: op(seq), key: Vec::new(), outcome, attempts: 1, detail: String::new() })
}

fn at(ms: u64) -> Time {
    Time::from_millis(ms)
}

#[test]
fn an_operation_goes_from_its_sender_to_its_target_and_its_receipt_comes_back() {
    let (mut a, mut b, mut c) = (outbox(A), outbox(B), outbox(C));
    let sent = put(Target::Peer(C), b"key").encode();
    for node in [&mut a, &mut b, &mut c] {
        node.record(log_of(A), 1, b"a record of the application");
        node.record(log_of(A), 2, &sent);
    }
    assert_eq!(a.list()[0].state, State::Pending);
    a.held(C, log_of(A), 2);
    assert_eq!(a.list()[0].state, State::InFlight);
    assert_eq!(b.pull(C, 128), [Held { log: log_of(A), first: 2, last: 2 }]);
    assert!(b.claim(at(0), 9).is_empty() && b.list().is_empty());
    let claimed = c.claim(at(0), 9);
    assert_eq!((claimed.len(), claimed[0].id, claimed[0].attempt), (1, op(2), 1));
    assert!(c.claim(at(0), 9).is_empty());
    c.done(&op(2)).expect("claimed");
    let receipts = c.unwritten();
    let record = Body::Receipt(receipts[0].clone()).encode();
    c.written(&receipts[0]);
    assert!(c.unwritten().is_empty() && c.list().is_empty());
    for node in [&mut a, &mut b, &mut c] {
        node.record(log_of(C), 1, &record);
    }
    assert_eq!(a.list()[0].state, State::Done);
    assert!(b.pull(C, 128).is_empty());
    assert_eq!(a.finished(), [op(2)]);
    a.record(log_of(A), 3, &Body::Settled(vec![op(2)]).encode());
    assert!(a.list().is_empty());
}

#[test]
fn only_the_target_can_answer_for_an_operation() {
    let mut a = outbox(A);
    a.record(log_of(A), 1, &put(Target::Peer(C), b"").encode());
    a.record(log_of(B), 1, &receipt(1, Outcome::Done).encode());
    a.record(log_of(B), 2, &Body::Settled(vec![op(1)]).encode());
    assert_eq!(a.list()[0].state, State::Pending);
    a.record(log_of(C), 1, &receipt(1, Outcome::Failed).encode());
    a.record(log_of(C), 2, &receipt(1, Outcome::Done).encode());
    assert_eq!(a.list()[0].state, State::PermanentFailed);
}

#[test]
fn an_operation_for_all_is_done_when_everybody_known_has_answered() {
    let mut a = outbox(A);
    a.record(log_of(A), 1, &put(Target::All, b"").encode());
    assert_eq!(a.list()[0].state, State::Pending);
    a.record(log_of(B), 1, b"b is there");
    a.record(log_of(C), 1, &receipt(1, Outcome::Done).encode());
    assert_eq!(a.list()[0].state, State::InFlight);
    a.record(log_of(B), 2, &receipt(1, Outcome::Done).encode());
    assert_eq!(a.list()[0].state, State::Done);
}

#[test]
fn a_second_operation_with_the_same_key_is_answered_and_not_executed_even_after_a_restart() {
    let mut c = outbox(C);
    for seq in 1..=2 {
        c.record(log_of(A), seq, &put(Target::Peer(C), b"once").encode());
    }
    // The same key from somebody else is another matter.
    c.record(log_of(B), 1, &put(Target::Peer(C), b"once").encode());
    let claimed = c.claim(at(0), 9);
    assert_eq!(claimed.iter().map(|c| c.id.log.origin).collect::<Vec<_>>(), [A, B]);
    c.done(&op(1)).expect("claimed");
    let first = c.unwritten();
    c.written(&first[0]);
    let second = c.unwritten();
    assert_eq!((second.len(), second[0].op, second[0].attempts, second[0].outcome), (1, op(2), 0, Outcome::Done));
    // The second receipt was not written: the next life writes it.
    let mut again = outbox(C);
    again.record(log_of(C), 1, &Body::Receipt(first[0].clone()).encode());
    for seq in 1..=3 {
        again.record(log_of(A), seq, &put(Target::Peer(C), b"once").encode());
    }
    assert!(again.claim(at(0), 9).is_empty());
    assert_eq!(again.unwritten().iter().map(|receipt| receipt.op).collect::<Vec<_>>(), [op(2), op(3)]);
}

#[test]
fn a_failing_operation_is_tried_eight_times_and_then_answered_as_failed() {
    let mut c = outbox(C);
    c.record(log_of(A), 1, &put(Target::Peer(C), b"").encode());
    let (mut now, mut pauses) = (at(0), Vec::new());
    for attempt in 1..=8 {
        assert_eq!(c.claim(now, 1)[0].attempt, attempt);
        c.fail(now, &op(1), false, "not now").expect("claimed");
        if let Some(next) = c.deadline(now) {
            assert!(c.claim(Time(next.0 - 1), 1).is_empty());
            pauses.push(next.since(now).as_millis());
            now = next;
        }
    }
    assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 16000, 30000]);
    assert_eq!(c.list()[0].state, State::PermanentFailed);
    assert_eq!((c.unwritten()[0].outcome, c.unwritten()[0].attempts), (Outcome::Failed, 8));
    assert_eq!(c.fail(now, &op(1), false, ""), Err(Refusal::NotClaimed(op(1))));
    assert_eq!(c.done(&op(9)), Err(Refusal::Unknown(op(9))));
}

#[test]
fn a_claim_that_nobody_answers_is_free_again_and_a_late_answer_still_counts() {
    let mut c = outbox(C);
    c.record(log_of(A), 1, &put(Target::Peer(C), b"k").encode());
    assert_eq!(c.claim(at(0), 1).len(), 1);
    c.tick(at(29_999));
    assert_eq!(c.list()[0].state, State::InFlight);
    c.tick(at(30_000));
    assert_eq!(c.list()[0].state, State::Failed);
    c.done(&op(1)).expect("it was executed after all");
    assert!(c.claim(at(90_000), 1).is_empty());
    assert_eq!(c.unwritten()[0].outcome, Outcome::Done);
}

#[test]
fn a_key_that_was_executed_late_is_held_when_the_claim_of_another_with_it_times_out() {
    let mut c = outbox(C);
    (1..=3).for_each(|seq| c.record(log_of(A), seq, &put(Target::Peer(C), b"k").encode()));
    assert_eq!(c.claim(at(0), 9)[0].id, op(1));
    c.tick(at(30_000));
    assert_eq!(c.claim(at(30_000), 9).iter().map(|claimed| claimed.id).collect::<Vec<_>>(), [op(2)]);
    c.done(&op(1)).expect("it was executed after all");
    c.tick(at(60_000));
    assert!(c.claim(at(90_000), 9).is_empty(), "what has the key was executed, although no receipt says so yet");
    let receipt = c.unwritten()[0].clone();
    c.written(&receipt);
    assert!(c.claim(at(90_000), 9).is_empty());
    assert_eq!(c.unwritten().iter().map(|receipt| receipt.op).collect::<Vec<_>>(), [op(2), op(3)]);
}

#[test]
fn an_operation_that_fails_after_another_with_its_key_was_executed_late_is_answered_as_that_one() {
    for answered in [true, false] {
        let mut c = outbox(C);
        (1..=2).for_each(|seq| c.record(log_of(A), seq, &put(Target::Peer(C), b"k").encode()));
        assert_eq!(c.claim(at(0), 9)[0].id, op(1));
        assert_eq!(c.claim(at(30_000), 9)[0].id, op(2));
        c.done(&op(1)).expect("it was executed after all");
        let receipt = c.unwritten()[0].clone();
        c.written(&receipt);
        if answered {
            c.fail(at(30_000), &op(2), false, "not now").expect("claimed");
        }
        assert!(c.claim(at(90_000), 9).is_empty());
        let receipts = c.unwritten();
        assert_eq!(receipts.iter().map(|r| (r.op, r.outcome, r.attempts)).collect::<Vec<_>>(), [(op(2), Outcome::Done, 0)]);
    }
}

#[test]
fn what_the_sender_withdraws_is_not_executed_and_no_longer_asked_for() {
    let (mut b, mut c) = (outbox(B), outbox(C));
    for node in [&mut b, &mut c] {
        node.record(log_of(A), 1, &put(Target::Peer(C), b"").encode());
        node.record(log_of(A), 2, &Body::Settled(vec![op(1)]).encode());
    }
    assert!(c.claim(at(0), 9).is_empty());
    assert!(b.pull(C, 9).is_empty());
}

#[test]
fn a_pull_names_ranges_and_no_more_than_was_asked_for() {
    let mut b = outbox(B);
    for seq in [1, 2, 3, 6, 7] {
        b.record(log_of(A), seq, &put(Target::Peer(C), b"").encode());
    }
    b.record(log_of(B), 1, &put(Target::Peer(C), b"").encode());
    let (held, own) = (|first, last| Held { log: log_of(A), first, last }, Held { log: log_of(B), first: 1, last: 1 });
    assert_eq!(b.pull(C, 128), [held(1, 3), held(6, 7), own]);
    assert_eq!(b.pull(C, 4), [held(1, 3), held(6, 6)]);
    assert!(b.pull(A, 128).is_empty());
}

/// What the target's side has to be, said as simply as it can be.
#[derive(Default)]
struct Model {
    ops: BTreeMap<u64, (Vec<u8>, u32, Stand)>,
    executed: BTreeMap<Vec<u8>, Outcome>,
    over: BTreeMap<u64, Outcome>,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Stand {
    Ready(u64),
    InFlight(u64),
    Over(Outcome),
}

impl Model {
    fn claim(&mut self, now: u64) -> Option<u64> {
        self.know();
        let busy = |key: &[u8]| self.ops.values().any(|(k, _, stand)| k == key && !matches!(stand, Stand::Ready(_)));
        let free = |(seq, (key, _, stand)): (&u64, &(Vec<u8>, u32, Stand))| match stand {
            Stand::Ready(from) if *from <= now && (key.is_empty() || !busy(key)) => Some(*seq),
            _ => None,
        };
        let seq = self.ops.iter().find_map(free)?;
        let op = self.ops.get_mut(&seq)?;
        (op.1, op.2) = (op.1 + 1, Stand::InFlight(now + 30_000));
        Some(seq)
    }

    fn fail(&mut self, seq: u64, now: u64, for_good: bool) {
        if let Some((key, attempts, stand @ Stand::InFlight(_))) = self.ops.get_mut(&seq) {
            let pause = [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000][*attempts as usize - 1];
            *stand = match self.executed.get(key).filter(|_| !key.is_empty() && !for_good) {
                Some(outcome) => Stand::Over(*outcome),
                None if for_good || *attempts >= 8 => Stand::Over(Outcome::Failed),
                None => Stand::Ready(now + pause),
            };
        }
    }

    fn tick(&mut self, now: u64) {
        let late =
            |(seq, (_, _, stand)): (&u64, &(Vec<u8>, u32, Stand))| matches!(stand, Stand::InFlight(until) if *until <= now).then_some(*seq);
        for seq in self.ops.iter().filter_map(late).collect::<Vec<_>>() {
            self.fail(seq, now, false);
        }
    }

    fn done(&mut self, seq: u64) {
        if let Some((_, _, stand)) = self.ops.get_mut(&seq).filter(|(_, attempts, stand)| *attempts > 0 && !matches!(stand, Stand::Over(_)))
        {
            *stand = Stand::Over(Outcome::Done);
        }
    }

    /// Receipts are written.
    fn write(&mut self) {
        self.know();
        for (seq, (key, attempts, stand)) in std::mem::take(&mut self.ops) {
            match stand {
                Stand::Over(outcome) => {
                    assert!(self.over.insert(seq, outcome).is_none(), "answered twice");
                    self.executed.entry(key).or_insert(outcome);
                }
                _ => drop(self.ops.insert(seq, (key, attempts, stand))),
            }
        }
    }

    fn know(&mut self) {
        for (key, _, stand) in self.ops.values_mut().filter(|(key, _, stand)| !key.is_empty() && matches!(stand, Stand::Ready(_))) {
            if let Some(outcome) = self.executed.get(key) {
                *stand = Stand::Over(*outcome);
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Deed {
    Put(u8),
    Claim,
    Done(u64),
    Fail(u64, bool),
    Pass(u64),
    Write,
    Restart,
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        3 => (0u8..3).prop_map(Deed::Put),
        4 => Just(Deed::Claim),
        2 => (1u64..8).prop_map(Deed::Done),
        2 => (1u64..8, any::<bool>()).prop_map(|(seq, for_good)| Deed::Fail(seq, for_good)),
        2 => prop_oneof![Just(0u64), Just(499), Just(500), Just(30_000), 0u64..40_000].prop_map(Deed::Pass),
        2 => Just(Deed::Write),
        1 => Just(Deed::Restart),
    ];
    proptest::collection::vec(deed, 1..80)
}

fn stand(state: State) -> &'static str {
    match state {
        State::Pending | State::Failed => "ready",
        State::InFlight => "in flight",
        State::Done => "done",
        State::PermanentFailed => "failed",
    }
}

fn of_model(stand: Stand) -> &'static str {
    match stand {
        Stand::Ready(_) => "ready",
        Stand::InFlight(_) => "in flight",
        Stand::Over(Outcome::Done) => "done",
        Stand::Over(Outcome::Failed) => "failed",
    }
}

/// Reads everything again, this node's log first.
fn rebuild(own: &[Vec<u8>], theirs: &[Vec<u8>]) -> Outbox {
    let mut node = outbox(C);
    own.iter().zip(1..).for_each(|(record, seq)| node.record(log_of(C), seq, record));
    theirs.iter().zip(1..).for_each(|(record, seq)| node.record(log_of(A), seq, record));
    node
}

#[test]
fn who_reports_done_what_has_failed_for_good_meanwhile_is_told_so() {
    let mut c = outbox(C);
    c.record(log_of(A), 1, &put(Target::Peer(C), b"").encode());
    let mut now = at(0);
    for _ in 1..=8 {
        assert_eq!(c.claim(now, 1).len(), 1);
        now = c.deadline(now).expect("a claim's end");
        c.tick(now);
        now = c.deadline(now).unwrap_or(now);
    }
    assert!(c.has_unwritten());
    assert_eq!(c.done(&op(1)), Err(Refusal::Unknown(op(1))));
    assert_eq!(c.unwritten()[0].outcome, Outcome::Failed);
}

proptest! {
    #[test]
    fn the_targets_side_does_what_a_simple_model_does_through_any_restarts(deeds in deeds()) {
        let (mut node, mut model, mut now) = (outbox(C), Model::default(), 0);
        let (mut own, mut theirs): (Vec<Vec<u8>>, Vec<Vec<u8>>) = (Vec::new(), Vec::new());
        for deed in deeds {
            match deed {
                Deed::Put(key) => {
                    let key = if key == 0 { Vec::new() } else { vec![key] };
                    theirs.push(put(Target::Peer(C), &key).encode());
                    let seq = theirs.len() as u64;
                    node.record(log_of(A), seq, &theirs[seq as usize - 1]);
                    model.ops.insert(seq, (key, 0, Stand::Ready(0)));
                }
                Deed::Claim => {
                    model.tick(now);
                    let claimed = node.claim(at(now), 1).first().map(|claimed| claimed.id.seq);
                    prop_assert_eq!(claimed, model.claim(now));
                }
                Deed::Done(seq) => {
                    let _ = node.done(&op(seq));
                    model.done(seq);
                }
                Deed::Fail(seq, for_good) => {
                    let _ = node.fail(at(now), &op(seq), for_good, "");
                    model.fail(seq, now, for_good);
                }
                Deed::Pass(ms) => {
                    now += ms;
                    node.tick(at(now));
                    model.tick(now);
                }
                Deed::Write => {
                    model.write();
                    for receipt in node.unwritten() {
                        own.push(Body::Receipt(receipt.clone()).encode());
                        node.written(&receipt);
                        node.record(log_of(C), own.len() as u64, &own[own.len() - 1]);
                    }
                    // Answering one key settles others with it.
                    model.write();
                    for receipt in node.unwritten() {
                        own.push(Body::Receipt(receipt.clone()).encode());
                        node.written(&receipt);
                    }
                }
                Deed::Restart => {
                    node = rebuild(&own, &theirs);
                    for (_, attempts, stand) in model.ops.values_mut() {
                        (*attempts, *stand) = (0, Stand::Ready(0));
                    }
                }
            }
            node.unwritten();
            model.know();
            let ours: BTreeMap<u64, &str> = node.list().iter().map(|view| (view.id.seq, stand(view.state))).collect();
            let expected: BTreeMap<u64, &str> = model.ops.iter().map(|(seq, (_, _, stand))| (*seq, of_model(*stand))).collect();
            prop_assert_eq!(ours, expected);
        }
    }

    #[test]
    fn the_order_in_which_other_logs_are_read_changes_nothing(order in proptest::collection::vec(any::<bool>(), 24), kinds in proptest::collection::vec(0u8..4, 12)) {
        let theirs: Vec<Vec<u8>> = (1..=12).map(|_| put(Target::Peer(C), b"").encode()).collect();
        let answers: Vec<Vec<u8>> = kinds.iter().zip(1..).map(|(kind, seq)| match kind {
            0 => b"nothing of ours".to_vec(),
            1 => receipt(seq, Outcome::Failed).encode(),
            _ => receipt(seq, Outcome::Done).encode(),
        }).collect();
        let read = |order: &[bool], me: PeerId| {
            let (mut node, mut done) = (outbox(me), [0usize; 2]);
            for first in order.iter().copied().chain([true, false].into_iter().cycle().take(48)) {
                let (log, records) = if first { (A, &theirs) } else { (C, &answers) };
                let at = &mut done[usize::from(first)];
                if let Some(record) = records.get(*at) {
                    *at += 1;
                    node.record(log_of(log), *at as u64, record);
                }
            }
            (node.list(), node.pull(C, 128))
        };
        for me in [A, B] {
            prop_assert_eq!(read(&order, me), read(&[true; 12], me));
        }
    }

    #[test]
    fn records_survive_their_bytes_and_any_other_bytes_are_no_panic(
        key in proptest::collection::vec(any::<u8>(), 0..64),
        payload in proptest::collection::vec(any::<u8>(), 0..200),
        one in any::<bool>(),
        attempts in any::<u32>(),
        seqs in proptest::collection::vec(any::<u64>(), 0..9),
        cut in any::<prop::sample::Index>(),
    ) {
        let target = if one { Target::Peer(B) } else { Target::All };
        let receipt = Receipt { op: op(5), key: key.clone(), outcome: Outcome::Failed, attempts, detail: "why".into() };
        let settled = Body::Settled(seqs.into_iter().map(op).collect());
        for body in [Body::Put { target, kind: "k".into(), key, payload: payload.clone() }, Body::Receipt(receipt), settled] {
            let bytes = body.encode();
            prop_assert_eq!(Body::decode(&bytes), Ok(body));
            prop_assert!(Body::decode(&bytes[..cut.index(bytes.len())]).is_err());
            prop_assert!(Body::decode(&[&bytes[..], &[0]].concat()).is_err());
        }
        let _ = Body::decode(&[&record::MARK[..], &payload].concat());
    }
}

#[test]
fn a_flood_of_early_receipts_is_bounded() {
    let mut a = outbox(A);
    for seq in 1..=limits::OUTBOX_EARLY_MAX as u64 + 10 {
        a.record(log_of(C), seq, &receipt(seq + 1_000_000, Outcome::Done).encode());
    }
    assert_eq!(a.early_count, limits::OUTBOX_EARLY_MAX);
    assert_eq!(plain().pause(1, 0), Duration::from_millis(500));
}
