//! How much the crate's thread of mDNS keeps. It stores what anybody on the network says, of any name and for as long as it was told,
//! without a cap of its own: past the limits here it is ended, for this run of the node.
//!
//! Never waits for that thread, which answers when it has read what came.

use mdns_sd::{Error, Metrics, Receiver, ServiceDaemon, TryRecvError};

use crate::base::{Level, Time, limits};
use crate::driver::Shell;
use crate::driver::beacon::Ending;

/// What the crate calls the records it keeps, one by one.
const RECORDS: [&str; 6] = ["cached-ptr", "cached-srv", "cached-addr", "cached-txt", "cached-nsec", "cached-subtype"];

/// Looks at what is kept, from time to time.
pub(super) struct Watch {
    daemon: ServiceDaemon,
    asked: Option<Receiver<Metrics>>,
    due: Time,
}

impl Watch {
    pub(super) fn new(daemon: ServiceDaemon, now: Time) -> Watch {
        Watch { daemon, asked: None, due: now }
    }

    /// When to look next.
    pub(super) fn due(&self) -> Time {
        self.due
    }

    /// Looks, if it is time. Whether mDNS is over, by this or by something else.
    pub(super) fn is_over(&mut self, shell: &Shell) -> bool {
        match self.asked.as_ref().map(Receiver::try_recv) {
            Some(Ok(metrics)) => {
                self.asked = None;
                if let Some(why) = excess(&metrics) {
                    end(&self.daemon, shell, &why);
                    return true;
                }
            }
            Some(Err(TryRecvError::Disconnected)) => return true,
            Some(Err(TryRecvError::Empty)) | None => {}
        }
        if self.due > shell.now() {
            return false;
        }
        self.due = shell.now() + limits::MDNS_CACHE_LOOK_EVERY;
        if self.asked.is_none() {
            match self.daemon.get_metrics() {
                Ok(asked) => self.asked = Some(asked),
                Err(Error::Again) => {}
                Err(_) => return true,
            }
        }
        false
    }

    /// Looks until mDNS is over or the node stops; for a node that looks for nobody. The thread is unparked at the end.
    pub(super) fn run(mut self, shell: &Shell, ending: &Ending) {
        while !ending.is_near() && !self.is_over(shell) {
            std::thread::park_timeout(self.due.since(shell.now()));
        }
    }
}

/// Ends the crate's thread, and says why.
pub(super) fn end(daemon: &ServiceDaemon, shell: &Shell, why: &str) {
    shell.write_log(Level::Warn, || format!("mDNS {why}, and is off until this node is started again"));
    let _ = daemon.shutdown();
}

/// What there is too much of.
fn excess(metrics: &Metrics) -> Option<String> {
    let count = |name: &str| metrics.get(name).map_or(0, |count| u64::try_from(*count).unwrap_or(0));
    let (records, timers) = (RECORDS.iter().map(|name| count(name)).sum::<u64>(), count("timer"));
    let too_many = |is: u64, what: &str, max: u64| (is > max).then(|| format!("keeps {is} {what}, limit is {max}"));
    too_many(records, "records of what was said on the network", limits::MDNS_RECORDS_MAX)
        .or_else(|| too_many(timers, "times at which records end or are asked for", limits::MDNS_TIMERS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_every_kind_count_together_and_timers_by_themselves() {
        let metrics = |each: i64, timers: i64| -> Metrics {
            RECORDS
                .iter()
                .map(|name| ((*name).to_owned(), each))
                .chain([("timer".to_owned(), timers), ("respond".to_owned(), i64::MAX)])
                .collect()
        };
        let share = limits::MDNS_RECORDS_MAX as i64 / RECORDS.len() as i64;
        assert_eq!(excess(&metrics(share, limits::MDNS_TIMERS_MAX as i64)), None);
        assert!(excess(&metrics(share + 1, 0)).is_some_and(|why| why.contains("records")));
        assert!(excess(&metrics(0, limits::MDNS_TIMERS_MAX as i64 + 1)).is_some_and(|why| why.contains("times")));
        assert_eq!(excess(&Metrics::new()), None);
    }
}
