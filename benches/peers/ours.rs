//! vixp2p as its users get it: a `Node` on the caller's runtime, authenticated and sealed, AES where the CPU has it.

use std::path::PathBuf;
use std::time::Instant;

use bytes::Bytes;
use vixp2p::base::config::{KeyAgreement, Listen};
use vixp2p::driver::link::PeerSender;
use vixp2p::{Config, Event, Node, PeerId};

use crate::Result;
use crate::backlog::{self, Sink};
use crate::work::{self, Channel, Receiver};

/// Records appended in one call by the replication measurement, and calls under way at once.
const APPEND_BATCH: usize = 256;
const APPENDS_AT_ONCE: usize = 16;
const RECORD_BYTES: usize = 128;

struct Linked {
    node: Node,
    sender: PeerSender,
}

impl Linked {
    async fn connect(node: &Node, peer: &str) -> Result<Linked> {
        node.connect(peer.parse()?)?;
        let id = connected(node).await?;
        Ok(Linked { node: node.clone(), sender: node.sender(id)? })
    }
}

async fn connected(node: &Node) -> Result<PeerId> {
    loop {
        match node.next_event().await {
            Some(Event::PeerConnected { peer, .. }) => return Ok(peer),
            Some(Event::ConnectFailed { reason, .. }) => return Err(reason.to_string().into()),
            Some(_) => {}
            None => return Err("node stopped".into()),
        }
    }
}

impl Channel for Linked {
    async fn send(&mut self, message: &[u8]) -> Result<()> {
        Ok(self.sender.send(message).await?)
    }

    async fn send_run(&mut self, message: &mut [u8], n: u64, number: impl Fn(&mut [u8], u64)) -> Result<()> {
        let mut next = 0;
        while next < n {
            self.sender.ready().await?;
            let mut batch = self.sender.batch()?;
            while next < n && !batch.is_full() {
                number(message, next);
                batch.push(message)?;
                next += 1;
            }
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    async fn receive(&mut self, mut take: impl FnMut(&[u8])) -> Result<()> {
        loop {
            match self.node.next_event().await {
                Some(Event::Data { batch, .. }) => {
                    batch.iter().for_each(&mut take);
                    return Ok(());
                }
                Some(Event::PeerDisconnected { reason, .. }) => return Err(reason.to_string().into()),
                Some(_) => {}
                None => return Err("node stopped".into()),
            }
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// The settings of a node of contender `name`: `vixp2p` is the default, `vixp2p-x25519` the small key agreement.
fn config(name: &str, label: &str, dir: Option<&str>) -> Config {
    let mut config = Config::new(label);
    config.key_agreement = if name == "vixp2p-x25519" { KeyAgreement::Classic } else { KeyAgreement::PostQuantum };
    config.data_dir = dir.filter(|dir| *dir != "-").map(PathBuf::from);
    config.trust = Some(vixp2p::base::TrustPolicy::Tofu);
    config
}

pub(crate) fn serve(name: &str, dir: &str) -> Result<()> {
    work::die_with_parent();
    runtime()?.block_on(async {
        let is_sink = name == "vixp2p-sink";
        let mut config = config(name, "receiver", Some(dir).filter(|_| !is_sink));
        config.listen = Listen::On { host: "127.0.0.1".into(), port: 0 };
        let node = Node::open(config)?;
        node.start()?;
        println!("127.0.0.1:{}", node.port());
        let sink = if is_sink { Some(Sink::new(&node, dir.as_ref())?) } else { None };
        let mut receiver = Receiver::default();
        while let Some(event) = node.next_event().await {
            let Event::Data { peer, mut batch } = event else { continue };
            if let Some(sink) = &sink {
                while let Some(message) = batch.pop_front() {
                    sink.take(peer, message)?;
                }
                continue;
            }
            batch.iter().for_each(|message| receiver.take(message));
            if let Some(damage) = receiver.damaged.take() {
                return Err(damage.into());
            }
            for reply in receiver.replies.drain(..) {
                // The sender may have closed right after its last message.
                let _ = node.send(peer, &reply);
            }
        }
        Ok(())
    })
}

pub(crate) fn drive(name: &str, mode: &str, size: usize, secs: f64, peer: &str) -> Result<()> {
    runtime()?.block_on(async {
        let dir =
            ["replicate", "backlog"].contains(&mode).then(|| std::env::temp_dir().join(format!("vixp2p-bench-{}", std::process::id())));
        // Several may drive one receiver, which pins a key to each name.
        let label = format!("sender-{}", std::process::id());
        let open = || Ok(Node::open(config(name, &label, dir.as_deref().and_then(|d| d.to_str())))?);
        let outcome = if mode == "backlog" {
            backlog::drive(open, size, peer).await.map(|(rate, grown)| println!("{rate} {grown}"))
        } else {
            let node = open()?;
            node.start()?;
            let outcome = measure(&node, mode, size, secs, peer).await;
            node.stop().await;
            outcome
        };
        if let Some(dir) = dir {
            std::fs::remove_dir_all(dir)?;
        }
        outcome
    })
}

async fn measure(node: &Node, mode: &str, size: usize, secs: f64, peer: &str) -> Result<()> {
    match mode {
        "throughput" => println!("{}", work::throughput(&mut Linked::connect(node, peer).await?, size, secs).await?),
        "stream" => println!("{}", backlog::stream(&mut Linked::connect(node, peer).await?, size).await?),
        "rtt" => {
            let (p50, p99) = work::round_trips(&mut Linked::connect(node, peer).await?, secs).await?;
            println!("{p50} {p99}");
        }
        "connect" => println!("{}", connects(node, peer, secs).await?),
        "replicate" => println!("{}", replicate(node, peer, secs).await?),
        other => return Err(format!("unknown mode {other}").into()),
    }
    Ok(())
}

async fn connects(node: &Node, peer: &str, secs: f64) -> Result<f64> {
    let start = Instant::now();
    let mut n = 0u32;
    while start.elapsed().as_secs_f64() < secs {
        let mut linked = Linked::connect(node, peer).await?;
        work::one_echo(&mut linked).await?;
        node.disconnect(linked.sender.peer)?;
        while !matches!(node.next_event().await, Some(Event::PeerDisconnected { .. }) | None) {}
        n += 1;
    }
    Ok(f64::from(n) / start.elapsed().as_secs_f64())
}

/// Records per second that are durable here and durable and applied at the peer.
async fn replicate(node: &Node, peer: &str, secs: f64) -> Result<f64> {
    Linked::connect(node, peer).await?;
    let start = Instant::now();
    let mut appended = 0;
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..APPENDS_AT_ONCE {
        let node = node.clone();
        writers.spawn(async move {
            let mut last = 0;
            while start.elapsed().as_secs_f64() < secs {
                let records = vec![Bytes::from_static(&[7; RECORD_BYTES]); APPEND_BATCH];
                last = node.append(records).await.map_err(|e| e.to_string())?.1;
            }
            Ok::<u64, String>(last)
        });
    }
    let mut acked = 0;
    loop {
        tokio::select! {
            Some(last) = writers.join_next() => appended = appended.max(last??),
            event = node.next_event() => match event {
                Some(Event::Acked { applied, .. }) => acked = applied,
                Some(_) => {}
                None => return Err("node stopped".into()),
            },
        }
        if writers.is_empty() && acked >= appended {
            return Ok(acked as f64 / start.elapsed().as_secs_f64());
        }
    }
}
