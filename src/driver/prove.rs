//! Groups on their way into the log, and the thread that proves those which wait while the log's thread waits for the disk.
//!
//! Begun by the log's thread with the first backlog. Stores nothing: what it could not prove, or did not come to, the log judges.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;

use bytes::Bytes;

use crate::base::{LinkId, LogId, limits};
use crate::driver::runtime::{self, ThreadStart};
use crate::driver::{Shell, log};
use crate::mesh::io::Input;
use crate::sync::{Group, Head, Proven, Storage, Stored, Wal};

/// A group that a peer pushed.
struct Arrived {
    link: LinkId,
    group: Proven,
    /// The head before it, by the word of the group that came before it.
    prev: Option<Head>,
}

/// What peers pushed and the log's thread has not come to.
#[derive(Default)]
pub(crate) struct Arrivals {
    queue: Vec<Arrived>,
    /// How many were taken, and up to where all were looked at, both counted from the first that ever came.
    taken: u64,
    looked_at: u64,
    /// Where each of a few logs ends with what came last, and its head there.
    ends: BTreeMap<LogId, (u64, Head)>,
    /// The log's thread is at work on what it took.
    pub(crate) is_busy: bool,
}

/// A group to be proven behind a head.
pub(crate) struct Job {
    number: u64,
    group: Proven,
    prev: Head,
}

impl Job {
    /// Does it.
    pub(crate) fn prove(&mut self) {
        self.group.prove(&self.prev);
    }
}

impl Arrivals {
    /// Takes a group in. Whether somebody might prove it meanwhile.
    pub(crate) fn push(&mut self, link: LinkId, group: Group) -> bool {
        let (log, first, last, group) = (group.log, group.first, group.last, Proven::from(group));
        let before = self.ends.get(&log).filter(|(end, _)| end.checked_add(1) == Some(first)).map(|(_, head)| *head);
        if self.ends.len() >= limits::PROVEN_LOGS_MAX && !self.ends.contains_key(&log) {
            self.ends.clear();
        }
        match group.claimed_head() {
            Some(head) => self.ends.insert(log, (last, head)),
            None => self.ends.remove(&log),
        };
        self.queue.push(Arrived { link, group, prev: before });
        self.is_busy
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Everything that waits; what comes from now on is for the prover until the next call.
    pub(crate) fn take(&mut self) -> Vec<(LinkId, Proven)> {
        self.taken += self.queue.len() as u64;
        self.is_busy = true;
        std::mem::take(&mut self.queue).into_iter().map(|arrived| (arrived.link, arrived.group)).collect()
    }

    /// The next group that can be proven, while the log's thread is busy.
    pub(crate) fn next_job(&mut self) -> Option<Job> {
        self.looked_at = self.looked_at.max(self.taken);
        while self.is_busy {
            let number = self.looked_at;
            let arrived = self.queue.get(usize::try_from(number - self.taken).ok()?)?;
            self.looked_at += 1;
            if let Some(prev) = arrived.prev {
                return Some(Job { number, group: arrived.group.clone(), prev });
            }
        }
        None
    }

    /// Puts a proof where its group still waits.
    pub(crate) fn done(&mut self, job: Job) {
        let place = job.number.checked_sub(self.taken).and_then(|at| self.queue.get_mut(usize::try_from(at).ok()?));
        if let Some(arrived) = place {
            arrived.group = job.group;
        }
    }
}

/// The prover, once there was a backlog.
pub(crate) struct Prover {
    on_start: Option<ThreadStart>,
    thread: Option<JoinHandle<()>>,
    refused: bool,
}

impl Prover {
    pub(crate) fn new(on_start: Option<ThreadStart>) -> Prover {
        Prover { on_start, thread: None, refused: false }
    }

    /// Begins it if so many groups came at once that one more thread is worth it.
    pub(crate) fn begin_for(&mut self, shell: &Arc<Shell>, groups: usize) {
        if groups < limits::PROVER_FROM_GROUPS || self.thread.is_some() || self.refused {
            return;
        }
        let theirs = shell.clone();
        let work = move || {
            while let Some(mut job) = theirs.log.next_job() {
                job.prove();
                theirs.log.job_done(job);
            }
        };
        match runtime::spawn("vixp2p-prove", self.on_start, work) {
            Ok(thread) => self.thread = Some(thread),
            // The log's thread proves everything itself then.
            Err(_) => self.refused = true,
        }
    }

    /// Waits for its end, once the log is told to stop.
    pub(crate) fn end(self) {
        // A panic there cost a proof and nothing else.
        let _ = self.thread.map(JoinHandle::join);
    }
}

/// Stores what peers pushed and tells the mesh.
pub(crate) fn store<S: Storage>(shell: &Arc<Shell>, wal: &mut Wal<S>, stores: Vec<(LinkId, Proven)>) {
    if stores.is_empty() {
        return;
    }
    let (links, groups): (Vec<LinkId>, Vec<Proven>) = stores.into_iter().unzip();
    let verdicts = wal.store_proven(&groups);
    let mut durable: Vec<Group> = Vec::new();
    for ((link, group), verdict) in links.into_iter().zip(groups).zip(verdicts) {
        let group = group.into_group();
        if durable.last().is_some_and(|last| last.log != group.log) {
            shell.step(Input::Durable { groups: std::mem::take(&mut durable) });
        }
        match verdict {
            Ok(Stored::New | Stored::Duplicate) => durable.push(group),
            // Settled by its number; what it holds was not looked at.
            Ok(Stored::Past) => durable.push(Group { bytes: Bytes::new(), ..group }),
            Err(error) => {
                if !durable.is_empty() {
                    shell.step(Input::Durable { groups: std::mem::take(&mut durable) });
                }
                log::refuse(shell, wal, link, &group, error);
            }
        }
    }
    if !durable.is_empty() {
        shell.step(Input::Durable { groups: durable });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Incarnation;
    use crate::crypto::{Identity, Secret};
    use crate::sync::{encode_group, log_head};

    fn groups(incarnation: u64, count: u64) -> Vec<Group> {
        let writer = Identity::from_seed(&Secret::new([7; 32]));
        let log = LogId { origin: writer.id(), incarnation: Incarnation(incarnation) };
        let mut head = log_head(&log);
        let next = |seq| {
            let (group, after) = encode_group(log, &head, seq, 5, &["x".into()], &writer);
            head = after;
            group
        };
        (1..=count).map(next).collect()
    }

    fn prove_all(arrivals: &mut Arrivals) {
        while let Some(mut job) = arrivals.next_job() {
            job.prove();
            arrivals.done(job);
        }
    }

    #[test]
    fn what_comes_while_the_log_is_busy_is_proven_also_of_logs_that_come_in_turn() {
        let mut arrivals = Arrivals::default();
        let (one, two) = (groups(1, 6), groups(2, 6));
        for (a, b) in one[..3].iter().zip(&two[..3]) {
            assert!(!arrivals.push(LinkId(1), a.clone()) && !arrivals.push(LinkId(2), b.clone()));
        }
        assert!(arrivals.next_job().is_none(), "the log's thread comes at once");
        assert!(arrivals.take().iter().all(|(_, group)| !group.is_proven()));
        for (a, b) in one[3..].iter().zip(&two[3..]) {
            assert!(arrivals.push(LinkId(1), a.clone()) && arrivals.push(LinkId(2), b.clone()));
        }
        prove_all(&mut arrivals);
        let taken = arrivals.take();
        assert!(taken.len() == 6 && taken.iter().all(|(_, group)| group.is_proven()));
    }

    #[test]
    fn a_proof_that_comes_after_its_group_was_taken_is_let_drop_and_the_next_one_is_found() {
        let mut arrivals = Arrivals::default();
        let all = groups(1, 6);
        arrivals.take();
        assert!(all[..3].iter().all(|group| arrivals.push(LinkId(1), group.clone())));
        // Nothing is known of what comes before the first.
        let late = arrivals.next_job().expect("the second");
        assert_eq!(late.number, 1);
        arrivals.take();
        arrivals.done(late);
        assert!(all[3..].iter().all(|group| arrivals.push(LinkId(1), group.clone())));
        prove_all(&mut arrivals);
        assert!(arrivals.take().iter().all(|(_, group)| group.is_proven()));
    }

    #[test]
    fn a_group_that_lies_about_its_end_proves_nothing_behind_it() {
        let mut arrivals = Arrivals::default();
        let (mut all, other) = (groups(1, 3), groups(2, 3));
        all[1].bytes = other[1].bytes.clone();
        arrivals.take();
        assert!(all.iter().all(|group| arrivals.push(LinkId(1), group.clone())));
        prove_all(&mut arrivals);
        assert!(arrivals.take().iter().all(|(_, group)| !group.is_proven()));
    }
}
