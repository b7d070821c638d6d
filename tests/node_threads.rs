//! What a node leaves behind in its process: nothing. Alone in its program, because it counts threads and descriptors.
#![cfg(target_os = "linux")]

mod common;

use common::lan::Lan;
use common::{Peer, config, eventually};
use vixp2p::Config;
use vixp2p::base::DiscoveryConfig;
use vixp2p::base::config::Listen;

fn count(what: &str) -> usize {
    std::fs::read_dir(format!("/proc/self/{what}")).expect("readable").count()
}

#[test]
fn nodes_that_are_dropped_or_stopped_end_their_threads_and_close_their_descriptors() {
    let dir = tempfile::tempdir().expect("temporary directory");
    // What the runtime's library keeps for the whole process comes with the first runtime.
    drop(Peer::named("first"));
    let threads = 2;
    eventually("the threads to end", || count("task") == threads);
    let descriptors = count("fd");
    for round in 0..6 {
        let on_disk = |name: &str| {
            let mut settings = config(name);
            settings.data_dir = Some(dir.path().join(name));
            settings
        };
        let (mut a, mut b) = (Peer::start(on_disk("a")), Peer::start(on_disk("b")));
        a.join(&mut b);
        a.append([format!("record {round}")]);
        b.expect_log(a.node.own_log(), round + 1, round + 1);
        assert!(count("task") >= threads + 6);
        if round % 2 == 0 {
            a.node.stop_blocking();
            b.node.stop_blocking();
        }
        drop((a, b));
        eventually("the threads to end", || count("task") == threads);
        eventually("the descriptors to be closed", || count("fd") == descriptors);
        for name in ["a", "b"] {
            let lock = std::fs::File::open(dir.path().join(name).join("lock")).expect("there");
            assert!(lock.try_lock().is_ok(), "directory {name} is free");
        }
    }
    mdns_has_threads_only_where_it_is_on(threads, descriptors);
}

/// The kernel keeps 15 bytes of a thread's name.
fn threads_of_mdns() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").expect("readable").flatten();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.to_ascii_lowercase().contains("mdns")).count()
}

fn mdns_has_threads_only_where_it_is_on(threads: usize, descriptors: usize) {
    let Some(lan) = Lan::ipv4() else { return };
    for mdns in [false, cfg!(feature = "mdns"), false] {
        let listen = Listen::On { host: String::new(), port: 0 };
        let discovery = Some(DiscoveryConfig { mdns, ..DiscoveryConfig::default() });
        let node = lan.on("A", || Peer::start(Config { listen, discovery, ..config("a") }));
        if mdns {
            eventually("the threads of mDNS", || threads_of_mdns() == 2);
        }
        assert_eq!(threads_of_mdns(), if mdns { 2 } else { 0 });
        drop(node);
        eventually("the threads to end", || count("task") == threads);
        eventually("the descriptors to be closed", || count("fd") == descriptors);
    }
}
