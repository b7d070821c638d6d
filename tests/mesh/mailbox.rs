//! Asking neighbours where operations lie: who is answered, how often, and what a stranger learns.

use vixp2p::base::{Event, LogRange, TrustPolicy, TrustTable};
use vixp2p::mesh::Input;
use vixp2p::wire::Message;
use vixp2p::wire::message::{OutboxHeld, OutboxPull};

use crate::solo::{Solo, events, id, log, sent};

fn pull() -> Message {
    Message::OutboxPull(OutboxPull { target: id(9), max_items: 5000 })
}

fn ranges() -> Vec<LogRange> {
    vec![LogRange { log: log(3), first: 1, last: 4 }]
}

#[test]
fn a_trusted_peer_is_answered_one_question_at_a_time() {
    let mut solo = Solo::new();
    let (link, _) = solo.join(8);
    let seen = solo.receive(link, pull());
    assert!(matches!(&events(&seen)[..], [Event::OutboxPulled { peer, target, max_items: 1024 }] if (*peer, *target) == (id(8), id(9))));
    assert!(events(&solo.receive(link, pull())).is_empty(), "the first is not answered yet");
    let seen = solo.step(Input::TellHeld { peer: id(8), target: id(9), ranges: ranges() });
    assert_eq!(sent(&seen, link), [Message::OutboxHeld(OutboxHeld { target: id(9), ranges: ranges() })]);
    assert!(sent(&solo.step(Input::TellHeld { peer: id(8), target: id(9), ranges: ranges() }), link).is_empty());
    assert_eq!(events(&solo.receive(link, pull())).len(), 1);
}

#[test]
fn what_a_peer_answers_is_told_and_whoever_is_gone_is_not_asked() {
    let mut solo = Solo::new();
    let (link, _) = solo.join(8);
    let seen = solo.step(Input::PullOutbox { peer: id(8), target: id(9), max_items: 0 });
    assert_eq!(sent(&seen, link), [Message::OutboxPull(OutboxPull { target: id(9), max_items: 1 })]);
    let seen = solo.receive(link, Message::OutboxHeld(OutboxHeld { target: id(9), ranges: ranges() }));
    assert!(matches!(&events(&seen)[..], [Event::OutboxHeld { peer, target, ranges: told }]
        if (*peer, *target) == (id(8), id(9)) && *told == ranges()));
    assert!(solo.step(Input::PullOutbox { peer: id(7), target: id(9), max_items: 1 }).is_empty());
}

#[test]
fn a_stranger_is_told_nothing_and_tells_nothing() {
    let stranger = |settings: &mut vixp2p::mesh::MeshSettings| settings.trust = TrustTable::new(TrustPolicy::Open, 1, []).into();
    let mut solo = Solo::with(stranger, Vec::new());
    let (link, _) = solo.join(8);
    for message in [pull(), Message::OutboxHeld(OutboxHeld { target: id(9), ranges: ranges() })] {
        assert!(solo.receive(link, message).is_empty());
    }
    assert!(solo.step(Input::TellHeld { peer: id(8), target: id(9), ranges: ranges() }).is_empty());
}
