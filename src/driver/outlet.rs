//! Log lines on their way to the application's sink: queued where they arise, written where no lock is held.
//!
//! Lines keep the order in which they were queued, and one is written at a time. The sink may call the node: a line it causes is
//! written by whoever is writing already, after the present one.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use parking_lot::Mutex;

use crate::base::{Level, limits};

/// Where a log line goes; must return quickly, for a task or thread of the node waits meanwhile.
pub type LogSink = Box<dyn Fn(Level, &str) + Send + Sync>;

#[derive(Default)]
struct Inner {
    sink: Option<Arc<LogSink>>,
    lines: VecDeque<(Level, String)>,
    dropped: u64,
    /// Somebody is writing lines and will write those that come meanwhile.
    writing: bool,
}

/// A node's log: a level that can change at any time, and where lines go.
#[derive(Default)]
pub(crate) struct LogOutlet {
    least: AtomicU8,
    inner: Mutex<Inner>,
}

impl LogOutlet {
    /// Replaces the sink and the least level it gets. A call of the old sink may still be under way.
    pub(crate) fn set(&self, least: Level, sink: Option<LogSink>) {
        self.least.store(least as u8, Ordering::Relaxed);
        // What the old sink owns may call the node while it goes: it goes without the lock.
        let old = std::mem::replace(&mut self.inner.lock().sink, sink.map(Arc::new));
        drop(old);
    }

    pub(crate) fn set_level(&self, least: Level) {
        self.least.store(least as u8, Ordering::Relaxed);
    }

    /// Queues a line if anybody listens at that level. The text is made only then. Never calls the sink.
    pub(crate) fn queue(&self, level: Level, text: impl FnOnce() -> String) {
        if (level as u8) < self.least.load(Ordering::Relaxed) {
            return;
        }
        let mut inner = self.inner.lock();
        if inner.sink.is_none() {
            return;
        }
        if inner.lines.len() >= limits::LOG_RING_MAX {
            inner.lines.pop_front();
            inner.dropped += 1;
        }
        inner.lines.push_back((level, text()));
    }

    /// Writes what is queued, unless somebody is at it. Not to be called with a lock of the node held.
    pub(crate) fn flush(&self) {
        if std::mem::replace(&mut self.inner.lock().writing, true) {
            return;
        }
        while let Some((sink, (level, text))) = self.next() {
            if catch_unwind(AssertUnwindSafe(|| sink(level, &text))).is_err() {
                // A sink that panics is not called again; the node goes on without it.
                let mut inner = self.inner.lock();
                inner.sink.take_if(|now| Arc::ptr_eq(now, &sink));
            }
        }
    }

    /// The next line and where it goes. `None` ends the writing, in the same breath in which the queue is seen empty.
    fn next(&self) -> Option<(Arc<LogSink>, (Level, String))> {
        let mut inner = self.inner.lock();
        let next = inner.sink.clone().and_then(|sink| {
            let line = match std::mem::take(&mut inner.dropped) {
                0 => inner.lines.pop_front(),
                n => Some((Level::Warn, format!("{n} log lines dropped because the log callback is too slow"))),
            };
            Some((sink, line?))
        });
        inner.writing = next.is_some();
        next
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
}
