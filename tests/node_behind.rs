//! Applications that do not take what comes: what they are told, who waits for them, and who does not.

mod common;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{Peer, config, eventually, now};
use vixp2p::base::{Level, limits};
use vixp2p::driver::link::PeerSender;
use vixp2p::{Config, Error, Event};

const KIB: usize = 1024;
/// What the queue of a link may hold: one message over its limit, and what records put around messages.
const CREDIT: usize = limits::LINK_QUEUE_MAX_BYTES + limits::LINK_QUEUE_MAX_BYTES / 64;

/// Sends until nothing moves any more, because `to` takes nothing; how many were accepted.
fn fill(sender: &PeerSender, to: &Peer, payload: &[u8]) -> u64 {
    let mut accepted = 0;
    let mut refused = 0;
    eventually("a link that is not read, and a full queue", || {
        refused += 1;
        while sender.try_send(payload).is_ok() {
            (accepted, refused) = (accepted + 1, 0);
        }
        refused > 20 && to.node.unread().is_some()
    });
    accepted
}

#[test]
fn an_application_is_told_once_it_reads_again_for_how_long_and_whose_links_waited() {
    let (mut a, mut b) = (Peer::named("a"), Peer::named("b"));
    let lines = Arc::new(Mutex::new(Vec::new()));
    let seen = lines.clone();
    b.node.on_log(Level::Warn, move |level, line| seen.lock().expect("whole").push((level, line.to_owned())));
    a.join(&mut b);
    assert!(b.node.unread().is_none());
    let sender = a.node.sender(b.id()).expect("connected");
    let accepted = fill(&sender, &b, &[7; 64 * KIB]);
    let unread = b.node.unread().expect("held");
    assert_eq!((unread.links, unread.peers), (1, vec![a.id()]));
    let has_line = |word: &str| lines.lock().expect("whole").iter().any(|(level, line)| *level == Level::Warn && line.contains(word));
    let short = a.id().short();
    eventually("the line at the begin", || has_line(&format!("to {short} is not read")));
    b.receive(accepted as usize);
    let (held_ms, count, peers) = b.expect("the event", |event| match event {
        Event::ApplicationBehind { held_ms, count, peers } => Some((*held_ms, *count, peers.clone())),
        _ => None,
    });
    assert_eq!((count, peers), (1, vec![a.id()]));
    assert!(held_ms >= limits::UNREAD_AFTER.as_millis() as u64, "{held_ms} ms");
    eventually("the line at the end", || has_line("took no messages for"));
    assert!(b.node.unread().is_none());
}

#[test]
fn what_waits_for_an_application_that_does_not_read_is_bounded_and_the_others_get_everything() {
    let mut hub = Peer::named("hub");
    let mut slow = Peer::named("slow");
    hub.join(&mut slow);
    let mut quick: Vec<Peer> = (0..3).map(|n| Peer::named(&format!("quick {n}"))).collect();
    quick.iter_mut().for_each(|peer| hub.join(peer));
    let to_slow = hub.node.sender(slow.id()).expect("connected");
    let payload = [9; KIB];
    let accepted = fill(&to_slow, &slow, &payload);
    for n in 0..2_000u32 {
        for peer in &quick {
            hub.send(peer.id(), &n.to_le_bytes());
        }
        // Nothing of the slow one's is taken meanwhile.
        assert!(matches!(to_slow.try_send(&payload), Err(Error::WouldBlock)), "after {n}");
    }
    for peer in &mut quick {
        let got = peer.receive(2_000);
        assert!(got.iter().zip(0u32..).all(|(message, n)| message[..] == n.to_le_bytes()));
    }
    let queued = to_slow.queued();
    assert!((limits::LINK_QUEUE_MAX_BYTES..=CREDIT).contains(&queued), "{queued} bytes wait");
    assert_eq!(slow.receive(accepted as usize).len() as u64, accepted, "nothing that was accepted is lost");
}

#[test]
fn a_node_whose_peers_have_hardly_time_to_answer_says_so_at_its_start() {
    let lines_of = |heartbeat_ms: u64| {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (seen, mut settings) = (lines.clone(), config("hasty"));
        (settings.heartbeat_interval, settings.stale_after) = (Duration::from_millis(heartbeat_ms), Duration::from_secs(15));
        let peer = Peer::open(settings);
        peer.node.on_log(Level::Warn, move |_, line| seen.lock().expect("whole").push(line.to_owned()));
        peer.node.start().expect("starts");
        drop(peer);
        std::mem::take(&mut *lines.lock().expect("whole"))
    };
    assert!(lines_of(14_900).iter().any(|line| line.contains("100 ms to answer")));
    assert_eq!(lines_of(7_500), Vec::<String>::new());
}

/// Peers on one thread, whose applications take everything at once and count it.
struct Crowd {
    ids: Vec<vixp2p::PeerId>,
    received: Arc<AtomicU64>,
    _end: tokio::sync::oneshot::Sender<()>,
}

impl Crowd {
    fn of(count: usize, hub: &mut Peer) -> Crowd {
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let (tell, told) = std::sync::mpsc::channel();
        let received = Arc::new(AtomicU64::new(0));
        let counter = received.clone();
        let endpoint = hub.endpoint();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let nodes: Vec<Peer> = (0..count).map(|n| Peer::start(config(&format!("quick {n}")))).collect();
                for peer in &nodes {
                    peer.node.connect(endpoint.clone()).expect("dials");
                    let (node, counter) = (peer.node.clone(), counter.clone());
                    tokio::spawn(async move {
                        while let Some(event) = node.next_event().await {
                            if let Event::Data { batch, .. } = event {
                                counter.fetch_add(batch.len() as u64, Ordering::Relaxed);
                            }
                        }
                    });
                }
                tell.send(nodes.iter().map(Peer::id).collect::<Vec<_>>()).expect("wanted");
                let _ = ended.await;
            });
        });
        let ids: Vec<_> = told.recv().expect("started");
        eventually("all of them", || ids.iter().all(|id| hub.node.sender(*id).is_ok()));
        Crowd { ids, received, _end: end }
    }
}

/// `cargo test --release --test node_behind -- --ignored --exact measure_a_slow_reader --nocapture`: what publishing to 99 peers loses
/// when the application of a hundredth takes nothing, beside the same hundred with a hundredth that has nothing to take.
#[test]
#[ignore = "a measurement"]
fn measure_a_slow_reader() {
    const OTHERS: usize = 99;
    const MESSAGES: usize = 4_000;
    const ROUNDS: usize = 11;
    let mut hub = Peer::start(Config { max_peers: 128, ..config("hub") });
    let mut slow = Peer::named("slow");
    hub.join(&mut slow);
    let crowd = Crowd::of(OTHERS, &mut hub);
    let senders: Vec<PeerSender> = crowd.ids.iter().map(|id| hub.node.sender(*id).expect("connected")).collect();
    let to_slow = hub.node.sender(slow.id()).expect("connected");
    let payload = [5; KIB];
    let (mut refused, mut most) = (0u64, 0);
    let mut publish = |slow_as_well: bool| {
        let goal = crowd.received.load(Ordering::Relaxed) + (OTHERS * MESSAGES) as u64;
        let mut left = [MESSAGES; OTHERS];
        let begin = now();
        while left.iter().any(|left| *left > 0) {
            let before: usize = left.iter().sum();
            for (sender, left) in senders.iter().zip(&mut left).filter(|(_, left)| **left > 0) {
                let mut batch = sender.batch().expect("connected");
                while *left > 0 && !batch.is_full() {
                    batch.push(&payload).expect("room");
                    *left -= 1;
                }
            }
            if slow_as_well {
                assert!(matches!(to_slow.try_send(&payload), Err(Error::WouldBlock)));
                refused += 1;
                most = most.max(to_slow.queued());
            }
            if left.iter().sum::<usize>() == before {
                std::thread::yield_now();
            }
        }
        while crowd.received.load(Ordering::Relaxed) < goal {
            std::thread::yield_now();
        }
        (OTHERS * MESSAGES) as f64 / begin.elapsed().as_secs_f64()
    };
    publish(false);
    let mut rates = Vec::new();
    for _ in 0..ROUNDS {
        let alone = publish(false);
        let accepted = fill(&to_slow, &slow, &payload);
        let beside = publish(true);
        slow.receive(accepted as usize);
        slow.forget();
        eventually("an empty queue", || to_slow.queued() == 0);
        rates.push((beside / alone, beside, alone));
    }
    rates.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (ratio, beside, alone) = rates[ROUNDS / 2];
    println!(
        "{OTHERS} peers, {MESSAGES} messages of {KIB} bytes each, {ROUNDS} rounds: {alone:.0} a second, {beside:.0} beside a slow one"
    );
    println!("ratio {ratio:.3} (worst {:.3}, best {:.3})", rates[0].0, rates[ROUNDS - 1].0);
    println!(
        "WOULD_BLOCK {refused} times of {refused}; at most {most} bytes waited for it, its credit is {}",
        limits::LINK_QUEUE_MAX_BYTES
    );
    assert!(refused > 0 && most <= CREDIT);
}
