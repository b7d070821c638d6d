//! What is done to the nodes and when: a storm drawn from the seed, or one of the written scenarios. Does nothing itself.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use crate::base::{Time, limits};
use crate::sim::node::name;
use crate::sim::plan::Plan;
use crate::sim::shelf::draw_state_bytes;
use crate::sim::{Options, Scenario};

/// One thing that is done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Action {
    /// A node's application appends so many records at once.
    Write { node: usize, records: u64 },
    /// A node sends so many application messages to everybody it is connected to.
    Talk { node: usize, messages: u64 },
    /// `from` sends a message over whatever way there is, which has to arrive if `must`.
    Letter { from: usize, to: usize, life_ms: u64, must: bool },
    /// `from` is configured to stay connected to `to`.
    Connect { from: usize, to: usize },
    /// `from` no longer wants `to`.
    Disconnect { from: usize, to: usize },
    /// A connection breaks, chosen by this number.
    Cut { pick: u64 },
    /// One direction of a connection stands still.
    Stall { pick: u64, millis: u64 },
    /// A bit flips on its way.
    Corrupt { pick: u64 },
    /// Nodes on different islands do not reach each other.
    Partition { islands: Vec<u8>, millis: u64 },
    /// Every node reaches every other.
    Heal,
    /// The process is killed, or the machine loses its power; it comes back after a while, if ever.
    Crash { node: usize, power: bool, back_ms: Option<u64> },
    /// The n-th change of the disk from now kills the process or the machine.
    ArmCrash { node: usize, changes: u32, power: bool },
    /// The power fails at the next sync, before it does anything.
    CrashAtSync { node: usize },
    /// The process stands still.
    Pause { node: usize, millis: u64 },
    /// The disk is full for a while.
    FillDisk { node: usize, millis: u64 },
    /// So many of a thousand writes and syncs fail for a while.
    SickDisk { node: usize, writes: u32, syncs: u32, millis: u64 },
    /// Of a thousand parts of snapshots so many cannot be read, and of states so many not be taken in, for a while.
    SickShelf { node: usize, reads: u32, takes: u32, millis: u64 },
    /// The application refuses so many of a thousand records.
    Refuse { node: usize, per_mille: u32 },
    /// The application calls so many of a thousand records poison.
    Poison { node: usize, per_mille: u32 },
    /// It tries those again that it called poison.
    Resume { node: usize },
    /// What one node sends does not reach the other.
    OneWay { from: usize, to: usize, millis: u64 },
    /// A node's network goes and comes back, again and again.
    Flap { node: usize, times: u32, millis: u64 },
    /// A snapshot is made, and what is in it is let go of.
    Truncate { node: usize },
    /// The disk is copied.
    Save { node: usize },
    /// The power fails, and the machine comes back with the copy of its disk.
    Restore { node: usize, back_ms: u64 },
    /// The power fails, and a bit has flipped in a log on the disk: the own ones, or another's.
    Rot { node: usize, own: bool, back_ms: u64 },
    /// The wall clock jumps; nothing may depend on it.
    JumpClock { node: usize, wall_us: u64 },
    /// These nodes must have everything that was ever written by now.
    Expect { nodes: Vec<usize> },
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Write { node, records } => write!(f, "{} writes {records} records", name(*node)),
            Action::Talk { node, messages } => write!(f, "{} sends {messages} messages to everybody", name(*node)),
            Action::Letter { from, to, life_ms, must } => {
                write!(f, "{} writes to {} within {life_ms} ms, must={must}", name(*from), name(*to))
            }
            Action::Connect { from, to } => write!(f, "{} is to connect to {}", name(*from), name(*to)),
            Action::Disconnect { from, to } => write!(f, "{} is to disconnect from {}", name(*from), name(*to)),
            Action::Cut { pick } => write!(f, "cut ({pick})"),
            Action::Stall { pick, millis } => write!(f, "stall for {millis} ms ({pick})"),
            Action::Corrupt { pick } => write!(f, "flip a bit ({pick})"),
            Action::Partition { islands, millis } => write!(f, "partition {islands:?} for {millis} ms"),
            Action::Heal => f.write_str("heal the network"),
            Action::Crash { node, power, back_ms } => {
                let what = if *power { "loses power" } else { "is killed" };
                write!(f, "{} {what}, back in {back_ms:?} ms", name(*node))
            }
            Action::ArmCrash { node, changes, power } => write!(f, "{} is to crash in {changes} disk changes, power={power}", name(*node)),
            Action::CrashAtSync { node } => write!(f, "{} is to lose power at its next sync", name(*node)),
            Action::Pause { node, millis } => write!(f, "{} pauses for {millis} ms", name(*node)),
            Action::FillDisk { node, millis } => write!(f, "{}'s disk is full for {millis} ms", name(*node)),
            Action::SickDisk { node, writes, syncs, millis } => {
                write!(f, "{}'s disk fails {writes} writes and {syncs} syncs of 1000 for {millis} ms", name(*node))
            }
            Action::SickShelf { node, reads, takes, millis } => {
                write!(f, "{} cannot read {reads} parts nor take in {takes} states of 1000 for {millis} ms", name(*node))
            }
            Action::Refuse { node, per_mille } => write!(f, "{}'s application refuses {per_mille} of 1000 records", name(*node)),
            Action::Poison { node, per_mille } => write!(f, "{}'s application calls {per_mille} of 1000 records poison", name(*node)),
            Action::Resume { node } => write!(f, "{}'s application tries again what it called poison", name(*node)),
            Action::OneWay { from, to, millis } => write!(f, "nothing of {} reaches {} for {millis} ms", name(*from), name(*to)),
            Action::Flap { node, times, millis } => write!(f, "{}'s network goes {times} times for {millis} ms", name(*node)),
            Action::Truncate { node } => write!(f, "{} makes a snapshot and lets go of the rest", name(*node)),
            Action::Save { node } => write!(f, "{}'s disk is copied", name(*node)),
            Action::Restore { node, back_ms } => write!(f, "{}'s disk is exchanged for its copy, back in {back_ms} ms", name(*node)),
            Action::Rot { node, own, back_ms } => {
                let whose = if *own { "its own" } else { "another's" };
                write!(f, "a bit of {whose} log flips on {}'s disk, back in {back_ms} ms", name(*node))
            }
            Action::JumpClock { node, wall_us } => write!(f, "{}'s wall clock jumps to {wall_us}", name(*node)),
            Action::Expect { nodes } => write!(f, "{} must have everything", nodes.iter().map(|n| name(*n)).collect::<String>()),
        }
    }
}

/// What a seed's world is like; every figure differs from seed to seed, so that each stresses something else.
#[derive(Clone, Debug)]
pub(super) struct Profile {
    /// One-way latency in microseconds, least and most.
    pub(super) latency_us: (u64, u64),
    /// Whether nodes announce themselves.
    pub(super) lan: bool,
    /// Packets of a thousand that are lost, of those that open a connection and of announcements.
    pub(super) dial_loss: u32,
    /// Average virtual time between two actions, in microseconds.
    gap_us: u64,
    /// How often each kind of fault is drawn, against 10 for a write.
    weights: [u32; KINDS],
    /// Records of one write.
    batch_max: u64,
    pub(super) payload_max: usize,
    pub(super) segment_max: u64,
    pub(super) psk: Option<[u8; 32]>,
    /// Who dials whom.
    pub(super) edges: Vec<(usize, usize)>,
    /// Whether each node's application keeps its own cursor.
    pub(super) own_cursor: Vec<bool>,
    /// The longest a disk operation takes, in microseconds.
    pub(super) disk_us: u64,
    /// Whose disk is damaged or exchanged for an older copy, if any is.
    victim: usize,
    /// The relay that lies, if one does.
    pub(super) liar: Option<usize>,
    /// Whether each node's appends do not wait for the disk.
    pub(super) buffered: Vec<bool>,
    /// How long an application's state is behind its lines.
    pub(super) state_bytes: usize,
    /// Whether every node is in causal mode.
    pub(super) causal: bool,
}

const KINDS: usize = 21;
/// At most so much is written in a storm, in all.
const STORM_BYTES: u64 = 4_000_000;

fn edges(nodes: usize, rng: &mut fastrand::Rng) -> Vec<(usize, usize)> {
    let mut edges: Vec<(usize, usize)> = match rng.u8(..5) {
        0 => (1..nodes).map(|n| (n - 1, n)).collect(),
        1 => (0..nodes).map(|n| (n, (n + 1) % nodes)).collect(),
        2 => (1..nodes).map(|n| (n, 0)).collect(),
        3 => (0..nodes).flat_map(|a| (0..nodes).filter(move |b| *b != a).map(move |b| (a, b))).collect(),
        _ => (1..nodes).map(|n| (n, rng.usize(..n))).collect(),
    };
    if rng.bool() {
        edges = edges.into_iter().map(|(a, b)| if rng.bool() { (b, a) } else { (a, b) }).collect();
    }
    edges
}

impl Profile {
    /// The world of a seed.
    pub(super) fn draw(options: &Options, rng: &mut fastrand::Rng) -> Profile {
        let nodes = options.nodes;
        let mut weights = [0; KINDS];
        if options.faults {
            weights[..20].fill_with(|| if rng.u8(..3) == 0 { 0 } else { rng.u32(1..6) });
            // Most worlds are strict: no disk is hurt, so nothing at all may be missing.
            if rng.u8(..4) > 0 {
                weights[18..].fill(0);
                // In some of them records are let go of before all have them.
                weights[20] = u32::from(options.scenario == Scenario::Storm && options.seed.is_multiple_of(5));
            }
        }
        let is_storm = options.scenario == Scenario::Storm && options.text.is_none();
        let payload_most = if is_storm { STORM_BYTES / options.writes.max(1) } else { u64::MAX };
        let distance = [0, 1, 1, 2, 2, 3][rng.usize(..6)];
        Profile {
            latency_us: [(50, 400), (200, 5_000), (5_000, 60_000), (250_000, 330_000)][distance],
            // Not by way of a satellite, and not everywhere on the ground.
            lan: is_storm && distance < 3 && !options.seed.is_multiple_of(8),
            dial_loss: if options.faults { rng.u32(..100) } else { 0 },
            gap_us: rng.u64(20_000..1_500_000),
            weights,
            // From a few large writes to many small ones.
            batch_max: (options.writes / 40 * rng.u64(1..12)).max(1),
            payload_max: [20, 200, 2_000, 20_000][rng.usize(..4)].min(payload_most as usize),
            segment_max: [700, 5_000, 50_000, crate::base::limits::SEGMENT_MAX_BYTES][rng.usize(..4)],
            psk: rng.bool().then(|| {
                let mut key = [0; 32];
                rng.fill(&mut key);
                key
            }),
            edges: edges(nodes, rng),
            own_cursor: (0..nodes).map(|_| rng.u8(..3) > 0).collect(),
            disk_us: [500, 3_000, 30_000][rng.usize(..3)],
            victim: rng.usize(..nodes),
            liar: None,
            buffered: (0..nodes).map(|_| options.faults && rng.u8(..4) == 0).collect(),
            state_bytes: if weights[20] > 0 { limits::SNAPSHOT_PIECE_BYTES } else { 0 },
            causal: matches!(options.scenario, Scenario::Storm | Scenario::Late) && options.seed.is_multiple_of(3),
        }
    }

    /// The quiet, fully equipped world of a written scenario.
    fn calm(mut self, edges: Vec<(usize, usize)>) -> Profile {
        self.dial_loss = 0;
        self.buffered.fill(false);
        self.edges = edges;
        self
    }
}

/// What comes next.
pub(super) enum Script {
    /// Drawn as it goes.
    Storm,
    /// Written down.
    Plan(VecDeque<(Time, Action)>),
}

impl Script {
    /// The script of a scenario and the world it needs.
    pub(super) fn new(options: &Options, plan: Option<Plan>, profile: Profile) -> (Script, Profile) {
        if let Some(Plan { edges, steps, causal, lan, segments, .. }) = plan {
            let mut profile = Profile { causal, lan, ..profile.calm(edges) };
            if let Some(bytes) = segments {
                (profile.segment_max, profile.payload_max) = (bytes, profile.payload_max.min(200));
            }
            return (Script::Plan(steps), profile);
        }
        let nodes = options.nodes;
        match options.scenario {
            Scenario::Storm => (Script::Storm, profile),
            Scenario::PartitionHeals => (Script::partition_heals(nodes), profile.calm(ring(nodes))),
            Scenario::CrashBeforeSync => (Script::crash_before_sync(nodes), profile.calm(ring(nodes))),
            Scenario::Transitive => (Script::transitive(nodes), profile.calm(vec![(0, 1)])),
            Scenario::Ferry => {
                let mut rng = fastrand::Rng::with_seed(!options.seed);
                (Script::ferry(nodes, &mut rng), profile.calm(Script::ferry_edges(nodes)))
            }
            Scenario::Mail => (Script::mail(nodes), profile.calm(vec![(0, 1)])),
            Scenario::SimultaneousDial => (Script::simultaneous(nodes), profile.calm(both_ways(nodes))),
            Scenario::AllDialAll => (Script::all_dial_all(nodes), profile.calm(both_ways(nodes))),
            Scenario::Introductions => (Script::introductions(nodes), profile.calm((1..nodes).map(|n| (n, 0)).collect())),
            Scenario::Late => {
                let mut rng = fastrand::Rng::with_seed(!options.seed);
                let mut profile = profile.calm(ring(nodes - 1));
                (profile.segment_max, profile.payload_max) = ([300, 700, 2_000][rng.usize(..3)], profile.payload_max.clamp(300, 2_000));
                profile.state_bytes = draw_state_bytes(&mut rng);
                (Script::late(nodes, &mut rng), profile)
            }
            Scenario::SetBack => {
                let mut rng = fastrand::Rng::with_seed(!options.seed);
                let edges = if rng.bool() { ring(nodes) } else { profile.edges.clone() };
                (Script::set_back(nodes, &mut rng), profile.calm(edges))
            }
            Scenario::Relays => {
                let mut rng = fastrand::Rng::with_seed(options.seed);
                let mut edges = ring(nodes);
                edges.truncate(if rng.bool() { nodes } else { nodes - 1 });
                let liar = (nodes >= 4 && rng.bool()).then(|| rng.usize(..nodes));
                if let Some(liar) = liar {
                    edges = edges_around(liar, nodes, &mut rng);
                }
                (Script::relays(nodes, liar, &mut rng), Profile { liar, ..profile.calm(edges) })
            }
        }
    }

    pub(super) fn plan(steps: Vec<(u64, Action)>) -> Script {
        Script::Plan(steps.into_iter().map(|(ms, action)| (Time::from_millis(ms), action)).collect())
    }

    fn partition_heals(nodes: usize) -> Script {
        let islands: Vec<u8> = (0..nodes).map(|n| u8::from(n >= nodes / 2)).collect();
        let mut steps = vec![(5_000, Action::Write { node: 0, records: 5 }), (20_000, Action::Partition { islands, millis: 60_000 })];
        for round in 0..10 {
            steps.extend((0..nodes).map(|node| (21_000 + round * 3_000, Action::Write { node, records: 3 })));
        }
        steps.push((60_000, Action::Heal));
        steps.push((130_000, Action::Expect { nodes: (0..nodes).collect() }));
        Script::plan(steps)
    }

    fn crash_before_sync(nodes: usize) -> Script {
        let mut steps = Vec::new();
        for round in 0..8 {
            let (at, node) = (10_000 + round * 12_000, round as usize % nodes);
            steps.push((at, Action::Write { node, records: 4 }));
            steps.push((at + 1_000, Action::CrashAtSync { node }));
            steps.push((at + 1_100, Action::Write { node, records: 4 }));
            // The follower is struck by what the next node writes.
            steps.push((at + 5_000, Action::CrashAtSync { node }));
            steps.push((at + 5_100, Action::Write { node: (node + 1) % nodes, records: 4 }));
        }
        Script::plan(steps)
    }

    fn transitive(nodes: usize) -> Script {
        let mut steps = vec![
            (5_000, Action::Write { node: 0, records: 20 }),
            (20_000, Action::Expect { nodes: vec![0, 1] }),
            (20_000, Action::Crash { node: 0, power: true, back_ms: None }),
        ];
        steps.extend((2..nodes).map(|from| (30_000, Action::Connect { from, to: 1 })));
        steps.push((60_000, Action::Expect { nodes: (1..nodes).collect() }));
        Script::plan(steps)
    }

    /// The last to come goes and comes again, under the eyes of all.
    fn introductions(nodes: usize) -> Script {
        let last = nodes - 1;
        Script::plan(vec![
            (20_000, Action::Write { node: last, records: 5 }),
            (30_000, Action::Crash { node: last, power: false, back_ms: Some(2_000) }),
            (50_000, Action::Write { node: 0, records: 5 }),
        ])
    }

    /// Two minutes in which everything moves, then one in which every message has to arrive: four of them if it has to be found out who lies.
    fn relays(nodes: usize, liar: Option<usize>, rng: &mut fastrand::Rng) -> Script {
        let mut steps = Vec::new();
        let pair = |rng: &mut fastrand::Rng| {
            let from = rng.usize(..nodes);
            (from, (from + rng.usize(1..nodes)) % nodes)
        };
        for _ in 0..rng.u64(20..120) {
            let ((from, to), life_ms) = (pair(rng), rng.u64(200..40_000));
            steps.push((rng.u64(1_000..120_000), Action::Letter { from, to, life_ms, must: false }));
        }
        for _ in 0..rng.u64(2..16) {
            let (node, millis) = (rng.usize(..nodes), 1 << rng.u32(8..15));
            let action = match rng.u8(..8) {
                0..3 => Action::Partition { islands: (0..nodes).map(|_| rng.u8(..2)).collect(), millis },
                3 => Action::Crash { node, power: rng.bool(), back_ms: Some(millis) },
                4 => Action::Pause { node, millis },
                5 => Action::Stall { pick: rng.u64(..), millis },
                6 => Action::Corrupt { pick: rng.u64(..) },
                _ => Action::Cut { pick: rng.u64(..) },
            };
            steps.push((rng.u64(5_000..115_000), action));
        }
        steps.push((150_000, Action::Heal));
        let life_ms = if liar.is_some() { 240_000 } else { 30_000 };
        for from in (0..nodes).filter(|from| Some(*from) != liar) {
            let others = (0..nodes).filter(|to| *to != from && Some(*to) != liar);
            steps.extend(others.map(|to| (220_000, Action::Letter { from, to, life_ms, must: true })));
        }
        steps.push((222_000 + life_ms, Action::Expect { nodes: (0..nodes).collect() }));
        steps.sort_by_key(|(at, _)| *at);
        Script::plan(steps)
    }

    /// A writes for C and goes, B carries, C executes through crashes.
    fn mail(nodes: usize) -> Script {
        let mut steps = vec![
            (5_000, Action::Write { node: 0, records: 20 }),
            (20_000, Action::Expect { nodes: vec![0, 1] }),
            (20_000, Action::Crash { node: 0, power: true, back_ms: Some(60_000) }),
        ];
        steps.extend((2..nodes).map(|from| (30_000, Action::Connect { from, to: 1 })));
        steps.push((30_100, Action::ArmCrash { node: 2, changes: 3, power: true }));
        steps.push((45_000, Action::ArmCrash { node: 2, changes: 2, power: false }));
        steps.push((45_000, Action::Write { node: 1, records: 9 }));
        steps.push((60_000, Action::CrashAtSync { node: 2 }));
        steps.push((90_000, Action::Write { node: 0, records: 9 }));
        Script::plan(steps)
    }

    fn simultaneous(nodes: usize) -> Script {
        let mut steps = Vec::new();
        for round in 0..6 {
            let at = 20_000 * (round + 1);
            steps.push((at, Action::Write { node: round as usize % nodes, records: 2 }));
            steps.extend((0..40).map(|pick| (at + 1_000, Action::Cut { pick })));
        }
        Script::plan(steps)
    }
}

impl Script {
    /// The dials are the nodes' own, at their start; every few moments of the first seconds everybody speaks to everybody it has.
    fn all_dial_all(nodes: usize) -> Script {
        let moments = [30, 60, 100, 200, 400, 800, 1_600, 3_200];
        let talk = |at| (0..nodes).map(move |node| (at, Action::Talk { node, messages: 1 }));
        Script::plan(moments.into_iter().flat_map(talk).collect())
    }
}

/// The others in a row or a ring, or wherever they meet, and the liar between two of them or more.
fn edges_around(liar: usize, nodes: usize, rng: &mut fastrand::Rng) -> Vec<(usize, usize)> {
    let honest: Vec<usize> = (0..nodes).filter(|node| *node != liar).collect();
    let shape = rng.u8(..3);
    let mut edges: Vec<(usize, usize)> = match shape {
        0 | 1 => honest.windows(2).map(|pair| (pair[0], pair[1])).collect(),
        _ => (1..honest.len()).map(|n| (honest[n], honest[rng.usize(..n)])).collect(),
    };
    if shape == 1 && honest.len() > 2 {
        edges.push((honest[honest.len() - 1], honest[0]));
    }
    let mut friends = honest;
    rng.shuffle(&mut friends);
    friends.truncate(rng.usize(2..=friends.len()));
    edges.extend(friends.into_iter().map(|friend| (liar, friend)));
    edges
}

fn ring(nodes: usize) -> Vec<(usize, usize)> {
    (0..nodes).map(|n| (n, (n + 1) % nodes)).filter(|(a, b)| a != b).collect()
}

fn both_ways(nodes: usize) -> Vec<(usize, usize)> {
    (0..nodes).flat_map(|a| (0..nodes).filter(move |b| *b != a).map(move |b| (a, b))).collect()
}

impl Profile {
    /// The pause before a storm's next action: memoryless, so that bursts and lulls both happen.
    pub(super) fn gap(&self, rng: &mut fastrand::Rng) -> Duration {
        let factor = -(1.0 - rng.f64()).ln();
        Duration::from_micros((self.gap_us as f64 * factor) as u64)
    }

    /// A storm's next action.
    pub(super) fn action(&self, rng: &mut fastrand::Rng) -> Action {
        let nodes = self.own_cursor.len();
        let node = rng.usize(..nodes);
        let millis = |rng: &mut fastrand::Rng, max: u64| 1 << rng.u32(..=max.ilog2());
        let mut dice = rng.u32(..12 + self.weights.iter().sum::<u32>());
        let mut kind = KINDS;
        for (index, weight) in self.weights.iter().enumerate() {
            if dice < *weight {
                kind = index;
                break;
            }
            dice -= weight;
        }
        match kind {
            0 => Action::Cut { pick: rng.u64(..) },
            1 => Action::Stall { pick: rng.u64(..), millis: millis(rng, 65_536) },
            2 => Action::Partition { islands: (0..nodes).map(|_| rng.u8(..2)).collect(), millis: millis(rng, 60_000) },
            3 => Action::Crash { node, power: false, back_ms: Some(millis(rng, 20_000)) },
            4 => Action::Crash { node, power: true, back_ms: Some(millis(rng, 20_000)) },
            5 => Action::ArmCrash { node, changes: rng.u32(1..30), power: rng.u8(..4) > 0 },
            6 => Action::CrashAtSync { node },
            7 => Action::Pause { node, millis: millis(rng, 32_000) },
            8 => Action::FillDisk { node, millis: millis(rng, 16_000) },
            9 => Action::SickDisk { node, writes: rng.u32(..200), syncs: rng.u32(..200), millis: millis(rng, 16_000) },
            10 => Action::Refuse { node, per_mille: [0, 0, 20, 300][rng.usize(..4)] },
            11 => Action::JumpClock { node, wall_us: rng.u64(..) },
            12 => self.rewire(rng),
            13 => Action::Corrupt { pick: rng.u64(..) },
            14 => Action::Poison { node, per_mille: [0, 0, 10, 100][rng.usize(..4)] },
            15 => Action::Resume { node },
            16 => Action::OneWay { from: node, to: (node + rng.usize(1..nodes)) % nodes, millis: millis(rng, 60_000) },
            17 => Action::Flap { node, times: rng.u32(2..8), millis: millis(rng, 8_000) },
            // One node alone: of what every disk loses nothing is left.
            18 => Action::Rot { node: self.victim, own: rng.bool(), back_ms: millis(rng, 20_000) },
            19 if rng.u8(..3) == 0 => Action::Restore { node: self.victim, back_ms: millis(rng, 20_000) },
            19 => Action::Save { node: self.victim },
            // One node alone, as below: two that let go of what the other lacks are apart for good.
            20 if rng.bool() => Action::Truncate { node: self.victim },
            20 => Action::SickShelf { node, reads: rng.u32(..500), takes: rng.u32(..1000), millis: millis(rng, 16_000) },
            _ if rng.u8(..6) == 0 => Action::Talk { node, messages: rng.u64(1..20) },
            _ => Action::Write { node, records: rng.u64(1..=self.batch_max) },
        }
    }

    fn rewire(&self, rng: &mut fastrand::Rng) -> Action {
        let (from, to) = self.edges[rng.usize(..self.edges.len())];
        if rng.bool() { Action::Connect { from, to } } else { Action::Disconnect { from, to } }
    }
}
