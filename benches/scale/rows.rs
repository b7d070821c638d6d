//! The measurements one after the other, and their table.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::crowd::{self, Tally};
use crate::procfs::{Usage, usage};
use crate::{Options, Result};

/// Figures to hold.
const PEER_KIB_MAX: f64 = 64.0;
const CORE_PERCENT_MAX: f64 = 3.0;
const JOIN_SECS_MAX: f64 = 10.0;
const LEFT_OVER_PERCENT_MAX: f64 = 1.0;
/// What a library may come to keep once, as for a thread's random numbers; a leak of one byte in twenty connections is more in a million.
const LEFT_OVER_KIB_MAX: u64 = 48;

/// Cycles before the first look, in two parts with a rest between: until then tables that keep the last thousand peers fill up, the allocator
/// has seen the highest wave of connections at once, of which it keeps the room, and the code that runs at rest and after it is loaded.
const WARM_UP_CYCLES: usize = 200_000;
/// Looks at the memory on the way: a leak climbs from one to the next.
const LOOKS: usize = 10;
/// Connections that come and go at once.
const COMING_AND_GOING: usize = 16;
/// How long an idle node is left alone before it is looked at: two heartbeats, after which idle buffers have gone back.
const SETTLE: Duration = Duration::from_secs(12);

/// What glibc's allocator keeps for each thread fills over hours, and is not the node's.
const NO_CACHES: &str = "glibc.malloc.tcache_count=0";

struct Hub {
    child: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
    port: u16,
}

impl Hub {
    fn start(max_peers: usize, tunables: &str) -> Result<Hub> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["hub", &max_peers.to_string()]).env("GLIBC_TUNABLES", tunables);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (ask, out) = (child.stdin.take().ok_or("no stdin")?, child.stdout.take().ok_or("no stdout")?);
        let mut hub = Hub { child, ask, answers: BufReader::new(out), port: 0 };
        hub.port = hub.line()?.parse()?;
        Ok(hub)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }

    /// Connected peers and unfinished handshakes.
    fn counts(&mut self) -> Result<(usize, usize)> {
        let [peers, half_open, _] = self.answer("?")?;
        Ok((peers, half_open))
    }

    /// What it answers to a line.
    fn answer(&mut self, line: &str) -> Result<[usize; 3]> {
        writeln!(self.ask, "{line}")?;
        let line = self.line()?;
        if line.is_empty() {
            return Err("the node has ended".into());
        }
        let numbers = line.split(' ').map(str::parse).collect::<std::result::Result<Vec<usize>, _>>()?;
        numbers.try_into().map_err(|_| format!("three numbers were to come, not {line:?}").into())
    }

    fn allocated_kib(&mut self) -> Result<u64> {
        let [.., bytes] = self.answer("?")?;
        Ok(bytes as u64 / 1024)
    }

    fn usage(&self) -> Result<Usage> {
        usage(self.child.id())
    }

    /// What it has come back to: the least of every figure over some seconds, since a thread of the runtime's pool lives for ten after its
    /// work, and what the allocator keeps without need is not counted.
    async fn settled(&mut self) -> Result<Usage> {
        tokio::time::sleep(SETTLE).await;
        self.answer("trim")?;
        let mut least = self.usage()?;
        for _ in 0..SETTLE.as_secs() {
            tokio::time::sleep(Duration::from_secs(1)).await;
            least = least.least(&self.usage()?);
        }
        Ok(least)
    }

    /// Waits until so many peers are connected, at most a minute.
    async fn has(&mut self, peers: usize) -> Result<()> {
        let begin = Instant::now();
        while self.counts()? != (peers, 0) {
            if begin.elapsed() > Duration::from_secs(60) {
                return Err(format!("{:?} peers and handshakes after a minute, not {peers} and 0", self.counts()?).into());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One line of the table; whether its figure was met.
fn row(name: &str, value: String, goal: &str, met: bool) -> bool {
    println!("{name:<52} {value:>22}   {goal:<10} {}", if met { "ok" } else { "MISSED" });
    met
}

pub(crate) fn run(options: Options) -> Result<bool> {
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
    let needed = 2 * options.peers as u64 + 200;
    if files < needed {
        return Err(format!(
            "{files} open files are allowed, {needed} are needed: half of a node's are for unfinished handshakes; ulimit -n"
        )
        .into());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut met = runtime.block_on(standing(options))?;
    met &= runtime.block_on(passing(options))?;
    Ok(met)
}

/// Many peers that join at once and stay.
async fn standing(options: Options) -> Result<bool> {
    let peers = options.peers;
    let mut hub = Hub::start(peers, "")?;
    let (port, tally) = (hub.port, Arc::new(Tally::default()));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = hub.usage()?;
    let begin = Instant::now();
    let mut living = JoinSet::new();
    for n in 0..peers {
        let tally = tally.clone();
        living.spawn(async move { crowd::join(n, port, &tally).await?.live().await });
    }
    hub.has(peers).await?;
    let joined = begin.elapsed().as_secs_f64();
    println!("{peers} peers joined, {} dials were repeated; left alone for {} s", tally.retries.load(Ordering::Relaxed), SETTLE.as_secs());
    tokio::time::sleep(SETTLE).await;
    let settled = hub.usage()?;
    tokio::time::sleep(Duration::from_secs(options.idle_secs)).await;
    let idle = hub.usage()?;
    hub.has(peers).await?;
    if let Some(ended) = living.try_join_next() {
        return Err(format!("a peer ended: {:?}", ended?).into());
    }
    let peer_kib = idle.resident_kib.saturating_sub(before.resident_kib) as f64 / peers as f64;
    let core = (idle.ticks - settled.ticks) as f64 / options.idle_secs as f64;
    let mut met = row("all joined, dialling at once", format!("{joined:.2} s"), "<= 10 s", joined <= JOIN_SECS_MAX);
    met &= row("resident memory for each idle peer", format!("{peer_kib:.1} KiB"), "<= 64 KiB", peer_kib <= PEER_KIB_MAX);
    met &= row("one core, at the default heartbeat", format!("{core:.2} %"), "<= 3 %", core <= CORE_PERCENT_MAX);
    Ok(met)
}

/// Peers that come and go; every other one says goodbye.
async fn cycles(port: u16, count: usize) -> Result<()> {
    let tally = Arc::new(Tally::default());
    let mut going = JoinSet::new();
    for n in 0..count {
        if going.len() >= COMING_AND_GOING
            && let Some(ended) = going.join_next().await
        {
            ended??;
        }
        let tally = tally.clone();
        going.spawn(async move { crowd::join(n, port, &tally).await?.leave(n % 2 == 0).await });
    }
    while let Some(ended) = going.join_next().await {
        ended??;
    }
    Ok(())
}

async fn passing(options: Options) -> Result<bool> {
    let mut hub = Hub::start(64, NO_CACHES)?;
    let port = hub.port;
    let mut rested = Vec::new();
    for _ in 0..2 {
        cycles(port, WARM_UP_CYCLES / 2).await?;
        hub.has(0).await?;
        rested.push((hub.settled().await?, hub.allocated_kib()?));
    }
    let (before, allocated) = rested.pop().ok_or("no rest")?;
    let begin = Instant::now();
    let mut seen = Vec::new();
    for look in 0..LOOKS {
        cycles(port, options.cycles * (look + 1) / LOOKS - options.cycles * look / LOOKS).await?;
        let (usage, allocated) = (hub.usage()?, hub.allocated_kib()?);
        seen.push(format!("{allocated}/{}+{}", usage.anonymous_kib, usage.resident_kib - usage.anonymous_kib));
    }
    let rate = options.cycles as f64 / begin.elapsed().as_secs_f64();
    hub.has(0).await?;
    let after = hub.settled().await?;
    println!(
        "{} connects and disconnects, {rate:.0} a second; KiB allocated/heap and stacks+code after every tenth: {}",
        options.cycles,
        seen.join(" ")
    );
    let mut met = true;
    for (name, before, after) in [
        ("descriptors after them", before.descriptors, after.descriptors),
        ("threads after them", before.threads, after.threads),
        ("resident memory after them, KiB", before.resident_kib, after.resident_kib),
    ] {
        if before == 0 {
            continue; // Not known on this system.
        }
        let grown = 100.0 * (after as f64 / before as f64 - 1.0);
        met &= row(name, format!("{before} -> {after}, {grown:+.2} %"), "<= +1 %", grown <= LEFT_OVER_PERCENT_MAX);
    }
    if allocated > 0 {
        let now = hub.allocated_kib()?;
        let goal = format!("<= +{LEFT_OVER_KIB_MAX} KiB");
        met &= row("allocated after them, KiB", format!("{allocated} -> {now}"), &goal, now <= allocated + LEFT_OVER_KIB_MAX);
    }
    Ok(met)
}
