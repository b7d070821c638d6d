//! What waits for the application: a bell and a descriptor over the event ring, log lines, and whose turn it is to call back.
//!
//! Never runs the application's code. Lock order: intake, the node's ring, mail; each is held for moments only.

use std::cell::Cell;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};

use crate::base::{DataBatch, Event, Level, PeerId, limits};
use crate::driver::apply::ApplyRequest;
use crate::driver::ring::{EventRing, Item};
use crate::ffi::sys::Beacon;

/// One thing to do for the application.
#[derive(Debug)]
pub(super) enum Work {
    Event(Event),
    Message(PeerId, Bytes),
    Apply(ApplyRequest),
}

/// A log line on its way.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) level: Level,
    pub(super) text: String,
}

/// How a wait ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Waited {
    Readable,
    TimedOut,
    /// The node has stopped and nothing waits, or it is being destroyed.
    Ended,
}

#[derive(Default)]
struct Mail {
    /// The node's ring has items.
    ring: bool,
    /// The intake has items.
    held: bool,
    lines: VecDeque<Line>,
    lines_lost: u64,
    /// What the bell and the beacon were told last.
    lit: bool,
    /// Somebody runs the application's code for this node.
    busy: bool,
    running: bool,
    closing: bool,
}

impl Mail {
    fn readable(&self) -> bool {
        self.ring || self.held || !self.lines.is_empty()
    }
}

/// What was taken from the ring and is not given out yet.
#[derive(Default)]
struct Intake {
    batch: Option<(PeerId, DataBatch)>,
    /// The rest of apply requests that were begun; they take turns with the ring.
    deferred: VecDeque<ApplyRequest>,
    deferred_turn: bool,
    /// How often the node was started: requests of an earlier run are void.
    run: u64,
}

/// See the module.
pub(super) struct Desk {
    intake: Mutex<Intake>,
    mail: Mutex<Mail>,
    bell: Condvar,
    beacon: Option<Beacon>,
}

/// The right to run the application's code for a node; dropping it gives the turn to the next.
pub(super) struct Turn<'a>(&'a Desk);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.mail.lock().busy = false;
        self.0.bell.notify_all();
    }
}

impl Desk {
    pub(super) fn new(beacon: Option<Beacon>) -> Desk {
        Desk { intake: Mutex::default(), mail: Mutex::default(), bell: Condvar::new(), beacon }
    }

    pub(super) fn beacon(&self) -> Option<&Beacon> {
        self.beacon.as_ref()
    }

    /// Changes what waits and tells whoever waits for it.
    fn change(&self, mail: &mut Mail, change: impl FnOnce(&mut Mail)) {
        change(mail);
        let readable = mail.readable();
        if readable != mail.lit {
            mail.lit = readable;
            if let Some(beacon) = &self.beacon {
                beacon.light(readable);
            }
            if readable {
                self.bell.notify_all();
            }
        }
    }

    /// The ring's signal.
    pub(super) fn ring_is(&self, readable: bool) {
        self.change(&mut self.mail.lock(), |mail| mail.ring = readable);
    }

    /// Keeps a log line for the log callback; the oldest gives way when too many wait. Lines caused inside the log callback are
    /// dropped, or they would never end.
    pub(super) fn write_line(&self, level: Level, text: &str) {
        if IN_LOG.with(Cell::get) {
            return;
        }
        let Some(mut mail) = self.mail.try_lock_for(Duration::from_millis(100)) else { return };
        self.change(&mut mail, |mail| {
            if mail.lines.len() >= limits::LOG_RING_MAX {
                mail.lines.pop_front();
                mail.lines_lost += 1;
            }
            mail.lines.push_back(Line { level, text: text.to_owned() });
        });
    }

    pub(super) fn has_lines(&self) -> bool {
        !self.mail.lock().lines.is_empty()
    }

    pub(super) fn take_line(&self) -> Option<Line> {
        let mut mail = self.mail.lock();
        let lost = std::mem::take(&mut mail.lines_lost);
        if lost > 0 {
            return Some(Line { level: Level::Warn, text: format!("{lost} log lines dropped because the log callback is slow") });
        }
        let mut line = None;
        self.change(&mut mail, |mail| line = mail.lines.pop_front());
        line
    }

    /// The next thing to do, if there is one.
    pub(super) fn next(&self, ring: &EventRing) -> Option<Work> {
        let mut intake = self.intake.lock();
        let work = intake.next(ring);
        let held = intake.holds();
        self.change(&mut self.mail.lock(), |mail| mail.held = held);
        work
    }

    /// Which run of the node a request that is taken now belongs to.
    pub(super) fn run(&self) -> u64 {
        self.intake.lock().run
    }

    /// Puts (the rest of) an apply request back, unless the node was started anew since it was taken.
    pub(super) fn defer(&self, run: u64, rest: ApplyRequest) {
        let mut intake = self.intake.lock();
        if intake.run == run {
            intake.deferred.push_back(rest);
            self.change(&mut self.mail.lock(), |mail| mail.held = true);
        }
    }

    /// Before a start: requests of the run before are void, as the ring's are.
    pub(super) fn forget_requests(&self) {
        let mut intake = self.intake.lock();
        intake.deferred.clear();
        intake.run += 1;
        let held = intake.holds();
        self.change(&mut self.mail.lock(), |mail| mail.held = held);
    }

    /// Waits for the turn to run callbacks; `None` when the node is being destroyed, or at the deadline.
    pub(super) fn turn(&self, deadline: Option<Instant>) -> Option<Turn<'_>> {
        let mut mail = self.mail.lock();
        while mail.busy && !mail.closing {
            match deadline {
                Some(at) if self.bell.wait_until(&mut mail, at).timed_out() => return None,
                Some(_) => {}
                None => self.bell.wait(&mut mail),
            }
        }
        if mail.closing {
            return None;
        }
        mail.busy = true;
        Some(Turn(self))
    }

    /// Waits until something is there, the deadline comes, or nothing can come any more.
    pub(super) fn wait(&self, deadline: Option<Instant>, also_when_stopped: bool) -> Waited {
        let mut mail = self.mail.lock();
        loop {
            if mail.closing {
                return Waited::Ended;
            }
            if mail.readable() {
                return Waited::Readable;
            }
            if !mail.running && !also_when_stopped {
                return Waited::Ended;
            }
            match deadline {
                Some(at) if self.bell.wait_until(&mut mail, at).timed_out() => return Waited::TimedOut,
                Some(_) => {}
                None => self.bell.wait(&mut mail),
            }
        }
    }

    pub(super) fn set_running(&self, running: bool) {
        self.mail.lock().running = running;
        self.bell.notify_all();
    }

    /// Nothing is begun from now on.
    pub(super) fn close(&self) {
        self.mail.lock().closing = true;
        self.bell.notify_all();
    }

    pub(super) fn is_closing(&self) -> bool {
        self.mail.lock().closing
    }

    /// Waits until no callback runs.
    pub(super) fn wait_idle(&self) {
        let mut mail = self.mail.lock();
        while mail.busy {
            self.bell.wait(&mut mail);
        }
    }
}

impl Intake {
    fn holds(&self) -> bool {
        self.batch.is_some() || !self.deferred.is_empty()
    }

    fn next(&mut self, ring: &EventRing) -> Option<Work> {
        if let Some(message) = self.next_message() {
            return Some(message);
        }
        if std::mem::take(&mut self.deferred_turn)
            && let Some(request) = self.deferred.pop_front()
        {
            return Some(Work::Apply(request));
        }
        self.deferred_turn = true;
        match ring.try_pop() {
            Some(Item::Event(Event::Data { peer, batch })) => {
                self.batch = Some((peer, batch));
                self.next_message()
            }
            Some(Item::Event(event)) => Some(Work::Event(event)),
            Some(Item::Apply(request)) => Some(Work::Apply(request)),
            None => self.deferred.pop_front().map(Work::Apply),
        }
    }

    fn next_message(&mut self) -> Option<Work> {
        let (peer, batch) = self.batch.as_mut()?;
        let peer = *peer;
        let message = batch.pop_front();
        if message.is_none() || batch.is_empty() {
            self.batch = None;
        }
        message.map(|data| Work::Message(peer, data))
    }
}

thread_local! {
    static IN_LOG: Cell<bool> = const { Cell::new(false) };
}

/// Whether the calling thread is inside a log callback.
pub(super) fn inside_log_callback() -> bool {
    IN_LOG.with(Cell::get)
}

/// Runs `call` as a log callback; also inside another one.
pub(super) fn as_log_callback(call: impl FnOnce() -> Option<()>) {
    let outside = IN_LOG.with(|inside| inside.replace(true));
    call();
    IN_LOG.with(|inside| inside.set(outside));
}
