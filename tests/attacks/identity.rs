//! H3 identity misbinding and unknown key share; H4 key-compromise impersonation; H14 trust.
//!
//! Eve has the key of seed 6, knows the cluster's pre-shared key where there is one, and owns the line.

use std::sync::Arc;

use vixp2p::base::CloseReason;
use vixp2p::base::close::Distrust;
use vixp2p::base::trust::{Gate, TrustEntry, TrustState, TrustTable};
use vixp2p::base::{PeerId, TrustPolicy};
use vixp2p::crypto::rotation::sign;
use vixp2p::session::Handshaking;
use vixp2p::wire::handshake::{Claim, Identity as Plain, kind, to_frame};
use vixp2p::wire::{Message, Rotation};

use crate::support::*;

const EVE: u8 = 6;
const PSKS: [Option<u8>; 2] = [None, Some(9)];

/// A dials and Eve answers with the identity that `make` gives her.
fn answered_by_eve(with: Option<u8>, make: impl FnOnce(&FakeResponder) -> Vec<u8>) -> (Handshaking, Result<(), CloseReason>) {
    let mut a = dial(&party(1, with), 1);
    let mut eve = FakeResponder::answer(&a.outgoing(), with.map(psk).as_ref(), 66, |_| {});
    let sealed = make(&eve);
    let result = give(&mut a, &eve.say(sealed)).map(|done| assert!(done.is_none()));
    (a, result)
}

/// Eve dials B and finishes with the identity that `make` gives her.
fn dialled_by_eve(with: Option<u8>, make: impl FnOnce(&FakeInitiator, &Plain) -> Vec<u8>) -> Result<PeerId, CloseReason> {
    let mut eve = FakeInitiator::new(with.map(psk), 66, |_| {});
    let mut b = accept(&party(2, with), 1);
    assert!(give(&mut b, &eve.hello()).expect("a Hello").is_none());
    let theirs = eve.take(&b.outgoing());
    let sealed = make(&eve, &theirs);
    give(&mut b, &eve.finish(sealed)).map(|done| done.expect("established").peer.id)
}

fn forged<T: std::fmt::Debug>(result: Result<T, CloseReason>) -> bool {
    matches!(result, Err(CloseReason::HandshakeFailed(why)) if why.contains("false signature"))
}

#[test]
fn the_liar_is_able_to_speak_for_itself() {
    // The control of all tests below: with an honest box the same machinery succeeds, and the others know that it is Eve.
    for with in PSKS {
        let (mut a, result) = answered_by_eve(with, |eve| eve.ladder.signed("responder", &eve.ladder.h2, claim(EVE), &identity(EVE)));
        assert!(result.is_ok() && !a.outgoing().is_empty());
        let known = dialled_by_eve(with, |eve, _| eve.ladder().signed("initiator", &eve.h3(), claim(EVE), &identity(EVE)));
        assert_eq!(known, Ok(identity(EVE).id()));
    }
}

#[test]
fn h3_a_claim_that_another_key_signed_is_forged() {
    for with in PSKS {
        let (mut a, result) = answered_by_eve(with, |eve| eve.ladder.signed("responder", &eve.ladder.h2, claim(2), &identity(EVE)));
        assert!(forged(result) && a.outgoing().is_empty());
        assert!(forged(dialled_by_eve(with, |eve, _| eve.ladder().signed("initiator", &eve.h3(), claim(1), &identity(EVE)))));
    }
}

#[test]
fn h3_a_true_identity_carried_from_the_attackers_run_with_b_into_hers_with_a_is_forged() {
    for with in PSKS {
        // Eve dials B, reads B's box, and shows what was in it to A under the keys she shares with A.
        let mut stolen = None;
        let _ = dialled_by_eve(with, |eve, theirs| {
            stolen = Some(theirs.clone());
            eve.ladder().signed("initiator", &eve.h3(), claim(EVE), &identity(EVE))
        });
        let stolen = stolen.expect("read");
        assert_eq!(stolen.claim, claim(2), "Eve reads B's identity, which an active stranger may");
        let (_, as_it_is) = answered_by_eve(with, |eve| eve.ladder.seal("responder", &eve.ladder.h2, stolen.encode()));
        assert!(forged(as_it_is));
        let with_a_new_mac = |eve: &FakeResponder| eve.ladder.boxed("responder", &eve.ladder.h2, stolen.claim.clone(), stolen.signature);
        assert!(forged(answered_by_eve(with, with_a_new_mac).1));
        // The same identity as an initiator.
        let as_initiator =
            |eve: &FakeInitiator, _: &Plain| eve.ladder().boxed("initiator", &eve.h3(), stolen.claim.clone(), stolen.signature);
        assert!(matches!(dialled_by_eve(with, as_initiator), Err(CloseReason::SelfConnect) | Err(CloseReason::HandshakeFailed(_))));
    }
}

#[test]
fn h3_an_initiators_identity_carried_on_to_another_responder_is_forged() {
    // A dials Eve on its own will; Eve dials B at the same time with A's Hello values where she can, and hands A's proof on.
    for with in PSKS {
        let mut a = dial(&party(1, with), 1);
        let hello = a.outgoing();
        let mut eve = FakeResponder::answer(&hello, with.map(psk).as_ref(), 66, |_| {});
        let sealed = eve.ladder.signed("responder", &eve.ladder.h2, claim(EVE), &identity(EVE));
        give(&mut a, &eve.say(sealed)).expect("A wants Eve");
        let finish = finish_in(&a.outgoing());
        let plain = eve.ladder.open("initiator", &eve.h3(), &finish.sealed).expect("Eve is meant");
        assert_eq!(plain.claim, claim(1));
        assert!(forged(dialled_by_eve(with, |eve, _| eve.ladder().boxed("initiator", &eve.h3(), plain.claim.clone(), plain.signature))));
        assert!(forged(dialled_by_eve(with, |eve, _| eve.ladder().seal("initiator", &eve.h3(), plain.encode()))));
    }
}

#[test]
fn h3_boxes_swapped_between_the_directions_or_made_without_the_keys_do_not_open() {
    for with in PSKS {
        let (a, b) = (party(1, with), party(2, with));
        // Unknown key share: Eve leaves both Hellos alone and puts her own identity into the last message. She lacks the keys, so she
        // seals under those of a run of hers.
        let mut hers = FakeInitiator::new(with.map(psk), 66, |_| {});
        let mut other = accept(&b, 3);
        give(&mut other, &hers.hello()).expect("a Hello");
        hers.take(&other.outgoing());
        let eves_box = hers.ladder().signed("initiator", &hers.h3(), claim(EVE), &identity(EVE));
        let mut box_b = Vec::new();
        let outcome = run(dial(&a, 1), accept(&b, 1), |number, bytes| match number {
            1 => box_b = ack_in(bytes).sealed,
            2 => {
                let mut finish = finish_in(bytes);
                finish.sealed.clone_from(&eves_box);
                *bytes = to_frame(kind::HELLO_FINISH, finish.encode());
            }
            _ => {}
        });
        assert!(outcome.responder.is_err() && outcome.nobody());
        let outcome = run(dial(&a, 1), accept(&b, 1), |number, bytes| {
            if number == 2 {
                let mut finish = finish_in(bytes);
                finish.sealed.clone_from(&box_b);
                *bytes = to_frame(kind::HELLO_FINISH, finish.encode());
            }
        });
        assert!(outcome.responder.is_err() && outcome.nobody());
    }
}

#[test]
fn h3_any_change_to_a_signed_claim_or_a_missing_mac_is_forged() {
    type Change = fn(&mut Claim);
    let changes: [Change; 5] = [
        |claim| claim.node_id = "node-x".into(),
        |claim| claim.capabilities = [("proto".to_owned(), "1".to_owned())].into(),
        |claim| claim.capabilities.clear(),
        |claim| claim.public_key = identity(EVE).id().0,
        |claim| claim.cert = Rotation::encode_all(&[sign(&identity(3), &identity(2).id(), 1)]),
    ];
    for change in changes {
        let (_, result) = answered_by_eve(None, |eve| {
            let honest = claim(2);
            let signature = identity(2).sign(&Ladder::signed_text("responder", &eve.ladder.h2, &honest.encode()));
            let mut changed = honest;
            change(&mut changed);
            eve.ladder.boxed("responder", &eve.ladder.h2, changed, signature)
        });
        assert!(forged(result));
    }
    // SIGMA's MAC: a signature alone, even the right one, is not enough.
    let (_, result) = answered_by_eve(None, |eve| {
        let claim = claim(2);
        let signature = identity(2).sign(&Ladder::signed_text("responder", &eve.ladder.h2, &claim.encode()));
        eve.ladder.seal("responder", &eve.ladder.h2, Plain { claim, signature, fin: [0; 32] }.encode())
    });
    assert!(forged(result));
}

#[test]
fn h3_whoever_ends_in_a_session_knows_by_name_whom_it_is_with() {
    // Eve in the middle runs two honest handshakes of her own: both sides know Eve, never each other.
    for with in PSKS {
        let (a, b, eve) = (party(1, with), party(2, with), party(EVE, with));
        let (at_a, at_eve) = session(&a, &eve, 1);
        assert_eq!((at_a.peer.id, at_eve.peer.id), (identity(EVE).id(), identity(1).id()));
        let (eves, at_b) = session(&eve, &b, 2);
        assert_eq!((eves.peer.id, at_b.peer.id), (identity(2).id(), identity(EVE).id()));
    }
}

#[test]
fn h3_an_old_key_does_not_vouch_for_a_key_it_never_named() {
    // Eve shows B's rotation record, which names B's new key, as if it were hers.
    let record = sign(&identity(3), &identity(2).id(), 1);
    let mut liar = claim(EVE);
    liar.cert = Rotation::encode_all(&[record]);
    let (_, result) = answered_by_eve(None, |eve| eve.ladder.signed("responder", &eve.ladder.h2, liar, &identity(EVE)));
    assert!(matches!(result, Err(CloseReason::HandshakeFailed(why)) if why.contains("earlier keys")));
}

#[test]
fn h4_with_as_key_stolen_nobody_else_can_be_posed_as_to_a() {
    for with in PSKS {
        let stolen = identity(1);
        let (mut a, result) = answered_by_eve(with, |eve| eve.ladder.signed("responder", &eve.ladder.h2, claim(2), &stolen));
        assert!(forged(result) && a.outgoing().is_empty());
        let (mut a, result) = answered_by_eve(with, |eve| eve.ladder.signed("responder", &eve.ladder.h2, claim(1), &stolen));
        assert_eq!((result, a.outgoing()), (Err(CloseReason::SelfConnect), Vec::new()));
        // As an initiator towards the one whose key is stolen: B is the victim here.
        let stolen = identity(2);
        assert!(forged(dialled_by_eve(with, |eve, _| eve.ladder().signed("initiator", &eve.h3(), claim(1), &stolen))));
    }
}

#[test]
fn h4_with_both_long_term_keys_stolen_a_passive_attacker_reads_nothing() {
    // The signatures prove, they do not encrypt: see also H8. What a thief can do is stand in the middle of the next run.
    let (a, b) = (party(1, None), party(2, None));
    let outcome = run(dial(&a, 1), accept(&b, 1), |_, _| {});
    let ack = ack_in(&outcome.said[1]);
    let thief = FakeResponder::answer(&outcome.said[0], None, 66, |_| {});
    assert!(thief.ladder.open("responder", &thief.ladder.h2, &ack.sealed).is_none());
}

fn entry(seed: u8, state: TrustState) -> TrustEntry {
    TrustEntry { peer: identity(seed).id(), state, label: format!("node-{seed}"), added_s: None }
}

fn gate(policy: TrustPolicy, entries: Vec<TrustEntry>, expected: Option<u8>) -> Gate {
    Gate { table: Arc::new(TrustTable::new(policy, 0, entries)), expected: expected.map(|seed| identity(seed).id()) }
}

/// Tables under which node 2 is refused: unknown, another key than its label's, revoked, another than the dial named, and one whose
/// earlier key was revoked.
fn refusals() -> Vec<(&'static str, Gate)> {
    let changed = TrustEntry { label: "node-2".into(), ..entry(7, TrustState::Pinned) };
    vec![
        ("unknown", gate(TrustPolicy::AllowList, vec![], None)),
        ("unknown and unnamed", gate(TrustPolicy::Pinned, vec![], None)),
        ("changed", gate(TrustPolicy::Tofu, vec![changed], None)),
        ("revoked, open", gate(TrustPolicy::Open, vec![entry(2, TrustState::Revoked)], None)),
        ("revoked, tofu", gate(TrustPolicy::Tofu, vec![entry(2, TrustState::Revoked)], None)),
        ("revoked, named", gate(TrustPolicy::Pinned, vec![entry(2, TrustState::Revoked)], Some(2))),
        ("another", gate(TrustPolicy::Open, vec![entry(2, TrustState::Trusted)], Some(7))),
        ("revoked before", gate(TrustPolicy::Tofu, vec![entry(3, TrustState::Revoked)], None)),
    ]
}

/// Node 2 as it is now: its key followed the one of seed 3.
fn rotated() -> Arc<vixp2p::session::LocalParty> {
    let party = Arc::into_inner(party(2, None)).expect("sole owner");
    Arc::new(party.with_rotations(&[sign(&identity(3), &identity(2).id(), 1)]).expect("fits"))
}

#[test]
fn h14_the_initiators_identity_never_leaves_for_a_responder_that_is_not_trusted() {
    for (why, gate) in refusals() {
        let outcome = run(dial(&party(1, None), 1).judging(gate), accept(&rotated(), 1), |_, _| {});
        let reason = outcome.initiator.as_ref().expect_err(why);
        assert!(matches!(reason, CloseReason::Untrusted(_) | CloseReason::Revoked(_)), "{why}: {reason}");
        assert!(outcome.said[2].is_empty() && outcome.nobody(), "{why}");
        assert_eq!(outcome.said[0], dial(&party(7, None), 1).outgoing(), "a Hello is the same whoever says it");
    }
}

#[test]
fn h14_a_responder_refuses_such_initiators_by_an_authenticated_close() {
    for (why, gate) in refusals() {
        if why == "another" {
            continue; // nobody dialled
        }
        let gate = Gate { expected: None, ..gate };
        let (mut dialler, mut acceptor) = (dial(&rotated(), 1), accept(&party(1, None), 1));
        give(&mut acceptor, &dialler.outgoing()).expect("a Hello");
        give(&mut dialler, &acceptor.outgoing()).expect("a HelloAck");
        let mut responder = give(&mut acceptor, &dialler.outgoing()).expect("a HelloFinish").expect("established");
        let reason = gate.judge(&responder.peer).expect_err(why);
        assert!(matches!(reason, CloseReason::Untrusted(_) | CloseReason::Revoked(_)), "{why}: {reason}");
        responder.send.push(&Message::Close { code: reason.code(), detail: reason.told() });
        let told = give(&mut dialler, &taken(&mut responder)).expect_err("refused");
        assert!(matches!(told, CloseReason::Untrusted(Distrust::Told) | CloseReason::Revoked(_)), "{why}: {told}");
    }
}

#[test]
fn h14_an_attacker_cannot_make_up_or_hold_back_the_verdict() {
    let (a, b) = (party(1, None), party(2, None));
    let refusal = |responder: &mut vixp2p::session::Established| {
        responder.send.push(&Message::Close { code: 6, detail: String::new() });
        taken(responder)
    };
    let established = |dialler: &mut Handshaking| {
        let mut acceptor = accept(&b, 1);
        give(&mut acceptor, &dialler.outgoing()).expect("a Hello");
        give(dialler, &acceptor.outgoing()).expect("a HelloAck");
        give(&mut acceptor, &dialler.outgoing()).expect("a HelloFinish").expect("established")
    };
    let mut dialler = dial(&a, 1);
    let bytes = refusal(&mut established(&mut dialler));
    assert!(matches!(give(&mut dialler, &bytes), Err(CloseReason::Revoked(_))), "the control");
    // A verdict of another run, an altered one, and a plain one.
    let mut other = dial(&a, 2);
    let mut responder = established(&mut other);
    assert!(matches!(give(&mut other, &bytes), Err(CloseReason::BadRecord(_))));
    let mut altered = refusal(&mut responder);
    *altered.last_mut().expect("a tag") ^= 1;
    let mut third = dial(&a, 2);
    established(&mut third);
    assert!(matches!(give(&mut third, &altered), Err(CloseReason::BadRecord(_))));
    let mut fourth = dial(&a, 2);
    established(&mut fourth);
    assert!(give(&mut fourth, &[3, 7, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0]).is_err());
}
