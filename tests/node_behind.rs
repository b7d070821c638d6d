//! Applications that do not take what comes: what they are told, who waits for them, and who does not.

mod common;

use std::cell::Cell;
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
        while offer(sender, payload) {
            (accepted, refused) = (accepted + 1, 0);
        }
        refused > 20 && to.node.unread().is_some()
    });
    accepted
}

/// Whether the queue takes one more; if not, it says `WouldBlock`.
fn offer(sender: &PeerSender, payload: &[u8]) -> bool {
    match sender.try_send(payload) {
        Ok(()) => true,
        Err(Error::WouldBlock) => false,
        Err(e) => panic!("{e}"),
    }
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
    let mut accepted = fill(&to_slow, &slow, &payload);
    for n in 0..2_000u32 {
        for peer in &quick {
            hub.send(peer.id(), &n.to_le_bytes());
        }
        // The last buffers on the way may still have had room.
        accepted += u64::from(offer(&to_slow, &payload));
        let queued = to_slow.queued();
        assert!(queued <= CREDIT, "{queued} bytes wait");
    }
    for peer in &mut quick {
        let got = peer.receive(2_000);
        assert!(got.iter().zip(0u32..).all(|(message, n)| message[..] == n.to_le_bytes()));
    }
    eventually("a full queue", || {
        let taken = offer(&to_slow, &payload);
        accepted += u64::from(taken);
        !taken
    });
    assert!(to_slow.queued() >= limits::LINK_QUEUE_MAX_BYTES, "refused before it was full");
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

/// `cargo test --test node_behind -- --ignored --exact measure_a_slow_reader --nocapture`: what publishing to 99 peers loses
/// when the application of a hundredth takes nothing, beside the same hundred with a hundredth that has nothing to take.
#[test]
#[ignore = "a measurement"]
fn measure_a_slow_reader() {
    const OTHERS: usize = 99;
    const MESSAGES: usize = 4_000;
    const ROUNDS: usize = 40;
    let mut hub = Peer::start(Config { max_peers: 128, ..config("hub") });
    let mut slow = Peer::named("slow");
    hub.join(&mut slow);
    let crowd = Crowd::of(OTHERS, &mut hub);
    let senders: Vec<PeerSender> = crowd.ids.iter().map(|id| hub.node.sender(*id).expect("connected")).collect();
    let to_slow = hub.node.sender(slow.id()).expect("connected");
    let payload = [5; KIB];
    let (offers, most) = (Cell::new((0u64, 0u64)), Cell::new(0));
    let publish = |slow_as_well: bool| {
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
                let taken = offer(&to_slow, &payload);
                let (yes, no) = offers.get();
                offers.set((yes + u64::from(taken), no + u64::from(!taken)));
                most.set(most.get().max(to_slow.queued()));
            }
            if left.iter().sum::<usize>() == before {
                std::thread::yield_now();
            }
        }
        while crowd.received.load(Ordering::Relaxed) < goal {
            std::thread::yield_now();
        }
        begin.elapsed().as_secs_f64()
    };
    let mut beside = || {
        let (accepted, before) = (fill(&to_slow, &slow, &payload), offers.get().0);
        let took = publish(true);
        slow.receive((accepted + offers.get().0 - before) as usize);
        slow.forget();
        eventually("an empty queue", || to_slow.queued() == 0);
        took
    };
    publish(false);
    let pairs: Vec<(f64, f64)> = (0..ROUNDS)
        .map(|round| {
            // In turns the one or the other first, so that what the machine does besides meets both.
            let first = (round % 2 == 0).then(|| publish(false));
            let slowed = beside();
            (first.unwrap_or_else(|| publish(false)), slowed)
        })
        .collect();
    let mut ratios: Vec<f64> = pairs.iter().map(|(free, slowed)| free / slowed).collect();
    ratios.sort_by(f64::total_cmp);
    let [low, middle, high] = [ROUNDS / 4, ROUNDS / 2, ROUNDS * 3 / 4].map(|at| ratios[at]);
    let in_all = pairs.iter().map(|pair| pair.0).sum::<f64>() / pairs.iter().map(|pair| pair.1).sum::<f64>();
    println!("{OTHERS} peers, {MESSAGES} messages of {KIB} bytes each, {ROUNDS} pairs of rounds");
    println!("throughput beside a slow reader, of that without: median {middle:.3}, middle half {low:.3} to {high:.3}, in all {in_all:.3}");
    let ((taken, refused), most, credit) = (offers.get(), most.get(), limits::LINK_QUEUE_MAX_BYTES);
    println!("WOULD_BLOCK {refused} times of {}; at most {most} bytes waited for it, its credit is {credit}", refused + taken);
    assert!(refused > 0 && most <= CREDIT);
}
