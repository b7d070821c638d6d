//! Between a mesh and its connections: inputs go in, outputs are carried out at once and in order. Decides nothing.

use std::collections::VecDeque;
use std::time::Duration;

use crate::base::endpoint::Source;
use crate::base::{CloseReason, Endpoint, Event, LinkId, limits};
use crate::mesh::io::{Input, Output};
use crate::session::RunSecrets;
use crate::session::handshaking::seeded_kex;
use crate::sim::app::Applying;
use crate::sim::check::Check;
use crate::sim::compare::SealWork;
use crate::sim::link::Link;
use crate::sim::net::{Arrival, End, Parcel};
use crate::sim::node::{Life, host, listener, name};
use crate::sim::world::{What, World};
use crate::sim::{Sabotage, Scenario};
use crate::wire::Message;

/// How long a machine waits for an answer before it sends the first packet of a connection again; then twice as long.
const KNOCK_AGAIN: Duration = Duration::from_secs(1);

/// The first packet of a connection on its way: whose, to whom, and how often it was sent before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Knock {
    pub(super) from: usize,
    pub(super) life: u32,
    pub(super) link: LinkId,
    pub(super) to: usize,
    pub(super) tries: u32,
}

impl World<'_> {
    /// Gives a mesh an input, carries out everything it says, and lets the oracle look.
    pub(super) fn step(&mut self, node: usize, input: Input) -> Check {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            self.trace.line(self.now, format_args!("{} <- {input}", name(node)))?;
            self.counts.inputs += 1;
            let now = self.now;
            let is_mail = self.options.scenario == Scenario::Mail;
            let durable = if let Input::Durable { groups } = &input { is_mail.then(|| groups.clone()) } else { None };
            let Some(life) = self.life(node) else { return Ok(()) };
            life.mesh.handle(now, input);
            self.drain(node, &mut inputs)?;
            durable.map_or(Ok(()), |groups| self.mail(node, &groups))?;
            if let Some(life) = &self.nodes[node].life {
                self.oracle.believes(&self.nodes, node, life.mesh.logs())?;
            }
        }
        self.arm(node)
    }

    /// Carries out what a mesh wants done at its birth.
    pub(super) fn first_outputs(&mut self, node: usize) -> Check {
        let mut inputs = VecDeque::new();
        self.drain(node, &mut inputs)?;
        inputs.into_iter().try_for_each(|input| self.step(node, input))?;
        self.arm(node)
    }

    fn life(&mut self, node: usize) -> Option<&mut Life> {
        self.nodes[node].life.as_mut()
    }

    fn drain(&mut self, node: usize, inputs: &mut VecDeque<Input>) -> Check {
        while let Some(output) = self.life(node).and_then(|life| life.mesh.next_output()) {
            self.trace.line(self.now, format_args!("{} -> {output}", name(node)))?;
            self.counts.outputs += 1;
            self.carry(node, output, inputs)?;
        }
        Ok(())
    }

    fn carry(&mut self, node: usize, output: Output, inputs: &mut VecDeque<Input>) -> Check {
        match output {
            Output::Dial { link, endpoint, .. } => self.dial(node, link, &endpoint),
            Output::Send { link, message } => return self.send(node, link, &message, inputs),
            Output::Close { link, reason } => self.close(node, link, reason, inputs),
            Output::Rekey { link, fresh } => {
                let secrets = fresh.then(|| seeded_kex(&mut self.rng));
                if let Some(entry) = self.life(node).and_then(|life| life.links.get_mut(&link)) {
                    entry.rekey(secrets.as_ref());
                }
                self.pump(node, link);
            }
            Output::Route { peer, link } => {
                if let Some(life) = self.life(node) {
                    match link {
                        Some(link) => life.routes.insert(peer, link),
                        None => life.routes.remove(&peer),
                    };
                }
                if let Some(link) = link.filter(|_| self.options.scenario == Scenario::AllDialAll) {
                    self.say(node, link, 2);
                }
            }
            Output::Event(event) => return self.letter_event(node, &event).unwrap_or_else(|| self.event(node, &event)),
            Output::Seal { number, to, from_run, to_run, payload } => {
                let sealed = self.seal(node, number, &to, (from_run, to_run), &payload);
                self.hand_over(node, sealed);
            }
            Output::Open { ticket, parcel } => {
                let opened = self.open(node, ticket, &parcel);
                self.hand_over(node, opened);
            }
            Output::Store { link, group } => {
                self.sabotage_turn += 1;
                if self.options.sabotage == Some(Sabotage::LoseStore) && self.sabotage_turn.is_multiple_of(8) {
                    return Ok(());
                }
                if let Some(life) = self.life(node) {
                    life.work.stores.push((link, group));
                }
                self.call_log(node);
            }
            Output::Snapshot(wanted) => {
                if let Some(life) = self.life(node) {
                    life.shelf_work.push_back(wanted);
                }
                self.call_shelf(node);
            }
            Output::Read { link, log, from, max_bytes } => {
                if let Some(life) = self.life(node) {
                    life.work.reads.push_back((link, log, from, max_bytes));
                }
                self.call_log(node);
            }
            Output::LastSeals { logs } => self.seal_work(node, SealWork::Read(logs)),
            Output::Compare { link, log, seal } => self.seal_work(node, SealWork::Compare(link, log, Box::new(seal))),
            Output::Park { log, applied, parked } => {
                if let Some(life) = self.life(node) {
                    life.work.parks.push((log, applied, parked));
                }
                self.call_log(node);
            }
            Output::Apply { log, from, upto } => {
                self.nodes[node].app.requests.push_back(Applying::new(log, from, upto));
                self.call_app(node);
            }
        }
        Ok(())
    }

    fn seal_work(&mut self, node: usize, work: SealWork) {
        if let Some(life) = self.life(node) {
            life.work.seals.push(work);
        }
        self.call_log(node);
    }

    /// Sends the first packet of a connection again, if nobody has given up.
    pub(super) fn knock_again(&mut self, knock: Knock) -> Check {
        let waits = self.lives(knock.from, knock.life);
        if waits && self.life(knock.from).is_some_and(|life| life.links.contains_key(&knock.link)) {
            self.knock(knock);
        }
        Ok(())
    }

    fn dial(&mut self, node: usize, link: LinkId, endpoint: &Endpoint) {
        let Some(life) = self.life(node) else { return };
        life.links.insert(link, Link::dial(link));
        let life = life.number;
        self.after(limits::DIAL_TIMEOUT, What::DialFails { node, life, link, reason: CloseReason::Timeout });
        match listener(endpoint).filter(|to| *to < self.nodes.len()) {
            Some(to) => self.knock(Knock { from: node, life, link, to, tries: 0 }),
            None => {
                let reason = CloseReason::Unresolved("no such host".into());
                self.after(limits::SPREAD_DELAY, What::DialFails { node, life, link, reason });
            }
        }
    }

    /// The first packet of a connection is sent, or sent again: a second after it was, then two.
    fn knock(&mut self, knock: Knock) {
        let (latency, lost) = (self.net.latency(&mut self.rng), self.rng.u32(..1000) < self.profile.dial_loss);
        self.after(latency, What::Dialled { knock, lost });
    }

    pub(super) fn send(&mut self, node: usize, link: LinkId, message: &Message, inputs: &mut VecDeque<Input>) -> Check {
        match message {
            Message::WalAck(ack) => self.oracle.acked(&self.nodes[node], ack.log, ack.durable, ack.applied)?,
            Message::Vector(lines) => {
                for line in lines {
                    self.oracle.acked(&self.nodes[node], line.log, line.durable, line.applied)?;
                }
            }
            _ => {}
        }
        if self.options.sabotage == Some(Sabotage::LoseSeals) && matches!(message, Message::WalSeal(_)) {
            return Ok(());
        }
        let Some(entry) = self.life(node).and_then(|life| life.links.get_mut(&link)) else { return Ok(()) };
        if let Message::Parcel(parcel) = message
            && entry.is_full()
        {
            inputs.push_back(Input::Unsent { id: parcel.id });
        } else if entry.push(message) {
            self.pump(node, link);
        } else {
            self.close(node, link, CloseReason::SlowReader, inputs);
        }
        Ok(())
    }

    /// Gives a connection what waits for it, as far as it takes more.
    pub(super) fn pump(&mut self, node: usize, link: LinkId) {
        let Some(entry) = self.nodes[node].life.as_mut().and_then(|life| life.links.get_mut(&link)) else { return };
        let Some((conn, side)) = entry.at.filter(|(conn, side)| !self.net.is_full(*conn, *side)) else { return };
        if entry.pending() > 0 {
            let bytes = entry.take();
            self.post(conn, side, Parcel::Bytes(bytes));
        }
    }

    /// Puts a parcel on its way.
    pub(super) fn post(&mut self, conn: u64, side: usize, parcel: Parcel) {
        if let Some(due) = self.net.send(conn, side, parcel, self.now, &mut self.rng) {
            self.at(due, What::Lane { conn, side });
        }
    }

    /// Ends a link from this side: a last word, then the end of the stream.
    fn close(&mut self, node: usize, link: LinkId, reason: CloseReason, inputs: &mut VecDeque<Input>) {
        let Some(mut entry) = self.life(node).and_then(|life| life.links.remove(&link)) else { return };
        if let Some((conn, side)) = entry.at {
            if !entry.leaving {
                entry.say_goodbye(&reason);
                if entry.pending() > 0 {
                    let bytes = entry.take();
                    self.post(conn, side, Parcel::Bytes(bytes));
                }
                self.post(conn, side, Parcel::Finished);
            }
            if reason == CloseReason::Duplicate && entry.is_open() && !entry.leaving {
                entry.leaving = true;
                return self.read_on(node, entry);
            }
            self.net.close(conn, side);
        }
        inputs.push_back(entry.ended(reason));
    }

    /// A link that gave way is read until the other end is done too.
    fn read_on(&mut self, node: usize, entry: Link) {
        let Some(life) = self.life(node) else { return };
        let (link, number) = (entry.id, life.number);
        life.links.insert(link, entry);
        self.after(limits::HANDOVER_GRACE, What::LinkEnds { node, life: number, link });
    }

    fn event(&mut self, node: usize, event: &Event) -> Check {
        match event {
            Event::Data { peer, batch } => {
                self.counts.messages += batch.len() as u64;
                batch.iter().try_for_each(|payload| self.oracle.message(*peer, payload))
            }
            Event::PeerConnected { .. } => {
                self.counts.authenticated += 1;
                Ok(())
            }
            Event::LogDamaged { .. } if self.nodes[node].hurt => Ok(()),
            Event::LogForked { log, .. } if self.oracle.is_forked(*log) => {
                self.counts.forks += 1;
                Ok(())
            }
            Event::ApplyParked { .. } => {
                self.counts.parked += 1;
                Ok(())
            }
            Event::LogDamaged { .. } | Event::LogForked { .. } | Event::Fatal { .. } => {
                Err(format!("{} reports what cannot have happened: {event}", name(node)))
            }
            _ => Ok(()),
        }
    }

    /// A dial reaches its target: refused, unheard, or a connection.
    pub(super) fn dial_arrives(&mut self, knock: Knock, lost: bool) -> Check {
        let Knock { from, life: number, link, to, tries } = knock;
        let waits = self.lives(from, number) && self.life(from).is_some_and(|life| life.links.contains_key(&link));
        if !waits {
            return Ok(());
        }
        if lost || self.net.is_blocked(from, to) || !self.nodes[to].powered {
            self.after(KNOCK_AGAIN * (1 << tries), What::Knock { knock: Knock { tries: tries + 1, ..knock } });
            return Ok(());
        }
        let latency = self.net.latency(&mut self.rng);
        let Some(target) = self.nodes[to].life.as_mut() else {
            let reason = CloseReason::Refused("nobody listens there".into());
            self.after(latency, What::DialFails { node: from, life: number, link, reason });
            return Ok(());
        };
        let (there, life) = (target.mesh.next_link(), target.number);
        let ends = [End { node: from, life: number, link }, End { node: to, life, link: there }];
        let conn = self.net.open(ends);
        let secrets = RunSecrets::seeded(&mut self.rng);
        let accepted = Link::accept(there, (conn, 1), self.nodes[to].party.clone(), secrets);
        if let Some(target) = self.life(to) {
            target.links.insert(there, accepted);
        }
        if let Some(entry) = self.life(from).and_then(|life| life.links.get_mut(&link)) {
            entry.at = Some((conn, 0));
        }
        self.post(conn, 1, Parcel::Opened);
        let endpoint = Endpoint::tcp(host(from), 10_000 + (conn % 50_000) as u16);
        let source = Source::ipv4([10, 0, (from >> 8) as u8, from as u8]);
        self.step(to, Input::Accepted { link: there, endpoint, source })
    }

    /// A dial has taken too long or was refused; nothing if it has succeeded or was given up meanwhile.
    pub(super) fn dial_fails(&mut self, node: usize, number: u32, link: LinkId, reason: CloseReason) -> Check {
        let waits = self.lives(node, number) && self.life(node).and_then(|life| life.links.get(&link)).is_some_and(Link::is_waiting);
        if waits { self.end_link(node, link, reason) } else { Ok(()) }
    }

    /// A link that gave way has been read for long enough.
    pub(super) fn link_ends(&mut self, node: usize, number: u32, link: LinkId) -> Check {
        if self.lives(node, number) { self.end_link(node, link, CloseReason::Duplicate) } else { Ok(()) }
    }

    /// A link ends from the other side, or breaks: the mesh is told.
    pub(super) fn end_link(&mut self, node: usize, link: LinkId, reason: CloseReason) -> Check {
        let mut inputs = VecDeque::new();
        self.close(node, link, reason, &mut inputs);
        inputs.into_iter().try_for_each(|input| self.step(node, input))
    }

    /// Something comes out of a lane.
    pub(super) fn lane_arrives(&mut self, conn: u64, side: usize) -> Check {
        let (to, open, parcel) = match self.net.arrive(conn, side, self.now) {
            Arrival::Void => return Ok(()),
            Arrival::Later(time) => {
                self.at(time, What::Lane { conn, side });
                return Ok(());
            }
            Arrival::Here { to, open, parcel, next } => {
                if let Some(time) = next {
                    self.at(time, What::Lane { conn, side });
                }
                (to, open, parcel)
            }
        };
        // The writer at the other end may have waited for this.
        if let Some(writer) = self.net.far_end(conn, 1 - side)
            && self.lives(writer.node, writer.life)
        {
            self.pump(writer.node, writer.link);
        }
        if open && self.lives(to.node, to.life) {
            return self.deliver(to, parcel);
        }
        // Nobody is there: a running machine says so, a dead one says nothing.
        if self.nodes[to.node].powered && matches!(parcel, Parcel::Bytes(_) | Parcel::Opened) {
            self.post(conn, 1 - side, Parcel::Reset);
        }
        Ok(())
    }

    fn deliver(&mut self, to: End, parcel: Parcel) -> Check {
        let End { node, link, .. } = to;
        match parcel {
            Parcel::Opened => {
                let secrets = RunSecrets::seeded(&mut self.rng);
                let party = self.nodes[node].party.clone();
                let Some(entry) = self.life(node).and_then(|life| life.links.get_mut(&link)) else { return Ok(()) };
                entry.opened(party, secrets);
                self.step(node, Input::Dialled { link })?;
                self.pump(node, link);
                Ok(())
            }
            Parcel::Bytes(bytes) => {
                if let Some(entry) = self.life(node).and_then(|life| life.links.get_mut(&link)) {
                    entry.feed(&bytes);
                }
                self.read(node, link)
            }
            Parcel::Finished => self.end_link(node, link, CloseReason::Lost("closed by the other side".into())),
            Parcel::Reset => self.end_link(node, link, CloseReason::Lost("connection reset".into())),
        }
    }

    /// Reads everything a link has received.
    fn read(&mut self, node: usize, link: LinkId) -> Check {
        loop {
            let mut rng = self.rng.fork();
            let Some(entry) = self.life(node).and_then(|life| life.links.get_mut(&link)) else { return Ok(()) };
            let met = entry.met();
            let next = entry.next(|| seeded_kex(&mut rng));
            self.pump(node, link);
            match next {
                Ok(Some(input)) => {
                    let input = self.listens(node, link, input)?;
                    self.step(node, input)?;
                }
                Ok(None) => return Ok(()),
                Err(reason) => {
                    if let Some(peer) = met.filter(|_| reason == CloseReason::Duplicate) {
                        self.step(node, Input::Reached { link, peer })?;
                    }
                    return self.end_link(node, link, reason);
                }
            }
        }
    }
}
