//! What the application answers to records: applied, later, never; and where it stands by its own word.

use vixp2p::base::Event;
use vixp2p::mesh::{Input, Mesh, MeshSettings, Output};
use vixp2p::sync::LogState;
use vixp2p::{Config, base::Time};

use crate::solo::{Solo, ack, events, group, id, log, push, sent};

fn applies(outputs: &[Output]) -> Vec<(u64, u64)> {
    outputs.iter().filter_map(|o| if let Output::Apply { from, upto, .. } = o { Some((*from, *upto)) } else { None }).collect()
}

fn parks(outputs: &[Output]) -> Vec<(u64, Option<u64>)> {
    outputs.iter().filter_map(|o| if let Output::Park { applied, parked, .. } = o { Some((*applied, *parked)) } else { None }).collect()
}

#[test]
fn a_poisoned_record_parks_its_log_alone_and_the_log_goes_on_being_stored() {
    let mut solo = Solo::with(|_| {}, Vec::new());
    let (link, _) = solo.join_with(1, &[]);
    let new = group(log(1), 1, 4, 100);
    solo.receive(link, push(&new));
    solo.durable(vec![new]);
    let seen = solo.step(Input::ApplyPoisoned { log: log(1), seq: 3 });
    assert_eq!(parks(&seen), [(2, Some(3))]);
    assert!(matches!(events(&seen)[..], [Event::ApplyParked { seq: 3, .. }]));
    assert_eq!(sent(&seen, link), [ack(log(1), 4, 2)], "the origin learns how far it is applied");
    let more = group(log(1), 5, 6, 100);
    solo.receive(link, push(&more));
    let seen = solo.durable(vec![more]);
    assert_eq!((sent(&seen, link), applies(&seen)), (vec![ack(log(1), 6, 2)], vec![]));
    assert!(applies(&solo.wait(600_000)).is_empty(), "no pause ends it");
    let (other, _) = solo.join_with(2, &[]);
    let theirs = group(log(2), 1, 1, 100);
    solo.receive(other, push(&theirs));
    assert_eq!(applies(&solo.durable(vec![theirs])), [(1, 1)], "other origins are not concerned");
    assert_eq!(solo.mesh.logs().iter().find(|view| view.log == log(1)).and_then(|view| view.parked), Some(3));
}

#[test]
fn a_parked_log_goes_on_by_order_only_with_the_record_or_behind_it() {
    for (skip, applied, offered) in [(false, 2, (3, 4)), (true, 3, (4, 4))] {
        let mut solo = Solo::with(|_| {}, vec![(log(1), 4, 0)]);
        assert_eq!(applies(&solo.step(Input::Tick)), [(1, 4)]);
        solo.step(Input::ApplyPoisoned { log: log(1), seq: 3 });
        let seen = solo.step(Input::ApplyResume { log: log(1), skip });
        assert_eq!((parks(&seen), applies(&seen)), (vec![(applied, None)], vec![offered]));
        assert!(matches!(events(&seen)[..], [Event::ApplyResumed { seq: 3, skipped, .. }] if skipped == skip));
        assert!(solo.step(Input::ApplyResume { log: log(1), skip }).is_empty(), "nothing is parked any more");
    }
}

#[test]
fn a_log_that_was_parked_is_so_after_a_restart_unless_the_application_went_past_it() {
    let begin = |applied, parked| {
        let state = LogState { log: log(1), durable: 9, applied, parked, frozen: None, base: 0 };
        let mut mesh = Mesh::resume(MeshSettings::from_config(&Config::new("n"), id(5)), vec![state], log(5), 1);
        mesh.handle(Time::ZERO, Input::Tick);
        std::iter::from_fn(|| mesh.next_output()).collect::<Vec<_>>()
    };
    let seen = begin(4, Some(5));
    assert!(applies(&seen).is_empty() && matches!(events(&seen)[..], [Event::ApplyParked { seq: 5, .. }]));
    assert_eq!(applies(&begin(6, Some(5))), [(7, 9)]);
}

#[test]
fn an_application_that_is_ahead_of_what_is_here_gets_nothing_twice_and_tells_no_lie() {
    let mut solo = Solo::with(|_| {}, vec![(log(1), 3, 8)]);
    assert!(applies(&solo.step(Input::Tick)).is_empty());
    let (link, _) = solo.join_with(2, &[]);
    let back = group(log(1), 4, 6, 100);
    solo.receive(link, push(&back));
    let seen = solo.durable(vec![back]);
    assert_eq!((applies(&seen), sent(&seen, link)), (vec![], vec![ack(log(1), 6, 6)]));
    let new = group(log(1), 7, 10, 100);
    solo.receive(link, push(&new));
    assert_eq!(applies(&solo.durable(vec![new])), [(9, 10)]);
}

#[test]
fn what_this_node_wrote_itself_is_never_offered_to_its_application() {
    let mut solo = Solo::with(|_| {}, Vec::new());
    let (link, _) = solo.join_with(2, &[]);
    let mut former = log(5);
    former.incarnation = vixp2p::base::Incarnation(99);
    let back = group(former, 1, 3, 100);
    solo.receive(link, push(&back));
    let seen = solo.durable(vec![back]);
    assert_eq!((applies(&seen), sent(&seen, link)), (vec![], vec![ack(former, 3, 3)]));
}
