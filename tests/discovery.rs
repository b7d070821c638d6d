//! A flood of forged announcements against the discovery machine: what it may cost at most.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use vixp2p::base::config::Psk;
use vixp2p::base::{DiscoveryConfig, Time, limits};
use vixp2p::discovery::{Discovery, DiscoverySettings, Output, PathId, Seals};

const PATH: PathId = PathId(1);
const DATAGRAMS: u32 = 1_000_000;
const ADDRESSES: u32 = 65_536;

fn machine(psk: Option<&Psk>, seed: u64) -> Discovery {
    let settings = DiscoverySettings {
        node_id: "node".into(),
        tcp_port: 9001,
        config: DiscoveryConfig::default(),
        unix_ms: 0,
        seals: Seals::new(psk, None),
        seed,
    };
    let mut machine = Discovery::new(settings);
    machine.set_paths(Time::ZERO, [PATH]);
    machine
}

#[derive(Default)]
struct Seen {
    heard: usize,
    answered: usize,
    announcements: usize,
    signs: u64,
    dials: Vec<Time>,
}

/// A million announcements from 65,536 addresses within 50 seconds, every fourth of them padded so that an answer fits.
fn flood(machine: &mut Discovery) -> Seen {
    let mut seen = Seen::default();
    for n in 0..DATAGRAMS {
        let now = Time(u64::from(n) * 50);
        let host = n.wrapping_mul(0x9e37_79b1) % ADDRESSES;
        let from = SocketAddr::from(([10, 1, (host >> 8) as u8, host as u8], 37_020));
        let padding = if n % 4 == 0 { " ".repeat(300) } else { String::new() };
        let text = format!(r#"{{"node_id":"f{host}","tcp_port":{},"ts_ms":{n},"nonce":{}{padding}}}"#, 1 + n % 60_000, u64::from(n) << 24);
        seen.heard += text.len();
        machine.receive(now, PATH, from, text.as_bytes());
        let before = seen.answered;
        if machine.deadline().is_some_and(|at| at <= now) {
            machine.tick(now);
        }
        while let Some(output) = machine.next_output() {
            match output {
                Output::Announce { .. } => seen.announcements += 1,
                Output::Answer { to, datagram, .. } => {
                    assert_eq!(to, from, "answered where the datagram came from");
                    seen.answered += datagram.len();
                }
                Output::Found { .. } => seen.dials.push(now),
                Output::Heard { .. } => seen.signs += 1,
            }
        }
        assert!(seen.answered - before <= text.len(), "an answer longer than its question");
        assert!(machine.largest_table() <= 4_096);
    }
    seen
}

#[test]
fn a_million_forged_announcements_fill_one_small_table_and_cause_two_dials_a_second() {
    let mut machine = machine(None, 1);
    let seen = flood(&mut machine);
    assert!(machine.largest_table() <= limits::DISCOVERED_MAX);
    let in_a_second = |at: Time| seen.dials.iter().filter(|dial| **dial >= at && dial.since(at) < Duration::from_secs(1)).count();
    assert!(seen.dials.iter().all(|at| in_a_second(*at) <= 2), "dials in a second: {:?}", seen.dials);
    // Fifty seconds of two hundred.
    assert!(seen.signs <= 10_000 + u64::from(limits::DISCOVERY_SIGNS_BURST), "{} signs of life", seen.signs);
    assert!(seen.answered <= seen.heard && seen.announcements <= 26, "{} of {} bytes", seen.answered, seen.heard);
    println!(
        "{} dials in 50 s, {} bytes answered for {} heard, table of {}",
        seen.dials.len(),
        seen.answered,
        seen.heard,
        machine.largest_table()
    );
}

#[test]
fn with_a_secret_a_million_forged_announcements_cause_nothing() {
    let mut machine = machine(Some(&Psk::new([3; 32])), 1);
    let seen = flood(&mut machine);
    assert_eq!(seen.signs, 0);
    assert_eq!((seen.dials.len(), seen.answered, machine.snapshot(Time(0)).len()), (0, 0, 0));
    assert_eq!(machine.counters().refused + machine.counters().limited, u64::from(DATAGRAMS));
}

#[test]
fn neighbours_that_go_on_announcing_are_not_displaced_by_a_flood() {
    let (mut honest, mut machine) = (machine(None, 2), machine(None, 1));
    let home = SocketAddr::from(([10, 0, 0, 2], 5_000));
    let mut kept = BTreeSet::new();
    for n in 0..400_000u32 {
        let now = Time(u64::from(n) * 100);
        honest.tick(now);
        while let Some(output) = honest.next_output() {
            if let Output::Announce { datagram, .. } = output {
                machine.receive(now, PATH, home, &datagram);
            }
        }
        let from = SocketAddr::from(([10, 1, (n >> 8) as u8, n as u8], 37_020));
        let text = format!(r#"{{"node_id":"f","tcp_port":7,"ts_ms":{n},"nonce":{}}}"#, u64::from(n) << 24);
        machine.receive(now, PATH, from, text.as_bytes());
        while machine.next_output().is_some() {}
        if n % 40_000 == 0 {
            kept.insert(machine.snapshot(now).iter().any(|node| node.node_id == "node"));
        }
    }
    assert_eq!(kept, BTreeSet::from([true]));
}
