//! Networks of their own for tests of discovery: namespaces joined by a cable. Nothing leaves them.

#![allow(dead_code, unreachable_pub, reason = "every test uses its own part of it")]

use std::fs::File;
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Two hosts, "a" and "b", and the interface "v0" of each, which lead to each other.
pub struct Lan {
    name: String,
}

impl Lan {
    /// The cable is plugged in, without addresses. `None`, with the reason printed, where that is not permitted.
    pub fn new() -> Option<Lan> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("vixp2p-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let lan = Lan { name };
        let steps = [
            vec!["netns", "add", "A"],
            vec!["netns", "add", "B"],
            vec!["-n", "A", "link", "add", "v0", "type", "veth", "peer", "name", "v0", "netns", "B"],
        ];
        for step in steps {
            if let Err(why) = lan.try_ip(&step) {
                println!("skipped, no network namespaces here: {why}");
                return None;
            }
        }
        for host in ["A", "B"] {
            lan.ip(&["-n", host, "link", "set", "lo", "up"]);
            lan.ip(&["-n", host, "link", "set", "v0", "up"]);
        }
        Some(lan)
    }

    /// The same with 10.77.0.1 and 10.77.0.2.
    pub fn ipv4() -> Option<Lan> {
        let lan = Lan::new()?;
        lan.ip(&["-n", "A", "addr", "add", "10.77.0.1/24", "broadcast", "+", "dev", "v0"]);
        lan.ip(&["-n", "B", "addr", "add", "10.77.0.2/24", "broadcast", "+", "dev", "v0"]);
        Some(lan)
    }

    /// Runs `ip`; A and B stand for the namespaces.
    pub fn ip(&self, arguments: &[&str]) {
        self.try_ip(arguments).unwrap_or_else(|why| panic!("ip {arguments:?}: {why}"));
    }

    fn try_ip(&self, arguments: &[&str]) -> Result<String, String> {
        let real = arguments.iter().map(|word| if matches!(*word, "A" | "B") { self.host(word) } else { (*word).to_owned() });
        let done = Command::new("ip").args(real).output().map_err(|e| e.to_string())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if done.status.success() { Ok(text(&done.stdout)) } else { Err(text(&done.stderr)) }
    }

    /// The MAC of a host's end.
    pub fn mac(&self, host: &str) -> String {
        let shown = self.try_ip(&["-n", host, "-br", "link", "show", "v0"]).expect("shown");
        shown.split_whitespace().nth(2).expect("an address").to_owned()
    }

    /// Does something on a host; threads begun there stay there.
    pub fn on<T: Send>(&self, host: &str, work: impl FnOnce() -> T + Send) -> T {
        let namespace = File::open(format!("/run/netns/{}", self.host(host))).expect("a namespace");
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).expect("permitted");
                work()
            });
            thread.join().expect("no panic")
        })
    }

    fn host(&self, which: &str) -> String {
        format!("{}-{}", self.name, which.to_ascii_lowercase())
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        for host in ["A", "B"] {
            let _ = Command::new("ip").args(["netns", "del", &self.host(host)]).output();
        }
    }
}
