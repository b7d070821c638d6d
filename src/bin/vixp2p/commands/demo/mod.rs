//! `demo`: two nodes as separate processes replicate a file while each of them is killed once. Nothing may be lost or doubled.
//!
//! Uses what every user has: the node's options, its control socket and its files. A's log is the demo's cursor (record `k` is
//! line `k` of the input), so that a demo that was itself killed goes on where it stopped. Never trusts a process about the result:
//! the verdict is read off the disks when both have ended.

mod place;
mod side;
mod verdict;

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use vixp2p::base::limits;

use crate::args::DemoArgs;
use crate::failure::Failure;
use place::Place;
use side::{Setup, Side};

/// The largest input.
const INPUT_MAX_BYTES: u64 = 64 * 1024 * 1024;
/// Records per append: small, so that there is a middle in which to kill.
const BATCH_RECORDS: usize = 16;
/// How long a node whose connection broke may take to prove that it has ended.
const END_GRACE: Duration = Duration::from_secs(2);

pub(crate) async fn run(args: DemoArgs) -> Result<(), Failure> {
    let records = read_input(&args.input, args.records)?;
    let place = Place::prepare(args.dir.clone(), args.keep)?;
    let voice = Voice { start: Instant::now() };
    voice.say(&format!("{} records from {}, directory {}", records.len(), args.input.display(), place.dir().display()));
    let limit = Duration::from_secs(u64::from(args.timeout));
    let outcome = tokio::select! {
        outcome = tokio::time::timeout(limit, play(&records, &place, voice)) => {
            outcome.unwrap_or_else(|_| Err(Failure::Runtime(format!("not finished after {} s", limit.as_secs()))))
        }
        _ = tokio::signal::ctrl_c() => Err(Failure::Runtime("interrupted".into())),
    };
    match outcome {
        Ok(()) => place.clean(),
        Err(Failure::Runtime(why)) => {
            Err(Failure::Runtime(format!("{why}; to go on from here run the demo again with --dir {}", place.dir().display())))
        }
        Err(other) => Err(other),
    }
}

/// The story, then the verdict.
async fn play(records: &[Bytes], place: &Place, voice: Voice) -> Result<(), Failure> {
    let all = records.len() as u64;
    let (half, more, most) = (all / 2, all * 6 / 10, all * 8 / 10);
    let mut demo = Demo::start(records, place, voice).await?;
    demo.connected().await?;

    demo.append(more, Some(half)).await?;
    demo.b_applies(half).await?;
    demo.kill_b().await?;
    demo.append(most, None).await?;
    demo.b.start(Some(demo.a.port())).await?;

    demo.b_applies(most.min(half + (most - half) / 2)).await?;
    demo.kill_a().await?;
    demo.a.start(Some(demo.b.port())).await?;
    demo.append(all, None).await?;
    demo.b_applies(all).await?;
    voice.say(&format!("B has applied all {all} records; stopping both"));
    demo.a.stop().await?;
    demo.b.stop().await?;

    if verdict::judge(records, &demo.a.setup.dir, &demo.b.setup.dir, &demo.b.setup.applied())? {
        voice.say("verdict: OK - nothing lost, nothing doubled, every digest equal");
        Ok(())
    } else {
        voice.say("verdict: FAILED");
        Err(Failure::Runtime("the verdict is FAILED: the digests or counts above differ".into()))
    }
}

/// Tells what happens, with the time since the beginning.
#[derive(Clone, Copy, Debug)]
struct Voice {
    start: Instant,
}

impl Voice {
    fn say(&self, text: &str) {
        let text = vixp2p::base::event::printable(text);
        // The demo goes on when nobody watches.
        let _ = writeln!(io::stdout(), "[{:7.3} s] {text}", self.start.elapsed().as_secs_f64());
    }
}

struct Demo<'a> {
    records: &'a [Bytes],
    voice: Voice,
    a: Side,
    b: Side,
}

impl<'a> Demo<'a> {
    async fn start(records: &'a [Bytes], place: &Place, voice: Voice) -> Result<Demo<'a>, Failure> {
        let setup = |name, applies| Setup { name, dir: place.dir().join(name), psk: place.psk(), applies, voice };
        let (mut a, mut b) = (Side::new(setup("A", false)), Side::new(setup("B", true)));
        a.settle().await?;
        b.settle().await?;
        let begun = verdict::check_begun(records, &a.setup.dir)?;
        if begun > 0 {
            voice.say(&format!("A's log has {begun} of the records from an earlier run; going on behind them"));
        }
        a.start(None).await?;
        b.start(Some(a.port())).await?;
        Ok(Demo { records, voice, a, b })
    }

    async fn connected(&mut self) -> Result<(), Failure> {
        self.until(|b| b.connected > 0).await?;
        self.voice.say("A and B have authenticated each other by key, the link is sealed");
        Ok(())
    }

    /// Appends records to A until `upto` are in its log, or B has applied `enough`.
    async fn append(&mut self, upto: u64, enough: Option<u64>) -> Result<(), Failure> {
        let from = self.a.own();
        while self.a.own() < upto && enough.is_none_or(|enough| self.b.applied() < enough) {
            let (first, last) = (self.a.own() as usize, upto as usize);
            let batch = &self.records[first..last.min(first + BATCH_RECORDS)];
            let Err(failure) = self.a.append(batch.to_vec()).await else { continue };
            // A node that lives and refuses (a full disk, say) ends the demo; one that was killed is started again.
            if tokio::time::timeout(END_GRACE, self.a.ended()).await.is_err() {
                return Err(failure);
            }
            self.a.revive(self.b.port()).await?;
        }
        if self.a.own() > from {
            self.voice.say(&format!("A has appended records {} to {}, durable there", from + 1, self.a.own()));
        }
        Ok(())
    }

    async fn b_applies(&mut self, goal: u64) -> Result<(), Failure> {
        self.until(|b| b.applied >= goal).await
    }

    /// Waits until B's status is as wished. Whoever is killed by somebody else meanwhile is started again.
    async fn until(&mut self, wished: impl Fn(&crate::control::Status) -> bool) -> Result<(), Failure> {
        while !self.b.status().is_some_and(|status| wished(&status)) {
            tokio::select! {
                alive = self.b.changed() => if !alive {
                    self.b.revive(self.a.port()).await?;
                },
                () = self.a.ended() => self.a.revive(self.b.port()).await?,
            }
        }
        Ok(())
    }

    async fn kill_b(&mut self) -> Result<(), Failure> {
        self.voice.say(&format!("B has applied {} of {} records: killing it with SIGKILL", self.b.applied(), self.records.len()));
        self.b.kill().await
    }

    async fn kill_a(&mut self) -> Result<(), Failure> {
        self.voice.say(&format!(
            "B has caught up to {} of {} records: killing A with SIGKILL at record {}",
            self.b.applied(),
            self.records.len(),
            self.a.own()
        ));
        self.a.kill().await
    }
}

/// The lines of the input file; the last one counts even without a line feed.
fn read_input(path: &Path, most: Option<u32>) -> Result<Vec<Bytes>, Failure> {
    let refuse = |why: String| Failure::Usage(format!("--input {}: {why}", path.display()));
    let file = File::open(path).map_err(|error| refuse(format!("cannot be opened: {error}")))?;
    let mut text = Vec::new();
    file.take(INPUT_MAX_BYTES + 1).read_to_end(&mut text).map_err(|error| refuse(format!("cannot be read: {error}")))?;
    if text.len() as u64 > INPUT_MAX_BYTES {
        return Err(refuse(format!("larger than {INPUT_MAX_BYTES} bytes")));
    }
    if text.last() == Some(&b'\n') {
        text.pop();
    } else if text.is_empty() {
        return Err(refuse("has no lines".into()));
    }
    let text = Bytes::from(text);
    let lines = text.split(|byte| *byte == b'\n').map(|line| text.slice_ref(line));
    let records: Vec<Bytes> = lines.take(most.map_or(usize::MAX, |most| most as usize)).collect();
    match records.iter().position(|record| record.len() > limits::RECORD_PAYLOAD_MAX_BYTES) {
        Some(long) => Err(refuse(format!("line {} is longer than a record may be ({} bytes)", long + 1, limits::RECORD_PAYLOAD_MAX_BYTES))),
        None => Ok(records),
    }
}
