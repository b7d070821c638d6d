//! What discovery hears and what becomes of it: dials that are brought forward, links that are asked.

use vixp2p::base::close::Distrust;
use vixp2p::base::{CloseReason, Endpoint, LinkId, limits};
use vixp2p::mesh::{Inbound, Input, Output};
use vixp2p::wire::Message;

use crate::solo::{Solo, closes, dials, events, id, retries, sent};

const GAP: u64 = limits::DIAL_DEDUPE_GAP.as_millis() as u64;

fn refused() -> CloseReason {
    CloseReason::Refused("nobody".into())
}

fn heard(host: &str, fresh: bool, proven: bool) -> Input {
    Input::Heard { endpoint: Endpoint::tcp(host, 1), fresh, restarted: false, proven }
}

fn restarted(host: &str, proven: bool) -> Input {
    Input::Heard { endpoint: Endpoint::tcp(host, 1), fresh: true, restarted: true, proven }
}

fn found(host: &str, proven: bool) -> Input {
    Input::Found { endpoint: Endpoint::tcp(host, 1), proven }
}

/// A mesh whose target has failed so often that its next dial is far away; when the last one failed is now.
fn backing_off(host: &str) -> Solo {
    let mut solo = Solo::new();
    let mut link = dials(&solo.connect(host, true))[0];
    for _ in 0..5 {
        solo.fail(link, refused());
        link = std::iter::repeat_with(|| dials(&solo.wait(100))).find(|begun| !begun.is_empty()).expect("redialled")[0];
    }
    assert!(retries(&solo.fail(link, refused()))[0].expect("again") > 10_000);
    solo
}

#[test]
fn who_announces_itself_is_dialled_at_once_whatever_pause_there_was() {
    for fresh in [false, true] {
        let mut solo = backing_off("a");
        assert!(dials(&solo.step(heard("b", fresh, false))).is_empty(), "somebody else");
        assert!(dials(&solo.step(heard("a", fresh, false))).is_empty(), "the last attempt has just begun");
        assert_eq!(dials(&solo.wait(GAP)).len(), 1);
        let mut solo = backing_off("a");
        solo.wait(GAP);
        assert_eq!(dials(&solo.step(heard("a", fresh, true))).len(), 1);
    }
}

#[test]
fn who_announces_itself_and_always_fails_has_its_pauses_but_for_a_few_dials_a_minute() {
    let mut solo = backing_off("a");
    let mut attempts = 0;
    for second in 0..600 {
        let mut begun = dials(&solo.step(heard("a", second == 0, second % 3 == 0)));
        begun.extend(dials(&solo.wait(1_000)));
        attempts += begun.len();
        for link in begun {
            solo.fail(link, refused());
        }
    }
    // By its pauses alone it would be dialled some fifty times.
    assert!((40..=50 + 10 * limits::SIGN_DIALS_MAX as usize).contains(&attempts), "{attempts} dials in ten minutes");
}

#[test]
fn where_only_a_person_can_help_announcements_bring_nothing_forward_but_a_restart_does() {
    for reason in [CloseReason::MaxPeers, CloseReason::BadVersion("1".into()), CloseReason::Untrusted(Distrust::Told)] {
        let mut solo = backing_off("a");
        let link = dials(&solo.wait(20_000))[0];
        solo.fail(link, reason.clone());
        solo.wait(GAP);
        assert!(dials(&solo.step(heard("a", false, true))).is_empty(), "{reason}");
        assert!(dials(&solo.step(heard("a", true, true))).is_empty(), "silence is nobody's doing: {reason}");
        let again = dials(&solo.step(restarted("a", true)));
        assert_eq!(again.len(), 1, "{reason}");
        solo.fail(again[0], reason.clone());
        // A run is easily forged, and a node of the first protocol has another one in each announcement.
        let mut attempts = 0;
        for second in 0..110 {
            let mut begun = dials(&solo.step(restarted("a", second % 2 == 0)));
            begun.extend(dials(&solo.wait(1_000)));
            attempts += begun.len();
            begun.into_iter().for_each(|link| drop(solo.fail(link, reason.clone())));
        }
        assert!((5..=9).contains(&attempts), "{attempts} dials where every fifteen seconds is the pause: {reason}");
    }
}

#[test]
fn a_restart_that_is_heard_when_nobody_may_be_dialled_is_remembered_until_the_next_attempt() {
    let mut solo = backing_off("a");
    let link = dials(&solo.wait(20_000))[0];
    solo.fail(link, CloseReason::MaxPeers);
    solo.wait(GAP);
    for n in 0..5 {
        solo.step(found(&format!("10.1.0.{n}"), false));
    }
    assert!(dials(&solo.step(restarted("a", false))).is_empty(), "others have their turn before");
    assert!(solo.wait(4_000).iter().all(|output| !matches!(output, Output::Dial { endpoint, .. } if endpoint.host == "a")));
    assert_eq!(dials(&solo.step(heard("a", false, false))).len(), 1);
}

#[test]
fn endpoints_that_fail_and_are_named_again_in_their_pauses_get_two_dials_a_second_together() {
    let mut solo = Solo::new();
    let mut begun = 0;
    for tick in 0..600u64 {
        let host = |n: u64| format!("10.1.0.{}", n % 40);
        let mut outputs = solo.step(found(&host(tick), false));
        outputs.extend(solo.step(heard(&host(tick * 7 + 3), tick % 5 == 0, false)));
        outputs.extend(solo.wait(100));
        for link in dials(&outputs) {
            begun += 1;
            solo.fail(link, refused());
        }
    }
    assert!((60..=121).contains(&begun), "{begun} dials in a minute");
}

#[test]
fn whoever_forges_announcements_gets_two_dials_a_second_old_and_new_endpoints_together() {
    let mut solo = Solo::new();
    let hosts: Vec<String> = (0..20).map(|n| format!("10.0.0.{n}")).collect();
    for host in &hosts {
        dials(&solo.connect(host, true)).into_iter().for_each(|link| drop(solo.fail(link, refused())));
    }
    // Long enough for every pause to be over fifteen seconds, which are the targets' own.
    for _ in 0..90 {
        dials(&solo.wait(1_000)).into_iter().for_each(|link| drop(solo.fail(link, refused())));
    }
    let mut begun = Vec::new();
    for tick in 0..160u64 {
        let mut outputs = solo.step(Input::Found { endpoint: Endpoint::tcp(format!("10.1.0.{tick}"), 1), proven: false });
        for host in &hosts {
            outputs.extend(solo.step(heard(host, true, false)));
        }
        outputs.extend(solo.wait(25));
        for output in &outputs {
            if let Output::Dial { link, endpoint, .. } = output {
                begun.push((solo.now.as_millis(), endpoint.host.starts_with("10.1.")));
                solo.fail(*link, refused());
            }
        }
    }
    let found = begun.iter().filter(|(_, is_found)| *is_found).count();
    // Some of the twenty come by their own pauses meanwhile: four seconds of at most fifteen and a tenth.
    assert!(begun.len() <= 9 + 20 && found <= 9, "{begun:?}");
}

#[test]
fn members_of_the_cluster_are_dialled_without_waiting_for_each_other() {
    let mut solo = Solo::new();
    let found = |n| Input::Found { endpoint: Endpoint::tcp(format!("10.1.0.{n}"), 1), proven: true };
    assert_eq!((0..9).flat_map(|n| dials(&solo.step(found(n)))).count(), 9);
    let mut solo = Solo::new();
    let found = |n| Input::Found { endpoint: Endpoint::tcp(format!("10.1.0.{n}"), 1), proven: false };
    assert_eq!((0..9).flat_map(|n| dials(&solo.step(found(n)))).count(), 1);
    assert_eq!(dials(&solo.wait(1_000)).len(), 2);
}

#[test]
fn a_dial_that_nobody_answers_begins_again_when_somebody_speaks_there() {
    let mut solo = Solo::new();
    let first = dials(&solo.connect("a", true))[0];
    solo.wait(GAP - 1);
    assert!(closes(&solo.step(heard("a", true, false))).is_empty(), "it has just begun");
    solo.wait(1);
    let seen = solo.step(heard("a", false, false));
    assert_eq!((closes(&seen), dials(&seen).len(), events(&seen).len()), (vec![(first, CloseReason::Duplicate)], 1, 0));
    // One whose connection is open is at work, unless whoever was there has gone: not because somebody says so whom nobody knows.
    let second = dials(&seen)[0];
    solo.step(Input::Dialled { link: second });
    solo.wait(GAP);
    assert!(closes(&solo.step(heard("a", false, false))).is_empty());
    assert!(closes(&solo.step(restarted("a", false))).is_empty());
    assert!(closes(&solo.step(heard("a", true, true))).is_empty());
    assert_eq!(closes(&solo.step(restarted("a", true))), [(second, CloseReason::Duplicate)]);
    assert_eq!(solo.mesh.stats().connect_failures, 0);
}

#[test]
fn a_peer_that_comes_back_has_its_old_link_asked_and_one_that_only_speaks_has_not() {
    let mut solo = Solo::new();
    let link = dials(&solo.connect("a", true))[0];
    solo.authenticate(link, 7);
    solo.wait(1_000);
    assert!(sent(&solo.step(heard("a", false, true)), link).is_empty());
    assert!(matches!(sent(&solo.step(heard("a", true, false)), link)[..], [Message::Ping { .. }]));
    // Once a second, however often it comes back.
    let seen: Vec<Output> = (0..20).flat_map(|_| solo.step(restarted("a", false)).into_iter().chain(solo.wait(100))).collect();
    assert_eq!(sent(&seen, link).len(), 2);
    // An announcement proves nothing: the link has its whole time.
    assert!(closes(&solo.wait(11_000)).is_empty());
}

#[test]
fn what_was_found_and_failed_is_dialled_again_when_it_speaks_and_what_was_left_is_not() {
    let mut solo = Solo::new();
    let link = dials(&solo.step(Input::Found { endpoint: Endpoint::tcp("a", 1), proven: false }))[0];
    solo.fail(link, refused());
    solo.wait(GAP);
    let again = dials(&solo.step(heard("a", false, false)));
    assert_eq!(again.len(), 1);
    solo.authenticate(again[0], 7);
    solo.step(Input::Disconnect { peer: id(7) });
    solo.wait(GAP);
    assert_eq!(dials(&solo.step(heard("a", true, false))), Vec::<LinkId>::new());
}

#[test]
fn a_peer_refused_as_a_second_link_has_the_first_one_asked_and_closed_if_that_is_dead() {
    let mut solo = Solo::new();
    // Number 3 is less than this node's 5: of two dials at once this node's stays.
    let first = dials(&solo.connect("a", true))[0];
    solo.authenticate(first, 3);
    let (second, seen) = solo.join(3);
    assert_eq!(closes(&seen), [(second, CloseReason::Duplicate)]);
    assert!(sent(&seen, first).is_empty(), "both have just begun");
    solo.wait(1_000);
    let (third, seen) = solo.join(3);
    assert_eq!(closes(&seen), [(third, CloseReason::Duplicate)]);
    assert!(matches!(sent(&seen, first)[..], [Message::Ping { .. }]));
    // One that does not read because it is behind asks from its side within an interval, and so it lives.
    assert!(closes(&solo.wait(6_900)).is_empty());
    let seen = solo.wait(100);
    assert_eq!(closes(&seen), [(first, CloseReason::Stale)]);
    assert_eq!(dials(&solo.wait(500)).len(), 1);
}

#[test]
fn a_peer_that_comes_again_while_its_link_leaves_a_question_unanswered_has_the_new_link() {
    for answers in [false, true] {
        let mut solo = Solo::new();
        let first = dials(&solo.connect("a", true))[0];
        solo.authenticate(first, 3);
        solo.wait(1_000);
        let (second, seen) = solo.join(3);
        assert_eq!(closes(&seen), [(second, CloseReason::Duplicate)]);
        solo.wait(900);
        let (third, seen) = solo.join(3);
        assert_eq!(closes(&seen), [(third, CloseReason::Duplicate)], "the answer may be on its way");
        if answers {
            solo.step(Input::Received { link: first, items: vec![Inbound::Message(Message::Ping { nonce: 1 })] });
        }
        solo.wait(100);
        let (fourth, seen) = solo.join(3);
        let closed = if answers { fourth } else { first };
        assert_eq!(closes(&seen), [(closed, CloseReason::Duplicate)]);
    }
}

#[test]
fn a_link_that_was_asked_for_another_reason_keeps_its_place_when_its_peer_comes_for_the_first_time() {
    let mut solo = Solo::new();
    let first = dials(&solo.connect("a", true))[0];
    solo.authenticate(first, 3);
    solo.wait(1_000);
    solo.step(Input::NetworkChanged);
    solo.wait(1_100);
    let (second, seen) = solo.join(3);
    assert_eq!(closes(&seen), [(second, CloseReason::Duplicate)]);
}

#[test]
fn a_link_that_is_doubted_and_whose_peer_does_not_answer_but_asks_stays() {
    let mut solo = Solo::new();
    let first = dials(&solo.connect("a", true))[0];
    solo.authenticate(first, 3);
    solo.wait(1_000);
    solo.join(3);
    assert!(closes(&solo.wait(4_000)).is_empty());
    solo.step(Input::Received { link: first, items: vec![Inbound::Message(Message::Ping { nonce: 1 })] });
    assert!(closes(&solo.wait(10_000)).is_empty());
}

#[test]
fn a_dial_refused_by_a_peer_that_holds_a_dead_link_is_made_again_soon_and_another_after_the_stale_time() {
    let mut solo = Solo::new();
    let link = dials(&solo.connect("a", true))[0];
    solo.step(Input::Reached { link, peer: id(7) });
    solo.fail(link, CloseReason::Duplicate);
    assert_eq!(dials(&solo.wait(3_000)).len(), 1);
    let mut solo = Solo::new();
    let link = dials(&solo.connect("a", true))[0];
    solo.fail(link, CloseReason::Duplicate);
    assert!(dials(&solo.wait(14_000)).is_empty(), "whoever it is may be connected");
    assert_eq!(dials(&solo.wait(1_000)).len(), 1);
}
