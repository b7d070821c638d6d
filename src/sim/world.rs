//! The calendar and the step loop: takes the next event, lets it happen, lets the oracle look.
//!
//! Events at the same instant happen in the order in which they were put down, so a run is a function of its options.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use crate::base::config::Psk;
use crate::base::{CloseReason, LinkId, PeerId, Time};
use crate::mesh::io::Input;
use crate::sim::carry::Knock;
use crate::sim::check::{Check, Oracle};
use crate::sim::converge::{Ending, Phase};
use crate::sim::liar::Liar;
use crate::sim::mail::Mail;
use crate::sim::net::Net;
use crate::sim::node::{Node, name};
use crate::sim::plan::Plan;
use crate::sim::postal::Letters;
use crate::sim::script::{Action, Profile, Script};
use crate::sim::trace::Trace;
use crate::sim::{Counts, Options, Report, Scenario};

/// A storm in which not all records were written yet goes on until it is so many times as long.
const LONGEST: u64 = 3;
/// Ticks at one instant that mean a machine goes round in circles.
const TICKS_MAX: u32 = 1_000;

/// Something on the calendar.
#[derive(Clone, Debug)]
pub(super) enum What {
    /// A mesh's deadline.
    Wake { node: usize, life: u32 },
    /// The log of a node does what waits.
    Log { node: usize, life: u32 },
    /// The application of a node applies some records.
    Apply { node: usize, life: u32 },
    /// It tells the node.
    Told { node: usize, life: u32 },
    /// The application's places are synced.
    Cursors { node: usize, life: u32 },
    /// What a buffered node accepted is made durable.
    Flush { node: usize, life: u32 },
    /// Something is done about snapshots.
    Shelf { node: usize, life: u32 },
    /// A dial reaches its target, or would have.
    Dialled { knock: Knock, lost: bool },
    /// It is sent again.
    Knock { knock: Knock },
    /// A node's discovery has something to do.
    Beacon { node: usize, life: u32 },
    /// An announcement arrives.
    Datagram { from: usize, to: usize, datagram: Vec<u8> },
    /// A dial has failed, if it is still under way.
    DialFails { node: usize, life: u32, link: LinkId, reason: CloseReason },
    /// A link that gave way is not read any longer.
    LinkEnds { node: usize, life: u32, link: LinkId },
    /// A lane has something to deliver.
    Lane { conn: u64, side: usize },
    /// The script's next line.
    Script,
    /// What a node sealed or opened outside its lock is ready.
    Ready { node: usize, life: u32, input: Input },
    /// A dead node comes back.
    Restart { node: usize },
    /// A pause is over, if no later one has begun.
    Resume { node: usize, pause: u64 },
    /// A fault is over.
    Do { action: Action },
    /// A disk is well again.
    DiskWell { node: usize },
    /// The end phase looks around.
    Look,
}

/// Everything there is.
pub(super) struct World<'a> {
    pub(super) options: &'a Options,
    pub(super) now: Time,
    /// In boxes, for the map moves what it holds.
    calendar: BTreeMap<(Time, u64), Box<What>>,
    order: u64,
    pub(super) rng: fastrand::Rng,
    pub(super) nodes: Vec<Node>,
    pub(super) net: Net,
    pub(super) oracle: Oracle,
    pub(super) letters: Letters,
    pub(super) liar: Option<Liar>,
    pub(super) trace: Trace<'a>,
    pub(super) profile: Profile,
    pub(super) counts: Counts,
    pub(super) written: u64,
    /// Lines of a storm's script so far.
    turn: u64,
    /// How often links agree on fresh keys, if the scenario says so.
    pub(super) fresh_keys: Option<Duration>,
    /// Applied records so far: what sabotage counts by.
    pub(super) sabotage_turn: u64,
    pub(super) mail: Mail,
    script: Script,
    pub(super) ending: Ending,
    progress: &'a Cell<(u64, Time)>,
    setup: Check,
}

impl<'a> World<'a> {
    /// A world in which nobody runs yet.
    pub(super) fn new(options: &'a Options, plan: Option<Plan>, out: &'a mut dyn Write, progress: &'a Cell<(u64, Time)>) -> World<'a> {
        let mut rng = fastrand::Rng::with_seed(options.seed);
        let profile = Profile::draw(options, &mut rng);
        let fresh_keys = plan.as_ref().and_then(|plan| plan.keys);
        let (script, profile) = Script::new(options, plan, profile);
        let psk = profile.psk.map(Psk::new);
        let mut nodes = Vec::new();
        let mut setup = Ok(());
        for index in 0..options.nodes {
            match Node::new(index, &mut rng, psk.as_ref()) {
                Ok(mut node) => {
                    node.app.own_cursor = profile.own_cursor[index];
                    node.segment_max = profile.segment_max;
                    node.saves_all = options.scenario == Scenario::Late;
                    node.buffered = profile.buffered[index];
                    node.causal = profile.causal;
                    node.forgetful = options.sabotage == Some(crate::sim::Sabotage::ForgetCursor);
                    node.wall_us = rng.u64(..);
                    node.targets = profile.edges.iter().filter(|(from, _)| *from == index).map(|(_, to)| *to).collect();
                    nodes.push(node);
                }
                Err(error) => setup = Err(error),
            }
        }
        let people: Vec<PeerId> = nodes.iter().map(|node| node.identity.id()).collect();
        World {
            options,
            now: Time::ZERO,
            calendar: BTreeMap::new(),
            order: 0,
            rng,
            net: Net::new(options.nodes, profile.latency_us),
            nodes,
            oracle: Oracle::new(&people),
            letters: Letters::default(),
            liar: profile.liar.map(|node| Liar::new(node, options.seed)),
            trace: Trace::new(if options.trace { Some(out) } else { None }),
            profile,
            counts: Counts::default(),
            written: 0,
            turn: 0,
            fresh_keys,
            sabotage_turn: 0,
            mail: Mail::default(),
            script,
            ending: Ending::new(),
            progress,
            setup,
        }
    }

    /// Puts something on the calendar.
    pub(super) fn at(&mut self, time: Time, what: What) {
        self.order += 1;
        self.calendar.insert((time.max(self.now), self.order), Box::new(what));
    }

    /// Puts something on the calendar, from now.
    pub(super) fn after(&mut self, pause: Duration, what: What) {
        self.at(self.now + pause, what);
    }

    /// A pause between the two figures in microseconds.
    pub(super) fn pause(&mut self, least_us: u64, most_us: u64) -> Duration {
        Duration::from_micros(self.rng.u64(least_us..=most_us.max(least_us)))
    }

    /// Plays to the end.
    pub(super) fn play(mut self) -> Result<Report, String> {
        std::mem::replace(&mut self.setup, Ok(()))?;
        self.trace.line(self.now, format_args!("* seed {} nodes {} {:?}", self.options.seed, self.options.nodes, self.profile.edges))?;
        for node in 0..self.nodes.len() {
            let pause = self.pause(0, 20_000);
            self.after(pause, What::Restart { node });
        }
        self.begin_script();
        while let Some(((time, _), what)) = self.calendar.pop_first() {
            self.now = time;
            // Announcements go on beside everything else.
            let counts = !matches!(*what, What::Beacon { .. } | What::Datagram { .. });
            let steps = self.progress.get().0 + u64::from(counts);
            self.progress.set((steps, time));
            self.happen(*what)?;
            if self.ending.phase == Phase::Play && self.is_stormed_out(steps) {
                self.heal_everything()?;
            }
            if let Phase::Over { full, equal } = self.ending.phase {
                return self.report(steps, [full, equal]);
            }
        }
        Err("nothing is left to happen".into())
    }

    /// Whether a storm is over: it goes on for a while where little was written so far.
    fn is_stormed_out(&self, steps: u64) -> bool {
        let is_long = steps >= self.options.steps && (self.written >= self.options.writes || steps >= LONGEST * self.options.steps);
        is_long && matches!(self.script, Script::Storm)
    }

    fn begin_script(&mut self) {
        match &mut self.script {
            Script::Storm => self.after(Duration::from_millis(100), What::Script),
            Script::Plan(plan) => {
                let plan = std::mem::take(plan);
                let end = plan.back().map_or(Time::ZERO, |(time, _)| *time) + Duration::from_secs(1);
                plan.into_iter().for_each(|(time, action)| self.at(time, What::Do { action }));
                self.at(end, What::Script);
            }
        }
    }

    /// Lets one event happen, now or when its node no longer stands still.
    pub(super) fn happen(&mut self, what: What) -> Check {
        if let Some(node) = self.concerns(&what)
            && self.nodes[node].paused
        {
            self.nodes[node].waiting.push_back(what);
            return Ok(());
        }
        match what {
            What::Wake { node, life } => self.wake(node, life),
            What::Log { node, life } if self.lives(node, life) => self.log_turn(node),
            What::Apply { node, life } if self.lives(node, life) => self.apply_turn(node),
            What::Told { node, life } if self.lives(node, life) => self.apply_told(node),
            What::Cursors { node, life } if self.lives(node, life) => self.cursors_turn(node),
            What::Flush { node, life } if self.lives(node, life) => self.flush(node).map(drop),
            What::Shelf { node, life } if self.lives(node, life) => self.shelf_turn(node),
            What::Shelf { .. } => Ok(()),
            What::Ready { node, life, input } if self.lives(node, life) => self.step(node, input),
            What::Log { .. } | What::Apply { .. } | What::Told { .. } | What::Cursors { .. } | What::Flush { .. } => Ok(()),
            What::Ready { .. } => Ok(()),
            What::Dialled { knock, lost } => self.dial_arrives(knock, lost),
            What::Knock { knock } => self.knock_again(knock),
            What::Beacon { node, life } if self.lives(node, life) => self.beacon_turn(node),
            What::Beacon { .. } => Ok(()),
            What::Datagram { from, to, datagram } => self.datagram(from, to, &datagram),
            What::DialFails { node, life, link, reason } => self.dial_fails(node, life, link, reason),
            What::LinkEnds { node, life, link } => self.link_ends(node, life, link),
            What::Lane { conn, side } => self.lane_arrives(conn, side),
            What::Script => self.script_turn(),
            What::Restart { node } => self.restart(node),
            What::Resume { node, pause } => self.resume(node, pause),
            // What flaps stops when everything is healed.
            What::Do { action: Action::Partition { .. } | Action::Heal } if self.ending.phase != Phase::Play => Ok(()),
            What::Do { action } => {
                self.begin_anew();
                self.bounded().and_then(|()| self.act(action))
            }
            What::DiskWell { node } => {
                self.nodes[node].knobs.set_full(false);
                self.nodes[node].knobs.set_errors(0, 0);
                self.nodes[node].knobs.set_shelf_errors(0, 0);
                Ok(())
            }
            What::Look => self.look(),
        }
    }

    /// The node whose process has to run for this to happen.
    fn concerns(&self, what: &What) -> Option<usize> {
        match what {
            What::Wake { node, .. } | What::Log { node, .. } | What::Apply { node, .. } => Some(*node),
            What::Told { node, .. } | What::Cursors { node, .. } | What::Flush { node, .. } => Some(*node),
            What::DialFails { node, .. } | What::LinkEnds { node, .. } | What::Shelf { node, .. } => Some(*node),
            What::Ready { node, .. } | What::Beacon { node, .. } => Some(*node),
            What::Dialled { knock, .. } => Some(knock.to),
            What::Datagram { to, .. } => Some(*to),
            What::Lane { conn, side } => self.net.far_end(*conn, *side).map(|end| end.node),
            _ => None,
        }
    }

    /// Whether that life of the node goes on.
    pub(super) fn lives(&self, node: usize, life: u32) -> bool {
        self.nodes[node].life.as_ref().is_some_and(|current| current.number == life)
    }

    fn wake(&mut self, node: usize, number: u32) -> Check {
        let now = self.now;
        let Some(life) = self.nodes[node].life.as_mut().filter(|life| life.number == number) else { return Ok(()) };
        if life.armed.is_some_and(|at| at <= now) {
            life.armed = None;
        }
        if life.mesh.deadline().is_none_or(|at| at > now) {
            return self.arm(node);
        }
        let ticks = if life.ticks.0 == now { life.ticks.1 + 1 } else { 0 };
        life.ticks = (now, ticks);
        if ticks > TICKS_MAX {
            return Err(format!("{} asks for tick after tick at the same instant", name(node)));
        }
        self.step(node, Input::Tick)
    }

    /// Sees to it that the node is woken at its mesh's deadline.
    pub(super) fn arm(&mut self, node: usize) -> Check {
        let now = self.now;
        let Some(life) = &mut self.nodes[node].life else { return Ok(()) };
        if let Some(due) = life.mesh.deadline().map(|due| due.max(now))
            && life.armed.is_none_or(|at| at > due)
        {
            life.armed = Some(due);
            let life = life.number;
            self.at(due, What::Wake { node, life });
        }
        Ok(())
    }

    /// No table of any node is beyond its cap.
    fn bounded(&self) -> Check {
        let lives = self.nodes.iter().filter_map(|node| Some((node.index, node.life.as_ref()?)));
        lives.into_iter().try_for_each(|(index, life)| self.oracle.bounded(life, index, self.now))
    }

    fn script_turn(&mut self) -> Check {
        self.bounded()?;
        if self.ending.phase != Phase::Play {
            return Ok(());
        }
        if matches!(self.script, Script::Plan(_)) {
            return self.heal_everything();
        }
        let action = self.profile.action(&mut self.rng);
        let pause = self.profile.gap(&mut self.rng);
        self.after(pause, What::Script);
        self.turn += 1;
        if self.options.omit.contains(&self.turn) { Ok(()) } else { self.act(action) }
    }

    fn report(&mut self, steps: u64, [full, equal]: [Duration; 2]) -> Result<Report, String> {
        for node in &self.nodes {
            self.oracle.holds_everything(&self.nodes, node)?;
        }
        self.same_states()?;
        if self.options.scenario == Scenario::AllDialAll {
            self.oracle.heard_everything()?;
        }
        self.mail_holds()?;
        self.counts.repeated += self.mail.repeats;
        self.counts.connections = self.net.opened();
        (self.counts.routed, self.counts.given_up) = self.letters.counts();
        for disk in self.nodes.iter().filter_map(Node::disk) {
            self.counts.disk_errors += disk.errors;
            self.counts.before_sync += disk.before_sync;
        }
        let weigh = self.options.weigh;
        let live = weigh.map(|weigh| self.nodes.iter_mut().map(|node| node.weigh(weigh)).collect()).unwrap_or_default();
        self.counts.finished = self.nodes.iter().map(|node| node.finished).sum();
        let logs = self.oracle.logs();
        Ok(Report {
            seed: self.options.seed,
            nodes: self.nodes.len(),
            trace_hash: self.trace.hash(),
            trace_lines: self.trace.lines(),
            steps,
            time: self.now,
            spread_ms: full.as_millis() as u64,
            healed_ms: equal.as_millis() as u64,
            allowed_ms: self.allowed_to_spread().as_millis() as u64,
            logs: logs.iter().filter(|(_, records)| *records > 0).count(),
            records: logs.iter().map(|(_, records)| records).sum(),
            counts: self.counts,
            live,
        })
    }
}
