//! Snapshots where something goes wrong: parts that cannot be read, states that cannot be replaced, nodes that were set back or are apart.

use vixp2p::Event;
use vixp2p::base::{Incarnation, LinkId, LogId};
use vixp2p::mesh::io::{Examined, Kept, SnapshotInput};
use vixp2p::mesh::{Input, Output};
use vixp2p::wire::Message;
use vixp2p::wire::message::{Decline, Part, SnapshotData, SnapshotDecline, SnapshotFetch, SnapshotId, SnapshotOffer};

use crate::snapshots::{
    based, data, declines, fetches, given, hashes, hold, installs, makes, offer, offered, offers, place, places, taker, tell,
};
use crate::solo::{Solo, ack, events, group, id, log, sent};

#[test]
fn a_part_that_cannot_be_read_has_the_snapshot_offered_again_later_and_at_last_another_one_made() {
    let mut solo = based(&[(log(5), 20, 20, 10)]);
    hold(&mut solo, offer(10, 9), vec![place(log(5), 20, 20)]);
    let (link, _) = solo.join_with(7, &[]);
    assert_eq!(offers(&solo.wait(1_000), link), [10]);
    let unread = |solo: &mut Solo, index| {
        let (id, part) = (SnapshotId([10; 32]), Part::Piece(index));
        solo.receive(link, Message::SnapshotFetch(SnapshotFetch { id, part }));
        tell(solo, SnapshotInput::ReadDone { link, id, part, bytes: None })
    };
    for pause in [5_000, 10_000] {
        let mut seen = unread(&mut solo, 1);
        assert_eq!(
            sent(&seen, link),
            [Message::SnapshotData(SnapshotData { id: SnapshotId([10; 32]), part: Part::Piece(1), bytes: None })]
        );
        // What was under way with it counts no more.
        seen.extend(unread(&mut solo, 2));
        seen.extend(solo.wait(pause - 1_000));
        assert_eq!((offers(&seen, link), makes(&seen)), (vec![], 0), "{pause}");
        assert_eq!(offers(&solo.wait(2_000), link), [10], "{pause}");
    }
    unread(&mut solo, 3);
    assert_eq!(makes(&solo.wait(2_000)), 1);
    hold(&mut solo, offer(20, 9), vec![place(log(5), 20, 20)]);
    assert_eq!(offers(&solo.wait(40_000), link), [20]);
}

#[test]
fn a_snapshot_that_went_while_a_part_was_read_gives_way_to_the_next_at_once() {
    let mut solo = based(&[(log(5), 20, 20, 10)]);
    hold(&mut solo, offer(10, 9), vec![place(log(5), 20, 20)]);
    let (link, _) = solo.join_with(7, &[]);
    solo.wait(1_000);
    let (id, part) = (SnapshotId([10; 32]), Part::Piece(1));
    solo.receive(link, Message::SnapshotFetch(SnapshotFetch { id, part }));
    hold(&mut solo, offer(20, 9), vec![place(log(5), 20, 20)]);
    tell(&mut solo, SnapshotInput::Gone { id });
    tell(&mut solo, SnapshotInput::ReadDone { link, id, part, bytes: None });
    assert_eq!(offers(&solo.wait(1_000), link), [20]);
}

#[test]
fn a_snapshot_that_lacks_anothers_records_which_are_let_go_of_here_is_waited_for_until_it_has_them() {
    // Number 1's log is cut at 500 here; its giver is at 300 for the moment.
    let mut solo = based(&[(log(5), 3, 3, 0), (log(1), 600, 600, 500)]);
    let (seven, _) = solo.join_with(7, &[(log(5), 3), (log(1), 300)]);
    let places = |seq| vec![place(log(1), seq, seq), place(log(2), 9, 9)];
    let seen = offered(&mut solo, seven, &offer(10, 1), &places(300), Some(Vec::new()));
    assert_eq!((declines(&seen, seven), installs(&seen)), (vec![Decline::Behind], 0), "it makes a newer one");
    assert_eq!(installs(&offered(&mut solo, seven, &offer(20, 1), &places(600), Some(Vec::new()))), 1);
}

#[test]
fn a_state_that_cannot_be_replaced_is_tried_again_after_ever_longer_pauses() {
    let (mut solo, seven, _) = taker();
    let mut seen = offered(&mut solo, seven, &offer(10, 1), &places(), Some(Vec::new()));
    for seconds in [5, 10, 20, 40, 80] {
        assert_eq!(installs(&seen), 1);
        let id = SnapshotId([10; 32]);
        tell(&mut solo, SnapshotInput::NotInstalled { id });
        assert!(fetches(&solo.wait(seconds * 1_000 - 1_000), seven).is_empty(), "{seconds}");
        assert_eq!(fetches(&solo.wait(2_000), seven), [Part::Manifest], "{seconds}");
        solo.receive(seven, data(10, Part::Manifest, 100));
        let verdict = Examined::Good { places: places(), missing: Some(Vec::new()) };
        seen = tell(&mut solo, SnapshotInput::Examined { link: seven, id, verdict });
    }
    tell(&mut solo, SnapshotInput::Installed { id: SnapshotId([10; 32]), places: places() });
    let further = vec![place(log(1), 32, 30), place(log(2), 19, 19)];
    offered(&mut solo, seven, &offer(20, 1), &further, Some(Vec::new()));
    tell(&mut solo, SnapshotInput::NotInstalled { id: SnapshotId([20; 32]) });
    assert_eq!(fetches(&solo.wait(6_000), seven), [Part::Manifest], "one that was taken ends the row");
}

#[test]
fn a_neighbour_that_could_not_read_a_part_is_asked_again_when_it_offers_the_snapshot_again() {
    let (mut solo, seven, _) = taker();
    offered(&mut solo, seven, &offer(10, 2), &places(), None);
    let seen = hashes(&mut solo, seven, 10, 2);
    assert_eq!(fetches(&seen, seven).len(), 2);
    given(&mut solo, seven, (10, 10), Part::Piece(0), Kept::Piece);
    let none = |part| Message::SnapshotData(SnapshotData { id: SnapshotId([10; 32]), part, bytes: None });
    let mut seen = solo.receive(seven, none(Part::Piece(1)));
    seen.extend(solo.wait(4_000));
    assert!(fetches(&seen, seven).is_empty());
    let seen = solo.receive(seven, Message::SnapshotOffer(offer(10, 2)));
    assert_eq!(fetches(&seen, seven), [Part::Piece(1)], "what was missing");
    assert_eq!(installs(&given(&mut solo, seven, (10, 10), Part::Piece(1), Kept::Piece)), 1);
}

#[test]
fn two_nodes_that_both_let_go_of_what_the_other_lacks_of_third_logs_are_told_once_with_the_peers_name() {
    let mut solo = based(&[(log(1), 90, 90, 60), (log(2), 10, 10, 0)]);
    let (seven, _) = solo.join_with(7, &[(log(1), 20), (log(2), 80)]);
    let seen = offered(&mut solo, seven, &offer(10, 1), &[place(log(1), 20, 20), place(log(2), 80, 80)], None);
    let told = |seen: &[Output]| events(seen).into_iter().filter(|e| matches!(e, Event::LogFailed { .. })).count();
    assert!(
        matches!(&events(&seen)[..], [Event::LogFailed { detail }]
        if detail.contains(&id(7).short()) && detail.contains("up to record 20, and records up to 60")),
        "{seen:?}"
    );
    assert_eq!(declines(&seen, seven), [Decline::Behind]);
    let seen = offered(&mut solo, seven, &offer(20, 1), &[place(log(1), 20, 20), place(log(2), 81, 81)], None);
    assert_eq!((told(&seen), declines(&seen, seven)), (0, vec![Decline::Behind]), "once a link");
    // A peer that has everything that went, and only lacks what it can be pushed.
    let mut solo = based(&[(log(1), 90, 90, 60), (log(2), 10, 10, 0)]);
    let (seven, _) = solo.join_with(7, &[(log(1), 70), (log(2), 80)]);
    let seen = offered(&mut solo, seven, &offer(10, 1), &[place(log(1), 20, 20), place(log(2), 80, 80)], None);
    assert_eq!(told(&seen), 0);
}

#[test]
fn a_node_that_was_set_back_counts_no_acks_of_what_it_has_lost_and_takes_a_snapshot_of_it_under_a_new_log() {
    let mut solo = based(&[(log(5), 50, 50, 0)]);
    // It had written 120 records, and number 7 has let go of 100 of them.
    let (seven, _) = solo.join_with(7, &[(log(5), 120)]);
    let acked = |solo: &Solo| solo.mesh.log(log(5)).expect("the own log").acked;
    assert_eq!(acked(&solo), []);
    solo.durable(vec![group(log(5), 51, 121, 10)]);
    let seen = solo.receive(seven, ack(log(5), 121, 121));
    assert!(acked(&solo).is_empty() && events(&seen).is_empty(), "{seen:?}");
    solo.receive(seven, Message::SnapshotOffer(offer(10, 1)));
    solo.receive(seven, data(10, Part::Manifest, 100));
    // The carrier finds the origin's seal over other records in the manifest.
    let fresh = LogId { incarnation: Incarnation(99), ..log(5) };
    solo.step(Input::Renewed { log: fresh });
    let id = SnapshotId([10; 32]);
    let verdict = Examined::Good { places: vec![place(log(5), 130, 130)], missing: Some(Vec::new()) };
    let seen = tell(&mut solo, SnapshotInput::Examined { link: seven, id, verdict });
    assert_eq!((installs(&seen), declines(&seen, seven)), (1, vec![]));
    let seen = tell(&mut solo, SnapshotInput::Installed { id, places: vec![place(log(5), 130, 130)] });
    assert!(sent(&seen, seven).contains(&ack(log(5), 130, 130)), "{seen:?}");
}

#[test]
fn old_snapshots_that_several_peers_decline_do_not_put_off_the_one_that_is_made_for_them() {
    let mut solo = based(&[(log(5), 20, 20, 10)]);
    let places = || vec![place(log(5), 20, 20)];
    let own = |n| SnapshotOffer { maker: id(5), ..offer(n, 1) };
    let no = |n| Message::SnapshotDecline(SnapshotDecline { id: SnapshotId([n; 32]), why: Decline::Behind });
    hold(&mut solo, own(10), places());
    hold(&mut solo, own(20), places());
    let links: Vec<LinkId> = [7, 8, 9].iter().map(|peer| solo.join_with(*peer, &[]).0).collect();
    for n in [20, 10] {
        solo.wait(1_000);
        links.iter().for_each(|link| drop(solo.receive(*link, no(n))));
    }
    assert_eq!(makes(&solo.wait(1_000)), 1);
    hold(&mut solo, own(30), places());
    solo.wait(1_000);
    links.iter().for_each(|link| drop(solo.receive(*link, no(30))));
    assert_eq!(makes(&solo.wait(11_000)), 1, "ten seconds after the one before");
}
