//! What the machine says to whom, and what it makes of what it hears.

use core::net::{IpAddr, SocketAddr};

use proptest::prelude::*;

use super::*;
use crate::base::config::Psk;
use crate::wire::v1::DiscoveryAnnounce;

const PATH: PathId = PathId(1);

fn psk(byte: u8) -> Psk {
    Psk::new([byte; 32])
}

fn machine(name: &str, tcp_port: u16, seals: Seals, seed: u64) -> Discovery {
    let config = DiscoveryConfig::default();
    let mut machine = Discovery::new(DiscoverySettings { node_id: name.into(), tcp_port, config, unix_ms: 1_700_000_000_000, seals, seed });
    machine.set_paths(Time::ZERO, [PATH]);
    machine
}

fn outputs(machine: &mut Discovery) -> Vec<Output> {
    std::iter::from_fn(|| machine.next_output()).collect()
}

fn announcement(machine: &mut Discovery) -> Vec<u8> {
    let said = outputs(machine);
    said.into_iter().find_map(|output| if let Output::Announce { datagram, .. } = output { Some(datagram) } else { None }).expect("said")
}

fn answer(outputs: &[Output]) -> Option<(SocketAddr, Vec<u8>)> {
    outputs.iter().find_map(|output| if let Output::Answer { to, datagram, .. } = output { Some((*to, datagram.clone())) } else { None })
}

fn found(outputs: &[Output]) -> Vec<String> {
    let name = |output: &Output| if let Output::Found { endpoint, .. } = output { Some(endpoint.to_string()) } else { None };
    outputs.iter().filter_map(name).collect()
}

fn from(last: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, last], 40_000 + u16::from(last)))
}

fn forged(port: u16, nonce: u64) -> Vec<u8> {
    format!(r#"{{"node_id":"x","tcp_port":{port},"ts_ms":1,"nonce":{nonce}}}"#).into_bytes()
}

/// Both say something; what each makes of the other within the exchange that follows.
fn meet(a: &mut Discovery, b: &mut Discovery, now: Time) -> (Vec<String>, Vec<String>, usize) {
    let (mut found_by_a, mut found_by_b, mut said) = (Vec::new(), Vec::new(), 1);
    let mut wire = vec![(false, announcement(a))];
    outputs(b);
    while let Some((to_a, datagram)) = wire.pop() {
        let (machine, sender, seen) = if to_a { (&mut *a, from(2), &mut found_by_a) } else { (&mut *b, from(1), &mut found_by_b) };
        machine.receive(now, PATH, sender, &datagram);
        let out = outputs(machine);
        seen.extend(found(&out));
        if let Some((to, datagram)) = answer(&out) {
            assert_eq!(to, sender);
            said += 1;
            wire.push((!to_a, datagram));
        }
        assert!(said < 20, "they do not stop");
    }
    (found_by_a, found_by_b, said)
}

#[test]
fn two_nodes_find_each_other_in_one_round_trip() {
    let (mut a, mut b) = (machine("a", 1, Seals::new(None, None), 1), machine("b", 2, Seals::new(None, None), 2));
    let (by_a, by_b, said) = meet(&mut a, &mut b, Time::ZERO);
    assert_eq!((by_a, by_b, said), (vec!["tcp://10.0.0.2:2".to_owned()], vec!["tcp://10.0.0.1:1".to_owned()], 2));
    assert_eq!(b.snapshot(Time::from_millis(3))[0].node_id, "a");
}

#[test]
fn members_of_a_cluster_find_each_other_once_each_has_answered_the_other() {
    let seals = || Seals::new(Some(&psk(1)), None);
    let (mut a, mut b) = (machine("a", 1, seals(), 1), machine("b", 2, seals(), 2));
    let (by_a, by_b, said) = meet(&mut a, &mut b, Time::ZERO);
    assert_eq!((by_a.len(), by_b.len(), said), (1, 1, 3));
    assert!(a.snapshot(Time::ZERO)[0].authenticated && b.snapshot(Time::ZERO)[0].authenticated);
    for now in [2_500, 5_000, 7_500].map(Time::from_millis) {
        a.tick(now);
        b.tick(now);
        assert_eq!(meet(&mut a, &mut b, now).2, 1, "those who know each other just announce");
    }
}

#[test]
fn a_cluster_that_changes_its_secret_stays_together() {
    let old = || Seals::new(Some(&psk(1)), None);
    let changing = || Seals::new(Some(&psk(2)), Some(&psk(1)));
    let (mut a, mut b) = (machine("a", 1, old(), 1), machine("b", 2, changing(), 2));
    assert!(!meet(&mut a, &mut b, Time::ZERO).0.is_empty(), "the answer comes under the key that was asked with");
}

#[test]
fn with_a_secret_nothing_unsealed_altered_or_foreign_counts() {
    let mut a = machine("a", 1, Seals::new(Some(&psk(1)), None), 1);
    let own = announcement(&mut a);
    let mut b = machine("b", 2, Seals::new(Some(&psk(1)), None), 2);
    let good = announcement(&mut b);
    let foreign = announcement(&mut machine("c", 3, Seals::new(Some(&psk(9)), None), 3));
    let open = announcement(&mut machine("d", 4, Seals::new(None, None), 4));
    let flipped = (0..good.len()).map(|at| {
        let mut bad = good.clone();
        bad[at] ^= 1;
        bad
    });
    for (n, bad) in flipped.chain([own, foreign, open, forged(5, 5)]).enumerate() {
        a.receive(Time::from_millis(1_000 * n as u64), PATH, from(3), &bad);
        assert_eq!(outputs(&mut a), []);
    }
    assert!(a.snapshot(Time::from_millis(1_000_000)).is_empty() && a.largest_table() == 1, "one address whose rate is watched");
}

#[test]
fn what_is_replayed_causes_no_dial_and_no_second_answer() {
    let seals = || Seals::new(Some(&psk(1)), None);
    let mut b = machine("b", 2, seals(), 2);
    let recorded = announcement(&mut b);
    let mut a = machine("a", 1, seals(), 1);
    let asked = announcement(&mut a);
    b.receive(Time::ZERO, PATH, from(1), &asked);
    let (_, proof) = answer(&outputs(&mut b)).expect("an answer");
    // A fresh run hears the recording, and the proof that was meant for the run before it.
    let mut later = machine("a", 1, seals(), 77);
    outputs(&mut later);
    for (n, datagram) in [&recorded, &proof, &recorded, &proof].into_iter().enumerate() {
        later.receive(Time::from_millis(n as u64), PATH, from(66), datagram);
        let out = outputs(&mut later);
        assert!(found(&out).is_empty(), "no dial");
        assert_eq!(answer(&out).is_some(), n < 2, "each asks once");
    }
    assert_eq!(later.counters().replayed, 2);
    // An answer that comes too late proves nothing either.
    a.receive(Time::from_millis(11_000), PATH, from(2), &proof);
    assert!(found(&outputs(&mut a)).is_empty());
}

#[test]
fn own_announcements_are_ignored_and_do_not_count_against_the_machine_they_come_from() {
    let mut a = machine("a", 1, Seals::new(None, None), 1);
    for n in 0..100 {
        a.tick(Time::from_millis(2_300 * n));
        let own = announcement(&mut a);
        a.receive(Time::ZERO, PATH, from(1), &own);
    }
    assert!(outputs(&mut a).is_empty() && a.largest_table() == 0);
    a.receive(Time::ZERO, PATH, from(1), &forged(2, 5));
    assert_eq!(found(&outputs(&mut a)).len(), 1, "another node there");
}

#[test]
fn v1_reads_what_is_announced_and_is_found_by_what_it_announces() {
    for seals in [Seals::new(None, None), Seals::new(Some(&psk(1)), None)] {
        let said = announcement(&mut machine("node-a", 9001, seals, 1));
        let v1 = DiscoveryAnnounce::from_json(&said).expect("v1 reads it");
        assert_eq!((v1.node_id.as_slice(), v1.tcp_port, v1.ts_ms), (b"node-a".as_slice(), 9001, 1_700_000_000_000));
    }
    let v1 = DiscoveryAnnounce { node_id: b"old".to_vec(), tcp_port: 7, ts_ms: 1, nonce: u64::MAX, capabilities: Vec::new() };
    let mut a = machine("a", 1, Seals::new(None, None), 1);
    outputs(&mut a);
    a.receive(Time::ZERO, PATH, from(2), &v1.to_json());
    let out = outputs(&mut a);
    assert_eq!(found(&out), ["tcp://10.0.0.2:7"]);
    assert!(answer(&out).is_none(), "the answer would be longer than the question");
}

#[test]
fn a_node_is_dialled_again_after_the_cooldown_and_forgotten_after_its_silence() {
    let mut a = machine("a", 1, Seals::new(None, None), 1);
    outputs(&mut a);
    let mut dials = Vec::new();
    for second in 0..20 {
        a.receive(Time::from_millis(1_000 * second), PATH, from(2), &forged(7, second));
        let found = outputs(&mut a).into_iter().find_map(|o| if let Output::Found { new, .. } = o { Some(new) } else { None });
        dials.extend(found.map(|new| (second, new)));
    }
    assert_eq!(dials, [(0, true), (8, false), (16, false)]);
    assert_eq!(a.snapshot(Time::from_millis(33_999)).len(), 1);
    assert!(a.snapshot(Time::from_millis(34_000)).is_empty());
    a.tick(Time::from_millis(35_000));
    assert_eq!(a.neighbours.len(), 0);
}

#[test]
fn the_link_local_address_keeps_its_interface() {
    let mut a = machine("a", 1, Seals::new(None, None), 1);
    outputs(&mut a);
    let link_local = "[fe80::1%3]:9".parse::<SocketAddr>().expect("address");
    a.receive(Time::ZERO, PATH, link_local, &forged(7, 1));
    assert_eq!(found(&outputs(&mut a)), ["tcp://[fe80::1%3]:7"]);
}

#[test]
fn nobody_is_taken_to_live_at_an_address_that_nobody_has() {
    let mut a = machine("a", 1, Seals::new(None, None), 1);
    outputs(&mut a);
    for text in ["0.0.0.0:9", "255.255.255.255:9", "239.255.0.1:9", "10.0.0.1:0", "[::]:9", "[ff02::1]:9"] {
        a.receive(Time::ZERO, PATH, text.parse().expect("address"), &forged(7, 1));
        assert_eq!(outputs(&mut a), [], "{text}");
    }
}

#[test]
fn a_label_that_does_not_fit_is_announced_as_far_as_it_does() {
    let name = "\u{1}".repeat(255);
    let said = announcement(&mut machine(&name, 1, Seals::new(Some(&psk(1)), None), 1));
    assert_eq!(said.len(), limits::ANNOUNCE_MAX_BYTES);
    let label = Beacon::parse(&said).expect("readable").announce.node_id;
    assert!(!label.is_empty() && name.starts_with(&label));
}

#[test]
fn a_new_path_is_announced_on_at_once_and_others_in_their_turn() {
    let mut a = machine("a", 1, Seals::new(None, None), 1);
    outputs(&mut a);
    a.set_paths(Time::from_millis(100), [PATH, PathId(2)]);
    assert!(matches!(outputs(&mut a).as_slice(), [Output::Announce { path: PathId(2), .. }]));
    let due = a.deadline().expect("a turn");
    assert!((2_000..2_200).contains(&due.as_millis()), "{due}");
    a.tick(due);
    assert!(matches!(outputs(&mut a).as_slice(), [Output::Announce { path: PATH, .. }]));
}

#[test]
fn a_node_that_does_not_listen_announces_nothing_and_finds_others() {
    let mut a = machine("a", 0, Seals::new(Some(&psk(1)), None), 1);
    assert_eq!(outputs(&mut a), []);
    a.receive(Time::ZERO, PATH, from(2), &announcement(&mut machine("b", 2, Seals::new(Some(&psk(1)), None), 2)));
    let out = outputs(&mut a);
    assert_eq!((found(&out).len(), answer(&out)), (1, None));
}

proptest! {
    /// Whatever comes from wherever: no table grows past its limit, no answer is longer than its question or goes elsewhere, and
    /// what is unproven causes two dials a second at most.
    #[test]
    fn no_input_makes_the_machine_loud(
        seed: u64, sealed: bool,
        heard in prop::collection::vec((0u64..400, any::<[u8; 4]>(), 1u16.., any::<u64>(), any::<bool>()), 1..200),
    ) {
        let key = psk(1);
        let seals = || Seals::new(sealed.then_some(&key), None);
        let mut a = machine("a", 1, seals(), seed);
        let mut other = machine("b", 2, seals(), !seed);
        outputs(&mut a);
        let (mut now, mut rumours) = (Time::ZERO, Vec::new());
        for (pause, ip, port, nonce, honest) in heard {
            now = now + Duration::from_millis(pause);
            other.tick(now);
            let said = outputs(&mut other).into_iter().find_map(|o| if let Output::Announce { datagram, .. } = o { Some(datagram) } else { None });
            let datagram = said.filter(|_| honest).unwrap_or_else(|| forged(port, nonce));
            let from = SocketAddr::new(IpAddr::from(ip), port);
            a.tick(now);
            let by_time = outputs(&mut a);
            a.receive(now, PATH, from, &datagram);
            let by_datagram = outputs(&mut a);
            prop_assert!(answer(&by_time).is_none());
            if let Some((to, answer)) = answer(&by_datagram) {
                prop_assert!(to == from && answer.len() <= datagram.len());
            }
            rumours.extend(found(&by_time).into_iter().chain(found(&by_datagram)).map(|_| now));
            prop_assert!(!sealed || rumours.is_empty(), "nobody has proven anything");
            prop_assert!(rumours.windows(2).all(|pair| pair[1].since(pair[0]) >= Duration::from_millis(500)));
        }
        prop_assert!(a.snapshot(now).len() <= limits::DISCOVERED_MAX);
    }
}

#[test]
fn whom_another_directory_names_is_a_rumour_at_the_rate_of_rumours() {
    let mut machine = machine("a", 1, Seals::new(None, None), 1);
    outputs(&mut machine);
    let mut dials = Vec::new();
    for tick in 0..100u64 {
        let now = Time::from_millis(tick * 50);
        (0..40).for_each(|n| machine.named(now, SocketAddr::from(([10, 0, 0, n], 9)), "named"));
        machine.tick(now);
        dials.extend(found(&outputs(&mut machine)));
    }
    assert_eq!((dials.len(), machine.snapshot(Time::from_millis(5_000)).len()), (10, 40));
    assert!(machine.snapshot(Time::from_millis(5_000)).iter().all(|row| !row.authenticated));
    (0..40).for_each(|n| machine.unnamed(SocketAddr::from(([10, 0, 0, n], 9))));
    assert!(machine.snapshot(Time::from_millis(5_000)).is_empty());
    machine.tick(Time::from_millis(5_600));
    assert_eq!(found(&outputs(&mut machine)), Vec::<String>::new(), "nobody waits for a dial any more");
}

#[test]
fn names_of_another_directory_fill_no_more_of_the_table_than_announcements() {
    let mut machine = machine("a", 1, Seals::new(None, None), 1);
    for n in 0..200_000u32 {
        machine.named(Time(u64::from(n)), SocketAddr::from(([10, 1, (n >> 8) as u8, n as u8], 1 + (n >> 16) as u16)), "f");
    }
    assert!(machine.largest_table() <= limits::DISCOVERED_MAX && machine.counters().crowded > 0);
    for port in 1..100 {
        machine.named(Time(0), SocketAddr::from(([10, 2, 0, 1], port)), "f");
    }
    for nobody in ["0.0.0.0:9", "224.0.0.251:9", "255.255.255.255:9", "10.3.0.1:0"] {
        machine.named(Time(0), nobody.parse().expect("address"), "f");
        assert!(machine.snapshot(Time(0)).iter().all(|row| row.endpoint.to_string() != format!("tcp://{nobody}")));
    }
}

#[test]
fn with_a_secret_the_names_of_another_directory_are_nothing() {
    let mut machine = machine("a", 1, Seals::new(Some(&psk(1)), None), 1);
    outputs(&mut machine);
    machine.named(Time::ZERO, from(2), "named");
    assert!(machine.snapshot(Time::ZERO).is_empty() && outputs(&mut machine).is_empty());
}

#[test]
fn who_announces_itself_stays_when_a_name_is_taken_back() {
    let mut machine = machine("a", 1, Seals::new(None, None), 1);
    machine.receive(Time::ZERO, PATH, from(2), &forged(9, 1 << 24));
    let place = SocketAddr::new(from(2).ip(), 9);
    machine.named(Time::ZERO, place, "x");
    machine.unnamed(place);
    assert_eq!(machine.snapshot(Time::ZERO).len(), 1);
    machine.named(Time::ZERO, SocketAddr::new(from(3).ip(), 9), "y");
    // Once it speaks for itself it is no mere name.
    machine.receive(Time::ZERO, PATH, from(3), &forged(9, 2 << 24));
    machine.unnamed(SocketAddr::new(from(3).ip(), 9));
    assert_eq!(machine.snapshot(Time::ZERO).len(), 2);
}

#[test]
fn names_of_another_directory_leave_room_for_whoever_announces_itself() {
    let mut machine = machine("a", 1, Seals::new(None, None), 1);
    let told = |machine: &mut Discovery, now| {
        (0..4096u16).for_each(|n| machine.named(now, SocketAddr::from(([10, 0, 1, (n / 32) as u8], 1 + n % 32)), "named"));
    };
    told(&mut machine, Time::ZERO);
    assert_eq!(machine.snapshot(Time::ZERO).len(), limits::DISCOVERED_NAMED_MAX);
    for n in 0..3_000u64 {
        // They are named again and again, for as long as the one who names them likes.
        let now = Time::from_millis(n);
        if n % 500 == 0 {
            told(&mut machine, now);
        }
        let from = SocketAddr::from(([10, 1, (n >> 8) as u8, n as u8], 37020));
        machine.receive(now, PATH, from, &forged(7, (n + 1) << 24));
    }
    let table = machine.snapshot(Time::from_millis(3_000));
    assert_eq!((table.len(), machine.neighbours.named_rows()), (3_000 + limits::DISCOVERED_NAMED_MAX, limits::DISCOVERED_NAMED_MAX));
    // A machine of which 32 ports are named already announces nodes on others.
    machine.receive(Time::from_millis(3_000), PATH, SocketAddr::from(([10, 0, 1, 0], 37020)), &forged(9_000, 9_999 << 24));
    let there = machine.snapshot(Time::from_millis(3_000)).into_iter().filter(|row| row.endpoint.host == "10.0.1.0");
    let ports: Vec<u16> = there.map(|row| row.endpoint.port).collect();
    assert!(ports.len() == limits::DISCOVERED_PER_ADDRESS_MAX && ports.contains(&9_000), "{ports:?}");
    // One who announces itself is counted no more among the named, nor is whoever was forgotten.
    machine.receive(Time::from_millis(3_001), PATH, SocketAddr::from(([10, 0, 1, 1], 37020)), &forged(5, 10_000 << 24));
    assert_eq!(machine.neighbours.named_rows(), limits::DISCOVERED_NAMED_MAX - 2);
    machine.unnamed(SocketAddr::from(([10, 0, 1, 2], 1)));
    assert_eq!(machine.neighbours.named_rows(), limits::DISCOVERED_NAMED_MAX - 3);
    machine.tick(Time::from_millis(60_000));
    assert_eq!((machine.neighbours.len(), machine.neighbours.named_rows()), (0, 0));
}

/// Whether each of these was passed on as a sign of life, and as a fresh one.
fn signs(outputs: &[Output]) -> Vec<bool> {
    outputs.iter().filter_map(|output| if let Output::Heard { fresh, .. } = output { Some(*fresh) } else { None }).collect()
}

#[test]
fn everybody_that_speaks_is_passed_on_and_as_fresh_who_is_new_restarted_or_was_silent() {
    let mut a = machine("a", 1, Seals::new(None, None), 1);
    outputs(&mut a);
    let mut hear = |ms, run: u64, n| {
        a.receive(Time::from_millis(ms), PATH, from(2), &forged(7, run << 24 | n));
        signs(&outputs(&mut a))
    };
    assert_eq!([hear(0, 1, 1), hear(2_000, 1, 2), hear(2_001, 2, 1), hear(4_000, 2, 2)].concat(), [true, false, true, false]);
    // One that is heard every six seconds is not silent in between, and one that was heard more often since then is.
    assert_eq!([hear(9_999, 2, 3), hear(16_000, 2, 4), hear(22_000, 2, 5)].concat(), [false; 3]);
    assert_eq!([hear(24_000, 2, 6), hear(26_000, 2, 7), hear(28_000, 2, 8), hear(34_000, 2, 9)].concat(), [false, false, false, true]);
    // And one that was forgotten is new.
    assert_eq!(hear(60_000, 2, 10), [true]);
}

#[test]
fn with_a_secret_only_who_has_proven_to_know_it_is_passed_on() {
    let seals = || Seals::new(Some(&psk(1)), None);
    let mut b = machine("b", 2, seals(), 2);
    let recorded = announcement(&mut b);
    let mut a = machine("a", 1, seals(), 1);
    let asked = announcement(&mut a);
    a.receive(Time::ZERO, PATH, from(2), &recorded);
    assert!(signs(&outputs(&mut a)).is_empty());
    b.receive(Time::ZERO, PATH, from(1), &asked);
    let (_, proof) = answer(&outputs(&mut b)).expect("an answer");
    a.receive(Time::ZERO, PATH, from(2), &proof);
    assert_eq!(signs(&outputs(&mut a)), [true]);
}

#[test]
fn signs_of_life_have_a_rate_and_news_waits_for_its_turn() {
    let mut a = machine("a", 1, Seals::new(None, None), 1);
    outputs(&mut a);
    let hear = |a: &mut Discovery, ms, n: u16| {
        let from = SocketAddr::from(([10, 2, (n >> 8) as u8, n as u8], 5));
        a.receive(Time::from_millis(ms), PATH, from, &forged(7, u64::from(n) << 24 | ms));
        signs(&outputs(a))
    };
    let told = (0..2_000).filter(|n| !hear(&mut a, 0, *n).is_empty()).count();
    assert_eq!(told, limits::DISCOVERY_SIGNS_BURST as usize);
    assert_eq!((hear(&mut a, 1_000, 1_999), hear(&mut a, 1_200, 1_999)), (vec![true], vec![false]));
}
