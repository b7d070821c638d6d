//! Running the application's callbacks, on the node's callback thread or on the thread that polls. Holds a turn, never a lock.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use crate::base::Event;
use crate::base::event::printable;
use crate::driver::apply::{ApplyRequest, Cursor, Outcome, Record, Standing};
use crate::driver::ring::Item;
use crate::ffi::boundary::{c_text, catch};
use crate::ffi::callbacks::{CursorFn, Slot, VIXP2P_APPLY_OK, VIXP2P_APPLY_POISON, vixp2p_record};
use crate::ffi::delivery::{Line, Turn, Waited, Work, as_log_callback};
use crate::ffi::event::vixp2p_event;
use crate::ffi::handle::Inner;
use crate::ffi::log::vixp2p_log_record;
use crate::ffi::sys;
use crate::ffi::types::{vixp2p_log_id, vixp2p_peer_id};

/// Records given to the apply callback in one go; then whatever else waits has its turn.
const APPLY_RUN_RECORDS: u64 = 4096;
/// Deliveries in one turn of the callback thread.
const DELIVERIES_PER_TURN: usize = 64;

/// The body of the thread that calls back: until the node is destroyed.
pub(super) fn run(inner: &Arc<Inner>) {
    sys::block_signals();
    while inner.desk.wait(None, true) == Waited::Readable {
        let outcome = catch(|| {
            let Some(turn) = inner.desk.turn(None) else { return };
            for _ in 0..DELIVERIES_PER_TURN {
                if inner.desk.is_closing() || inner.deliver_next(&turn).is_none() {
                    return;
                }
            }
        });
        if let Err(detail) = outcome {
            inner.poisoned.store(true, Ordering::Relaxed);
            inner.node.ring().push(Item::Event(Event::Fatal { detail }));
        }
    }
}

impl Inner {
    /// Waiting log lines, then the next thing; `None` if there was none.
    pub(super) fn deliver_next(&self, turn: &Turn<'_>) -> Option<()> {
        self.deliver_lines(turn);
        let run = self.desk.run();
        match self.desk.next(self.node.ring())? {
            Work::Event(event) => self.deliver_event(event),
            Work::Message(peer, data) => {
                let peer: vixp2p_peer_id = peer.into();
                if let Some(slot) = self.callbacks.message.get() {
                    // SAFETY: the application gave function and userdata for each other; the pointers live during the call.
                    slot.run(|call, userdata| unsafe { call(userdata, &raw const peer, data.as_ptr().cast(), data.len()) });
                }
            }
            Work::Apply(request) => self.deliver_records(turn, run, request),
        }
        Some(())
    }

    fn deliver_event(&self, event: Event) {
        if let Some(slot) = self.callbacks.event.get() {
            let event = vixp2p_event::lent(event);
            // SAFETY: the application gave function and userdata for each other; the event lives during the call.
            slot.run(|call, userdata| unsafe { call(userdata, &raw const event) });
        }
    }

    /// Gives every waiting log line to the log callback.
    pub(super) fn deliver_lines(&self, _turn: &Turn<'_>) {
        while !self.desk.is_closing()
            && let Some(Line { level, text }) = self.desk.take_line()
        {
            let Some(slot) = self.callbacks.log.get() else { continue };
            let (text, node_id) = (c_text(&text), c_text(&printable(self.node.node_id())));
            let record = vixp2p_log_record {
                struct_size: size_of::<vixp2p_log_record>() as u32,
                level: i32::from(level as u8),
                message: text.as_ptr(),
                message_len: text.as_bytes().len(),
                node_id: node_id.as_ptr(),
            };
            // SAFETY: the application gave function and userdata for each other; the record and its text live during the call.
            let run = || slot.run(|call, userdata| unsafe { call(userdata, &raw const record) });
            as_log_callback(run);
        }
    }

    /// Gives records to the apply callback, a bounded number of them; the rest of the request waits for another turn. A request of
    /// an earlier run of the node is void.
    pub(super) fn deliver_records(&self, _turn: &Turn<'_>, run: u64, request: ApplyRequest) {
        if self.desk.run() != run {
            return;
        }
        let upto = request.upto.min(request.from.saturating_add(APPLY_RUN_RECORDS - 1));
        let applied = self.node.apply(ApplyRequest { upto, ..request }, &mut |record| self.apply_record(record));
        // Anything less than the whole run means that the node was told of a refusal and offers the rest again itself.
        if (upto..request.upto).contains(&applied) {
            self.desk.defer(run, ApplyRequest { from: applied + 1, ..request });
        }
    }

    fn apply_record(&self, record: &Record<'_>) -> Outcome {
        if self.desk.is_closing() {
            return Outcome::Retry;
        }
        let Some(slot) = self.callbacks.apply.get() else { return Outcome::Retry };
        let record = vixp2p_record {
            struct_size: size_of::<vixp2p_record>() as u32,
            reserved: 0,
            log: record.log.into(),
            seq: record.seq,
            time_us: record.time_us,
            data: record.payload.as_ptr().cast(),
            len: record.payload.len(),
        };
        // SAFETY: the application gave function and userdata for each other; the record and its bytes live during the call.
        match slot.run(|call, userdata| unsafe { call(userdata, &raw const record) }) {
            Some(VIXP2P_APPLY_OK) => Outcome::Applied,
            Some(VIXP2P_APPLY_POISON) => Outcome::Poison,
            _ => Outcome::Retry,
        }
    }

    /// Takes the next event for a program that polls; callbacks that are due run first, at most one run of records. `None`: no event.
    pub(super) fn take_event(&self, deadline: Option<Instant>) -> Option<*mut vixp2p_event> {
        if self.desk.has_lines() {
            let turn = self.desk.turn(deadline)?;
            self.deliver_lines(&turn);
        }
        let run = self.desk.run();
        for may_apply in [true, false] {
            match self.desk.next(self.node.ring())? {
                Work::Event(event) => return Some(vixp2p_event::given(event)),
                Work::Message(peer, data) => return Some(vixp2p_event::given_message(peer, data)),
                Work::Apply(request) if !may_apply => self.desk.defer(run, request),
                Work::Apply(request) => match self.desk.turn(deadline) {
                    Some(turn) => self.deliver_records(&turn, run, request),
                    None => self.desk.defer(run, request),
                },
            }
        }
        None
    }
}

/// The application's cursor function as the node asks it.
pub(super) fn cursor_of(slot: Arc<Slot<CursorFn>>) -> Cursor {
    Arc::new(move |log| {
        let log: vixp2p_log_id = log.into();
        let mut seq = 0;
        // SAFETY: the application gave function and userdata for each other; the pointers live during the call.
        let known = slot.run(|call, userdata| unsafe { call(userdata, &raw const log, &raw mut seq) });
        match known {
            Some(1) => Standing::At(seq),
            Some(..=-1) => Standing::Unknown,
            _ => Standing::Note,
        }
    })
}
