//! Ten thousand connections that never come to the end of a handshake, from the honest peer's own address too: it still gets in.
//!
//! The tests wait for events and time nothing. What it takes is printed by `make bench-flood`.

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use common::{Peer, config, eventually, now};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};
use vixp2p::base::limits;
use vixp2p::{Config, Event};

const ATTACKERS: usize = 10_000;
const ROUNDS: usize = 5;

/// The beginning of a Hello, byte by byte: a frame's length, then an envelope of this protocol.
const DRIP: &[u8] = &[0xf8, 0x0a, b'V', b'P', b'2', b'P', 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// The tests take nearly all descriptors and both cores: one after the other.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Raises the soft limit of descriptors as far as it goes; how many attackers fit.
fn attackers() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.unwrap_or(u64::MAX).min(ATTACKERS as u64 * 2);
    if current.is_some_and(|current| current < wanted) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }).expect("up to the hard limit");
    }
    let own = limits::HALF_OPEN_MAX + limits::GREETED_MAX + 256;
    let fit = (getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX) as usize).saturating_sub(own).min(ATTACKERS);
    if fit < ATTACKERS {
        println!("only {fit} attackers in place of {ATTACKERS}: the hard limit of descriptors is {maximum:?}");
    }
    fit
}

/// Connects from an address of the loopback, without waiting for long.
fn connect(from: Ipv4Addr, port: u16) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    if from != Ipv4Addr::LOCALHOST {
        socket.bind(&SocketAddr::from((from, 0)).into())?;
    }
    // What it closes itself leaves no port behind.
    socket.set_linger(Some(Duration::ZERO))?;
    socket.connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into(), Duration::from_secs(5))?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Half of them are where the honest one is, the others at ten more addresses.
fn address(n: usize) -> Ipv4Addr {
    if n.is_multiple_of(2) { Ipv4Addr::LOCALHOST } else { Ipv4Addr::new(127, 0, 1, 1 + (n / 2 % 10) as u8) }
}

/// Connections that stay as long as they may. Every second one says a byte a second; one that was closed comes again.
struct Crowd {
    port: u16,
    members: Vec<(Option<TcpStream>, usize)>,
}

impl Crowd {
    fn gather(port: u16, count: usize) -> Crowd {
        let mut crowd = Crowd { port, members: Vec::new() };
        for n in 0..count {
            crowd.members.push((connect(address(n), port).ok(), 0));
        }
        crowd
    }

    /// One byte from every talker, new connections in place of those that are gone; how many are open.
    fn drip(&mut self) -> usize {
        let port = self.port;
        for (n, (stream, said)) in self.members.iter_mut().enumerate() {
            if is_over(stream.as_ref()) {
                (*stream, *said) = (connect(address(n), port).ok(), 0);
            }
            if n % 4 < 2
                && let Some(open) = stream
            {
                let _ = open.write(&DRIP[*said % DRIP.len()..][..1]);
                *said += 1;
            }
        }
        self.members.iter().filter(|(stream, _)| !is_over(stream.as_ref())).count()
    }
}

/// Whether the node has ended a connection. It never says anything on one.
fn is_over(stream: Option<&TcpStream>) -> bool {
    let Some(mut stream) = stream else { return true };
    match stream.read(&mut [0; 64]) {
        Ok(0) => true,
        Ok(n) => panic!("{n} bytes to somebody who is nobody"),
        Err(e) => e.kind() != ErrorKind::WouldBlock,
    }
}

/// Runs `what` while the crowd drips once a second, and threads of `floods` connect as fast as they can.
fn besieged<T>(crowd: &mut Crowd, floods: usize, what: impl FnOnce(&AtomicU64) -> T) -> T {
    let (over, connects, port) = (AtomicBool::new(false), AtomicU64::new(0), crowd.port);
    thread::scope(|scope| {
        let dripping = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                crowd.drip();
                thread::park_timeout(Duration::from_secs(1));
            }
        });
        for _ in 0..floods {
            scope.spawn(|| {
                // Each keeps a few hundred open, and is bounded should the test be stuck.
                let mut recent = std::collections::VecDeque::new();
                for _ in 0..3_000_000 {
                    if over.load(Ordering::Relaxed) {
                        return;
                    }
                    if let Ok(stream) = connect(Ipv4Addr::LOCALHOST, port) {
                        connects.fetch_add(1, Ordering::Relaxed);
                        recent.push_back(stream);
                    }
                    if recent.len() > 200 {
                        recent.pop_front();
                    }
                }
            });
        }
        // Ends the threads however it ends.
        struct Over<'a>(&'a AtomicBool, thread::Thread);
        impl Drop for Over<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
                self.1.unpark();
            }
        }
        let _over = Over(&over, dripping.thread().clone());
        what(&connects)
    })
}

fn settings(name: &str) -> Config {
    let mut settings = config(name);
    // Every honest one comes with a new key under the same name.
    settings.trust = Some(vixp2p::base::TrustPolicy::Open);
    settings.psk = Some(vixp2p::base::config::Psk::new([7; 32]));
    settings
}

fn open_descriptors() -> Option<usize> {
    Some(std::fs::read_dir("/proc/self/fd").ok()?.count())
}

#[test]
fn ten_thousand_silent_and_slow_connections_keep_nobody_out() {
    let _alone = alone();
    let count = attackers();
    let mut node = Peer::start(settings("node"));
    let before = open_descriptors();
    let mut crowd = Crowd::gather(node.node.port(), count);
    let caps = limits::HALF_OPEN_MAX + limits::GREETED_MAX;
    eventually("the crowd is there", || node.node.stats().half_open_evicted as usize + caps >= count);
    besieged(&mut crowd, 0, |_| {
        for _ in 0..ROUNDS {
            let mut honest = Peer::start(settings("honest"));
            honest.join(&mut node);
            node.send(honest.id(), b"welcome");
            assert_eq!(honest.receive(1)[0], "welcome");
        }
        assert!(node.node.stats().half_open as usize <= caps);
    });
    if let (Some(before), Some(after)) = (before, open_descriptors()) {
        // What an attacker holds of a connection that is over is the attacker's.
        let held = crowd.members.iter().filter(|(stream, _)| stream.is_some()).count();
        assert!(after <= before + held + caps + 64, "{before} descriptors became {after} with {held} attackers");
    }
    let told = std::iter::from_fn(|| node.node.try_next_event()).filter(|e| matches!(e, Event::HandshakeFailed { .. })).count();
    assert!(told < 1_000, "{told} events about {count} attackers");
}

#[test]
fn a_flood_of_connects_from_its_own_address_keeps_an_honest_peer_out_of_nothing() {
    let _alone = alone();
    let count = attackers() / 2;
    let mut node = Peer::start(settings("node"));
    let mut crowd = Crowd::gather(node.node.port(), count);
    besieged(&mut crowd, 2, |connects| {
        for _ in 0..ROUNDS {
            let mut honest = Peer::start(settings("honest"));
            honest.join(&mut node);
        }
        // The flood is one, and did not stop for them.
        eventually("tens of thousands more came", || connects.load(Ordering::Relaxed) > 20_000);
        Peer::start(settings("honest")).join(&mut node);
    });
}

/// Resident memory of this process.
#[cfg(target_os = "linux")]
fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("resident memory");
    let kib: usize = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib * 1024
}

/// What one half-open connection costs, were it the only thing this process does.
#[cfg(target_os = "linux")]
fn bytes_per_half_open() -> usize {
    attackers();
    let mut node = Peer::start(settings("node"));
    // What only the first connection costs is not what each costs.
    Peer::start(settings("honest")).join(&mut node);
    let mut crowd = Crowd { port: node.node.port(), members: Vec::with_capacity(limits::HALF_OPEN_MAX) };
    let before = resident_bytes();
    // Twice half of the places at one address, and not one too many: nobody gives way.
    for n in 0..limits::HALF_OPEN_MAX {
        let from = Ipv4Addr::new(127, 0, 1, 1 + (n % 4) as u8);
        crowd.members.push((Some(connect(from, crowd.port).expect("connects")), 0));
    }
    eventually("all are there", || node.node.stats().half_open as usize == limits::HALF_OPEN_MAX);
    let received = node.node.stats().bytes_received as usize;
    for round in 1..=2 {
        for (stream, _) in &crowd.members[..limits::HALF_OPEN_MAX / 2] {
            stream.as_ref().expect("open").write_all(&DRIP[round - 1..round]).expect("takes it");
        }
        let due = received + round * (limits::HALF_OPEN_MAX / 2);
        eventually("half of them spoke", || node.node.stats().bytes_received as usize >= due);
    }
    assert_eq!(node.node.stats().half_open as usize, limits::HALF_OPEN_MAX, "all within the deadline, or the machine is too slow");
    resident_bytes().saturating_sub(before) / limits::HALF_OPEN_MAX
}

#[cfg(target_os = "linux")]
#[test]
fn a_half_open_connection_costs_at_most_sixteen_kib() {
    let _alone = alone();
    // In a process of its own, where nothing else has left memory to use again.
    let child = std::process::Command::new(std::env::current_exe().expect("this program"))
        .args(["--ignored", "--exact", "measure_memory", "--nocapture"])
        .output()
        .expect("runs");
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success(), "{said}{}", String::from_utf8_lossy(&child.stderr));
    let line = said.lines().find_map(|line| line.split_once(" bytes a half-open connection").map(|(number, _)| number));
    let bytes: usize = line.and_then(|number| number.rsplit(' ').next()?.parse().ok()).unwrap_or_else(|| panic!("no figure: {said}"));
    assert!((1..=16 * 1024).contains(&bytes), "{bytes} bytes");
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "prints a figure; `make bench-flood`"]
fn measure_memory() {
    let _alone = alone();
    println!(" {} bytes a half-open connection", bytes_per_half_open());
}

#[test]
#[ignore = "prints figures; `make bench-flood`"]
fn measure_joining() {
    let _alone = alone();
    let count = attackers();
    for (what, crowd_size, floods) in
        [("nobody", 0, 0), ("held", count, 0), ("held and 1 flooding", count, 1), ("held and 2 flooding", count, 2)]
    {
        let mut node = Peer::start(settings("node"));
        let mut crowd = Crowd::gather(node.node.port(), crowd_size);
        besieged(&mut crowd, floods, |connects| {
            let (mut times, mut failed, begin) = (Vec::new(), 0, now());
            let (evicted, connected) = (node.node.stats().half_open_evicted, connects.load(Ordering::Relaxed));
            while begin.elapsed() < Duration::from_secs(5) {
                let mut honest = Peer::start(settings("honest"));
                let asked = now();
                honest.join(&mut node);
                times.push(asked.elapsed());
                failed += usize::from(honest.has_seen(|e| matches!(e, Event::ConnectFailed { .. })));
            }
            times.sort();
            let secs = begin.elapsed().as_secs_f64();
            println!(
                "{what}: joined in {:.1?} median, {:.1?} p99, {:.1?} at worst of {}, {failed} after a failure; \
                 each second {:.0} gave way, {:.0} of the flood connected",
                times[times.len() / 2],
                times[times.len() * 99 / 100],
                times[times.len() - 1],
                times.len(),
                (node.node.stats().half_open_evicted - evicted) as f64 / secs,
                (connects.load(Ordering::Relaxed) - connected) as f64 / secs,
            );
        });
    }
}
