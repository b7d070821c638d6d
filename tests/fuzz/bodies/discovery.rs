//! One discovery machine that hears whatever the input says, from wherever: no answer is longer than its question or goes
//! elsewhere, unproven announcements cause two dials a second at most, and none with a secret.

use std::net::SocketAddr;
use std::time::Duration;

use vixp2p::base::config::Psk;
use vixp2p::base::{DiscoveryConfig, Time, limits};
use vixp2p::discovery::{Discovery, DiscoverySettings, Output, PathId, Seals};

use super::edits::Choices;

fn machine(name: &str, sealed: bool, seed: u64) -> Discovery {
    let psk = Psk::new([1; 32]);
    let settings = DiscoverySettings {
        node_id: name.into(),
        tcp_port: 9001,
        config: DiscoveryConfig::default(),
        unix_ms: 1,
        seals: Seals::new(sealed.then_some(&psk), None),
        seed,
    };
    let mut machine = Discovery::new(settings);
    machine.set_paths(Time::ZERO, [PathId(0)]);
    machine
}

fn announcement(machine: &mut Discovery) -> Option<Vec<u8>> {
    let mut said = None;
    while let Some(output) = machine.next_output() {
        if let Output::Announce { datagram, .. } = output {
            said = Some(datagram);
        }
    }
    said
}

/// The machine under test and what it has done so far.
struct Listener {
    machine: Discovery,
    sealed: bool,
    dials: u32,
    last_dial: Option<Time>,
}

impl Listener {
    /// Takes every output; what was said last in answer to `heard`.
    fn carry(&mut self, now: Time, heard: Option<(SocketAddr, &[u8])>) -> Option<Vec<u8>> {
        let mut said = None;
        while let Some(output) = self.machine.next_output() {
            match output {
                Output::Announce { datagram, .. } => said = Some(datagram),
                Output::Answer { to, datagram, .. } => {
                    let (from, question) = heard.expect("answers follow questions");
                    assert!(to == from && datagram.len() <= question.len());
                    said = Some(datagram);
                }
                Output::Heard { .. } => {}
                Output::Found { .. } => {
                    let gap = if self.sealed { limits::DISCOVERY_MEMBER_DIAL_EVERY } else { limits::DISCOVERY_RUMOUR_DIAL_EVERY };
                    assert!(self.last_dial.is_none_or(|last| now.since(last) >= gap));
                    (self.dials, self.last_dial) = (self.dials + 1, Some(now));
                }
            }
        }
        assert!(self.machine.largest_table() <= 4_096);
        said
    }
}

pub(crate) fn datagrams(input: &[u8]) {
    let mut choices = Choices::new(input);
    let sealed = choices.byte() & 1 == 1;
    let mut listener = Listener { machine: machine("a", sealed, 1), sealed, dials: 0, last_dial: None };
    let mut other = machine("b", sealed, 2);
    let (mut now, mut last) = (Time::ZERO, listener.carry(Time::ZERO, None));
    let mut proven = false;
    while !choices.is_empty() {
        now = now + Duration::from_millis(16 * u64::from(choices.byte()));
        let (kind, host) = (choices.byte(), choices.byte());
        let from = SocketAddr::from(([10, 0, 0, host], 37_020));
        other.tick(now);
        let mut datagram = match kind % 4 {
            // As it is, altered, or an answer by one who knows the secret: only the last proves something.
            0 | 1 => announcement(&mut other).unwrap_or_default(),
            2 => {
                other.receive(now, PathId(0), SocketAddr::from(([10, 0, 0, 1], 1)), last.as_deref().unwrap_or_default());
                let answer = std::iter::from_fn(|| other.next_output()).find_map(|output| match output {
                    Output::Answer { datagram, .. } => Some(datagram),
                    _ => None,
                });
                answer.unwrap_or_default()
            }
            _ => {
                let len = usize::from(choices.u16()) % 600;
                choices.take(len).to_vec()
            }
        };
        if kind % 4 == 1 {
            let count = 1 + choices.byte() % 4;
            choices.edit(&mut datagram, count);
        }
        listener.machine.tick(now);
        last = listener.carry(now, None).or(last);
        let dials = listener.dials;
        listener.machine.receive(now, PathId(0), from, &datagram);
        last = listener.carry(now, Some((from, &datagram))).or(last);
        proven |= kind % 4 == 2;
        assert!(!sealed || kind % 4 != 3 && proven || dials == listener.dials, "a dial without proof");
    }
    assert!(listener.machine.snapshot(now).len() <= limits::DISCOVERED_MAX);
}

pub(crate) fn datagrams_seeds() -> Vec<Vec<u8>> {
    let plain = br#"{"node_id":"x","tcp_port":1,"ts_ms":1,"nonce":2,"re":3,"ask":true}"#;
    let mut raw = vec![0, 1, 3, 7, plain.len() as u8, 0];
    raw.extend_from_slice(plain);
    vec![vec![0, 0, 0, 2, 200, 0, 2, 200, 0, 3], vec![1, 0, 0, 2, 0, 2, 2, 200, 1, 2, 1, 1, 9, 0, 5, 200, 2, 2], raw]
}
