//! The same machines under virtual time, with a network and disks that fail by a seed.
//!
//! ```text
//!   script ──Action──► world ◄── net     connections as byte streams: late, cut, stalled, partitioned
//!                        │  ▲
//!                 Input  │  │ Output     nodes run the real Mesh, Handshaking, SendHalf, RecvHalf and Wal
//!                        ▼  │
//!                        node ◄── disk   writes that are not synced may be kept, lost or torn
//!                        │
//!                        └──► check      an oracle that knows what was written looks after every step
//! ```
//!
//! A carrier like the driver, so it decides nothing a node decides. Never reads a clock, draws a random number but from its
//! seed, opens a file or starts a thread: the same options give the same trace, whose hash the report shows.

mod app;
mod carry;
mod causes;
mod check;
mod compare;
mod converge;
mod disk;
mod faults;
mod ferry;
mod knobs;
mod lan;
mod late;
mod lent;
mod liar;
mod link;
mod logwork;
mod mail;
mod net;
mod node;
mod pages;
mod pairs;
mod plan;
mod postal;
mod script;
mod setback;
mod shelf;
mod shrink;
mod trace;
mod world;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::base::Time;

pub use shrink::{Shrunk, shrink};
use world::World;

/// Nodes of one run: each is a letter in the trace.
pub const NODES_MAX: usize = 52;

/// What goes on in a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Scenario {
    /// Whatever the seed makes of it: writes, cuts, partitions, crashes, pauses, full disks.
    #[default]
    Storm,
    /// Two halves write apart from each other, then meet again.
    PartitionHeals,
    /// The power fails between a write and its sync, at the writer and at a follower.
    CrashBeforeSync,
    /// A and C never meet and A is gone for good when C comes: C gets A's records from B.
    Transitive,
    /// Two halves never meet; one node goes to and fro between them, and in the end everybody has everything.
    Ferry,
    /// Every pair of nodes dials each other at the same moment, again and again.
    SimultaneousDial,
    /// Every node dials every other at the start, and speaks on every link the moment it may: one link a pair is left, and nothing that
    /// was sent is lost with the others.
    AllDialAll,
    /// Only neighbours in a row, or in a ring, are linked; messages go from anybody to anybody while links, partitions and relays come and
    /// go. In half of the worlds of four nodes and more one of them lies to its neighbours, of whom it has two or more.
    Relays,
    /// A puts operations for C and is gone, B carries them, C executes them through crashes, and A's next life learns of it.
    Mail,
    /// Every node is told of the first one only; from it they learn of each other, and all have to be linked in the end.
    Introductions,
    /// The last node comes when the others have let go of what they wrote: it takes a snapshot, killed at ten points, and ends with the
    /// same state as one that read everything.
    Late,
    /// The first node is set back to a copy of itself, again and again, and writes before it is told: its log has several histories on
    /// several nodes, and in the end everybody who meets another one knows.
    SetBack,
}

impl Scenario {
    /// Every scenario.
    pub const ALL: [Scenario; 12] = [
        Scenario::Storm,
        Scenario::PartitionHeals,
        Scenario::CrashBeforeSync,
        Scenario::Transitive,
        Scenario::Ferry,
        Scenario::SimultaneousDial,
        Scenario::AllDialAll,
        Scenario::Relays,
        Scenario::Mail,
        Scenario::Introductions,
        Scenario::Late,
        Scenario::SetBack,
    ];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Scenario::Storm => "storm",
            Scenario::PartitionHeals => "partition-heals",
            Scenario::CrashBeforeSync => "crash-before-sync",
            Scenario::Transitive => "transitive",
            Scenario::Ferry => "ferry",
            Scenario::SimultaneousDial => "simultaneous-dial",
            Scenario::AllDialAll => "all-dial-all",
            Scenario::Relays => "relays",
            Scenario::Mail => "mail",
            Scenario::Introductions => "introductions",
            Scenario::Late => "late",
            Scenario::SetBack => "set-back",
        }
    }

    /// The scenario of a name.
    pub fn from_name(name: &str) -> Option<Scenario> {
        Scenario::ALL.into_iter().find(|scenario| scenario.name() == name)
    }
}

/// A rule broken on purpose, to see that the oracle notices. For tests of the simulator itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sabotage {
    /// The disk says "synced" and has done nothing.
    LyingSync,
    /// Groups are called durable before they are written.
    DurableBeforeWrite,
    /// Now and then a record is counted as applied and never given to the application.
    SkipApply,
    /// Now and then two records change places on their way to the application.
    SwapApply,
    /// Now and then a record's payload is altered on its way to the application.
    AlterPayload,
    /// A pushed group is thrown away and nobody is told.
    LoseStore,
    /// No seal that is shown arrives.
    LoseSeals,
    /// After a restart the application is given everything once more although it keeps its own cursor.
    ForgetCursor,
    /// Records are given to the application whatever they come after.
    IgnoreCauses,
}

/// What to simulate. `steps` counts events before the end phase, in which everything is healed and has to converge.
#[derive(Clone, Debug)]
pub struct Options {
    /// Everything random comes from this.
    pub seed: u64,
    /// Number of nodes, 2 to [`NODES_MAX`].
    pub nodes: usize,
    /// Events to play before everything is healed; up to three times as many of a storm in which not all records were written yet.
    pub steps: u64,
    /// Whether the trace is written out; it is hashed in any case.
    pub trace: bool,
    /// Records written at most.
    pub writes: u64,
    /// Whether a storm has faults, or only writes.
    pub faults: bool,
    /// What goes on.
    pub scenario: Scenario,
    /// A rule to break.
    pub sabotage: Option<Sabotage>,
    /// Things of a storm that are left out, counted from 1: for making a failing one smaller.
    pub omit: BTreeSet<u64>,
    /// Instead of a scenario: one that is written down (`tests/scenarios`). Its number of nodes counts.
    pub text: Option<String>,
    /// How many bytes live on this thread's heap: told by whoever counts them, so that the report can say what each node held.
    pub weigh: Option<fn() -> usize>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            seed: 1,
            nodes: 3,
            steps: 3_000,
            trace: false,
            writes: 400,
            faults: true,
            scenario: Scenario::Storm,
            sabotage: None,
            omit: BTreeSet::new(),
            text: None,
            weigh: None,
        }
    }
}

impl Options {
    /// The command that plays this run again and prints its trace.
    pub fn command(&self) -> String {
        let mut text = format!("vixp2p simulate --seed {} --nodes {} --steps {}", self.seed, self.nodes, self.steps);
        let default = Options::default();
        if self.writes != default.writes {
            text.push_str(&format!(" --writes {}", self.writes));
        }
        if !self.faults {
            text.push_str(" --no-faults");
        }
        if self.scenario != Scenario::Storm {
            text.push_str(&format!(" --scenario {}", self.scenario.name()));
        }
        text
    }
}

/// What happened in a run, counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Records acknowledged to their writers.
    pub appended: u64,
    /// Appends the log refused.
    pub refused: u64,
    /// Records applied, over all nodes; a repeat after a crash counts again.
    pub applied: u64,
    /// Records offered again after a crash because the application had left its cursor to the library.
    pub repeated: u64,
    /// Application messages received.
    pub messages: u64,
    /// Inputs given to meshes.
    pub inputs: u64,
    /// Outputs carried out.
    pub outputs: u64,
    /// Connections opened.
    pub connections: u64,
    /// Times somebody forgot, long after everybody knew what its neighbours had, because another link took the place of one.
    pub late_lapses: u64,
    /// Links authenticated, counted at both ends.
    pub authenticated: u64,
    /// Processes killed.
    pub kills: u64,
    /// Machines that lost their power.
    pub power_cuts: u64,
    /// Crashes that struck in the middle of a disk operation.
    pub mid_write: u64,
    /// Among them: after a write, before its sync had done anything.
    pub before_sync: u64,
    /// Unfinished writes found and cut off at a restart.
    pub torn_tails: u64,
    /// Writes and syncs the disk refused.
    pub disk_errors: u64,
    /// Connections cut in the middle.
    pub cuts: u64,
    /// Bits that flip on their way.
    pub flips: u64,
    /// Partitions.
    pub partitions: u64,
    /// Pauses of a node.
    pub pauses: u64,
    /// Messages over routes that arrived.
    pub routed: u64,
    /// Messages over routes whose sender was told that they were given up.
    pub given_up: u64,
    /// Messages that a liar among the relays made up.
    pub lies: u64,
    /// Disks that were damaged at rest or exchanged for an older copy.
    pub hurt: u64,
    /// Logs of which damage was set aside.
    pub quarantined: u64,
    /// Logs that a node found to have two histories.
    pub forks: u64,
    /// Among them: by comparing seals.
    pub compared: u64,
    /// Nodes that were shown by a seal that they had been set back.
    pub shown: u64,
    /// Times a log was parked at a record.
    pub parked: u64,
    /// Times a record waited for those it comes after.
    pub waited: u64,
    /// Snapshots made.
    pub snapshots: u64,
    /// Times an application's state was replaced by one while its node ran.
    pub installed: u64,
    /// Times that was begun in one life of a process and finished in the next.
    pub finished: u64,
    /// Times a state was not taken in because its consumer failed.
    pub not_taken: u64,
    /// Parts of snapshots that could not be read for a peer.
    pub unread: u64,
    /// Nodes that were shown by a snapshot that they had been set back.
    pub set_back: u64,
    /// Records that were let go of, over all nodes.
    pub truncated: u64,
}

/// A run that held every rule to its end.
#[derive(Clone, Debug)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// Number of nodes.
    pub nodes: usize,
    /// BLAKE3 over all lines of the trace, in hex: the same options give the same hash.
    pub trace_hash: String,
    /// Lines of the trace.
    pub trace_lines: u64,
    /// Events played, the end phase included.
    pub steps: u64,
    /// Virtual time at the end.
    pub time: Time,
    /// Virtual milliseconds from the last fault or write until every record was everywhere and applied.
    pub spread_ms: u64,
    /// How many that may take.
    pub allowed_ms: u64,
    /// The same until everybody knew what its neighbours have.
    pub healed_ms: u64,
    /// Logs that exist at the end.
    pub logs: usize,
    /// Records in them.
    pub records: u64,
    /// What happened.
    pub counts: Counts,
    /// Of each node the bytes that its machines held at the end (mesh, sessions, discovery) and those of its log with the disk under it,
    /// if they were weighed.
    pub live: Vec<[usize; 3]>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let c = &self.counts;
        writeln!(
            f,
            "seed {}: {} nodes held every rule through {} steps, {} of virtual time",
            self.seed, self.nodes, self.steps, self.time
        )?;
        writeln!(
            f,
            "  records     {} in {} logs, {} applied, {} repeated after a crash, {} appends refused by the disk",
            self.records, self.logs, c.applied, c.repeated, c.refused
        )?;
        writeln!(
            f,
            "  crashes     {} kills, {} power cuts, {} in mid-operation, {} between write and sync, {} torn tails cut, {} disk errors",
            c.kills, c.power_cuts, c.mid_write, c.before_sync, c.torn_tails, c.disk_errors
        )?;
        writeln!(
            f,
            "  network     {} connections, {} ends authenticated, {} cut, {} bits flipped, {} partitions, {} pauses, {} messages",
            c.connections, c.authenticated, c.cuts, c.flips, c.partitions, c.pauses, c.messages
        )?;
        if c.routed + c.given_up > 0 {
            writeln!(f, "  routes      {} messages arrived, {} were given up, {} lies were told", c.routed, c.given_up, c.lies)?;
        }
        writeln!(
            f,
            "  damage      {} disks hurt, {} logs set aside, {} forks found, {} times by a seal, {} set back shown by one, {} logs parked",
            c.hurt, c.quarantined, c.forks, c.compared, c.shown, c.parked
        )?;
        if c.snapshots > 0 {
            writeln!(
                f,
                "  snapshots   {} made, {} taken in, {} finished after a crash, {} refused by a consumer, {} parts unread, {} records let go of",
                c.snapshots, c.installed, c.finished, c.not_taken, c.unread, c.truncated
            )?;
        }
        if c.waited > 0 {
            writeln!(f, "  causes      {} times a record waited for those it comes after", c.waited)?;
        }
        writeln!(
            f,
            "  converged   {} ms after the last fault, {} are allowed; everybody knew after {} ms",
            self.spread_ms, self.allowed_ms, self.healed_ms
        )?;
        write!(f, "  trace       {} ({} lines)", self.trace_hash, self.trace_lines)
    }
}

/// A rule did not hold.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The run.
    pub options: Box<Options>,
    /// The event that broke the rule, counted from 1.
    pub step: u64,
    /// Virtual time.
    pub time: Time,
    /// Which rule, with names and numbers.
    pub what: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}, step {}, {}: {}", self.options.seed, self.step, self.time, self.what)?;
        write!(f, "play it again: {}", self.options.command())
    }
}

impl std::error::Error for Failure {}

/// Plays a run; the trace goes to `out` if it is wanted. A panic of any machine is a failure like any other.
pub fn run(options: &Options, out: &mut dyn Write) -> Result<Report, Failure> {
    let progress = Cell::new((0, Time::ZERO));
    let failure = |what: String| {
        let (step, time) = progress.get();
        Failure { options: Box::new(options.clone()), step, time, what }
    };
    let least = if matches!(options.scenario, Scenario::Transitive | Scenario::Ferry | Scenario::Mail | Scenario::Late) { 3 } else { 2 };
    if !(least..=NODES_MAX).contains(&options.nodes) {
        return Err(failure(format!("{} nodes, possible are {least} to {NODES_MAX}", options.nodes)));
    }
    let plan = match options.text.as_deref().map(plan::parse).transpose() {
        Ok(plan) => plan,
        Err(why) => return Err(failure(why)),
    };
    let outcome = catch_unwind(AssertUnwindSafe(|| match plan {
        Some(plan) => World::new(&Options { nodes: plan.nodes, writes: u64::MAX, ..options.clone() }, Some(plan), out, &progress).play(),
        None => World::new(options, None, out, &progress).play(),
    }));
    match outcome {
        Ok(Ok(report)) => Ok(report),
        Ok(Err(what)) => Err(failure(what)),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
            Err(failure(format!("panic: {}", text.unwrap_or_default())))
        }
    }
}
