//! Log lines on their way to the application's sinks, the node's and the process's: queued where they arise, written where no lock is
//! held.
//!
//! Lines keep the order in which they were queued, and one of a node is written at a time. The sink may call the node: a line it causes
//! is written by whoever is writing already, after the present one; the process's sink does not see lines it causes itself.

use std::cell::Cell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use parking_lot::Mutex;

use crate::base::{Level, limits};

/// Where a log line goes; must return quickly, for a task or thread of the node waits meanwhile.
pub type LogSink = Box<dyn Fn(Level, &str) + Send + Sync>;
/// Where the lines of every node of the process go: level, the node's label, text. Called on threads of any node, at the same time too.
pub type ProcessLogSink = Box<dyn Fn(Level, &str, &str) + Send + Sync>;

/// The process's sink. Every node writes to it beside its own.
static PROCESS: Mutex<Option<Arc<ProcessLogSink>>> = Mutex::new(None);
/// The least level it wants; `Off` while there is none, and then its lock is never taken.
static PROCESS_LEAST: AtomicU8 = AtomicU8::new(Level::Off as u8);

thread_local! {
    static IN_PROCESS_SINK: Cell<bool> = const { Cell::new(false) };
}

/// Has the lines of at least `least` of every node of this process go to `sink` as well, whatever the nodes' own sinks take. Replaces
/// the sink that was set before; a call of that one may still be under way.
pub fn set_process_log(least: Level, sink: impl Fn(Level, &str, &str) + Send + Sync + 'static) {
    // What the old sink owns goes without the lock.
    let old = PROCESS.lock().replace(Arc::new(Box::new(sink)));
    PROCESS_LEAST.store(least as u8, Ordering::Relaxed);
    drop(old);
}

/// Ends what [`set_process_log`] began.
pub fn clear_process_log() {
    PROCESS_LEAST.store(Level::Off as u8, Ordering::Relaxed);
    let old = PROCESS.lock().take();
    drop(old);
}

fn write_for_process(level: Level, node_id: &str, text: &str) {
    let Some(sink) = PROCESS.lock().clone() else { return };
    let was = IN_PROCESS_SINK.replace(true);
    if catch_unwind(AssertUnwindSafe(|| sink(level, node_id, text))).is_err() {
        PROCESS.lock().take_if(|now| Arc::ptr_eq(now, &sink));
    }
    IN_PROCESS_SINK.set(was);
}

struct Line {
    level: Level,
    text: String,
    own: bool,
    process: bool,
}

#[derive(Default)]
struct Inner {
    sink: Option<Arc<LogSink>>,
    lines: VecDeque<Line>,
    dropped: u64,
    /// Somebody is writing lines and will write those that come meanwhile.
    writing: bool,
}

/// A node's log: a level that can change at any time, and where lines go.
#[derive(Default)]
pub(crate) struct LogOutlet {
    node_id: String,
    least: AtomicU8,
    everything: AtomicBool,
    inner: Mutex<Inner>,
}

impl LogOutlet {
    /// The log of the node with that label.
    pub(crate) fn of(node_id: &str) -> LogOutlet {
        LogOutlet { node_id: node_id.to_owned(), ..LogOutlet::default() }
    }

    /// Replaces the sink and the least level it gets. A call of the old sink may still be under way.
    pub(crate) fn set(&self, least: Level, sink: Option<LogSink>) {
        self.set_level(least);
        // What the old sink owns may call the node while it goes: it goes without the lock.
        let old = std::mem::replace(&mut self.inner.lock().sink, sink.map(Arc::new));
        drop(old);
    }

    pub(crate) fn set_level(&self, least: Level) {
        self.least.store(least as u8, Ordering::Relaxed);
        self.set_everything(least == Level::Trace);
    }

    /// Whether events that are told on request only are wanted.
    pub(crate) fn set_everything(&self, wanted: bool) {
        self.everything.store(wanted, Ordering::Relaxed);
    }

    pub(crate) fn wants_everything(&self) -> bool {
        self.everything.load(Ordering::Relaxed) || PROCESS_LEAST.load(Ordering::Relaxed) == Level::Trace as u8
    }

    /// Queues a line if anybody listens at that level. The text is made only then. Never calls a sink.
    pub(crate) fn queue(&self, level: Level, text: impl FnOnce() -> String) {
        let own = level as u8 >= self.least.load(Ordering::Relaxed);
        let process = level as u8 >= PROCESS_LEAST.load(Ordering::Relaxed) && !IN_PROCESS_SINK.get();
        if !own && !process {
            return;
        }
        let mut inner = self.inner.lock();
        let own = own && inner.sink.is_some();
        if !own && !process {
            return;
        }
        if inner.lines.len() >= limits::LOG_RING_MAX {
            inner.lines.pop_front();
            inner.dropped += 1;
        }
        inner.lines.push_back(Line { level, text: text(), own, process });
    }

    /// Writes what is queued, unless somebody is at it. Not to be called with a lock of the node held.
    pub(crate) fn flush(&self) {
        if std::mem::replace(&mut self.inner.lock().writing, true) {
            return;
        }
        while let Some((sink, Line { level, text, own, process })) = self.next() {
            if let Some(sink) = sink.filter(|_| own)
                && catch_unwind(AssertUnwindSafe(|| sink(level, &text))).is_err()
            {
                // A sink that panics is not called again; the node goes on without it.
                let mut inner = self.inner.lock();
                inner.sink.take_if(|now| Arc::ptr_eq(now, &sink));
            }
            if process {
                write_for_process(level, &self.node_id, &text);
            }
        }
    }

    /// The next line and the node's own sink. `None` ends the writing, in the same breath in which the queue is seen empty.
    fn next(&self) -> Option<(Option<Arc<LogSink>>, Line)> {
        let mut inner = self.inner.lock();
        let line = match std::mem::take(&mut inner.dropped) {
            0 => inner.lines.pop_front(),
            n => {
                let text = format!("{n} log lines dropped because the log callback is too slow");
                Some(Line { level: Level::Warn, text, own: true, process: true })
            }
        };
        inner.writing = line.is_some();
        line.map(|line| (inner.sink.clone(), line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorder(outlet: &Arc<LogOutlet>, echo: bool) -> Arc<Mutex<Vec<String>>> {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (lines, again) = (seen.clone(), Arc::downgrade(outlet));
        let sink = move |_: Level, text: &str| {
            lines.lock().push(text.to_owned());
            if let Some(outlet) = again.upgrade().filter(|_| echo && !text.starts_with("echo")) {
                outlet.queue(Level::Info, || format!("echo of {text}"));
                outlet.flush();
            }
        };
        outlet.set(Level::Info, Some(Box::new(sink)));
        seen
    }

    #[test]
    fn a_sink_that_causes_lines_itself_gets_them_after_the_present_one() {
        let outlet = Arc::new(LogOutlet::default());
        let seen = recorder(&outlet, true);
        outlet.queue(Level::Info, || "one".into());
        outlet.queue(Level::Info, || "two".into());
        outlet.queue(Level::Debug, || "too quiet".into());
        outlet.flush();
        assert_eq!(*seen.lock(), ["one", "two", "echo of one", "echo of two"]);
    }

    #[test]
    fn lines_past_the_bound_give_way_oldest_first_and_are_counted() {
        let outlet = Arc::new(LogOutlet::default());
        let seen = recorder(&outlet, false);
        (0..limits::LOG_RING_MAX + 3).for_each(|n| outlet.queue(Level::Warn, || n.to_string()));
        outlet.flush();
        let seen = seen.lock();
        assert!(seen[0].starts_with("3 log lines dropped"), "{}", seen[0]);
        assert_eq!((seen.len(), seen[1].as_str()), (limits::LOG_RING_MAX + 1, "3"));
    }

    #[test]
    fn a_sink_that_panics_is_given_up_and_the_node_goes_on() {
        let outlet = LogOutlet::default();
        outlet.set(Level::Info, Some(Box::new(|_, _| panic!("sink"))));
        outlet.queue(Level::Info, || "line".into());
        outlet.flush();
        assert!(outlet.inner.lock().sink.is_none() && !outlet.inner.lock().writing);
    }

    #[test]
    fn a_sink_may_be_replaced_from_within_itself() {
        let outlet = Arc::new(LogOutlet::default());
        let again = outlet.clone();
        outlet.set(Level::Info, Some(Box::new(move |_, _| again.set(Level::Off, None))));
        outlet.queue(Level::Info, || "line".into());
        outlet.flush();
        assert!(outlet.inner.lock().sink.is_none());
    }

    /// One test, since the process has one sink.
    #[test]
    fn the_process_hears_every_node_beside_the_nodes_own_sinks_until_it_wants_no_more() {
        let (one, two) = (Arc::new(LogOutlet::of("one")), LogOutlet::of("two"));
        let own = recorder(&one, false);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (lines, again) = (seen.clone(), Arc::downgrade(&one));
        // Other tests run in this process and may log as well: only these two labels count.
        set_process_log(Level::Trace, move |level, node_id, text| {
            if ["one", "two"].contains(&node_id) {
                lines.lock().push(format!("{node_id} {level} {text}"));
            }
            if let Some(outlet) = again.upgrade() {
                outlet.queue(Level::Error, || "caused by the sink".into());
            }
        });
        assert!(one.wants_everything() && two.wants_everything());
        one.queue(Level::Trace, || "quiet".into());
        two.queue(Level::Warn, || "loud".into());
        one.flush();
        two.flush();
        assert_eq!(*seen.lock(), ["one trace quiet", "two warn loud"]);
        assert!(own.lock().iter().all(|line| line == "caused by the sink"), "{own:?}");
        clear_process_log();
        two.queue(Level::Critical, || "unheard".into());
        two.flush();
        assert_eq!(seen.lock().len(), 2);
        assert!(!two.wants_everything());
    }

    #[test]
    fn everything_is_wanted_at_level_trace_only() {
        let outlet = LogOutlet::of("n");
        outlet.set(Level::Debug, None);
        assert!(!outlet.everything.load(Ordering::Relaxed));
        outlet.set_level(Level::Trace);
        assert!(outlet.everything.load(Ordering::Relaxed));
    }
}
