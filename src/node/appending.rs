//! Appending, with the name of the log the records went to.

use bytes::Bytes;

use crate::base::{Error, Incarnation, LogId, LogRange, Result};
use crate::driver::log;
use crate::driver::workers::NodeWal;
use crate::sync::{Cause, Wal};

use super::{Node, applying, check_marks, unanswered};

/// How far logs are applied.
type Named = Vec<(LogId, u64)>;

impl Node {
    /// [`Node::append`] that also says which log the records are in: a node that was set back goes on in another one, and only the
    /// log and the number together name a record ([`Node::wait_for_ack`]).
    pub async fn append_records(&self, payloads: Vec<Bytes>) -> Result<LogRange> {
        check_marks(&payloads)?;
        match self.shell_to_wait_for() {
            Ok(_) if payloads.is_empty() => Ok(LogRange { log: self.own_log(), first: 0, last: 0 }),
            Ok(shell) => shell.log.append(payloads).await.map_err(|e| unanswered(e, &shell)),
            Err(Error::Stopped) => self.append_offline(&payloads),
            Err(e) => Err(e),
        }
    }

    /// [`Node::append_records`] for threads without a runtime.
    pub fn append_records_blocking(&self, payloads: Vec<Bytes>) -> Result<LogRange> {
        check_marks(&payloads)?;
        match self.shell_to_wait_for() {
            Ok(_) if payloads.is_empty() => Ok(LogRange { log: self.own_log(), first: 0, last: 0 }),
            Ok(shell) => shell.log.append_blocking(&shell, payloads).map_err(|e| unanswered(e, &shell)),
            Err(Error::Stopped) => self.append_offline(&payloads),
            Err(e) => Err(e),
        }
    }

    /// A node that does not run still keeps its log.
    fn append_offline(&self, payloads: &[Bytes]) -> Result<LogRange> {
        log::check(payloads)?;
        let (causes, named) = self.offline_causes()?;
        let mut state = self.inner.state.lock();
        if let Some(failed) = &state.failed {
            return Err(Error::Failed(failed.clone()));
        }
        let wal = state.wal.as_mut().ok_or(Error::Stopped)?;
        wal.flush().map_err(|e| Error::Log(e.to_string()))?;
        if wal.is_set_back() {
            let fresh = getrandom::u64().map_err(|e| Error::Log(e.to_string()))?;
            wal.renew(Incarnation(fresh)).map_err(|e| Error::Log(e.to_string()))?;
        }
        let log = Wal::own(wal);
        let groups = wal.append_unmarked_after(log::now_us(), &causes, payloads).map_err(|e| Error::Log(e.to_string()))?;
        wal.mark_own();
        state.named = named;
        let (first, last) = (groups.first().map_or(0, |g| g.first), groups.last().map_or(0, |g| g.last));
        Ok(LogRange { log, first, last })
    }

    /// What a record comes after that is written while nothing is applied: everything that is, unless the one before it has said so and
    /// nothing has moved. With it how far the logs of others are applied by the notes here.
    fn offline_causes(&self) -> Result<(Vec<Cause>, Option<Named>)> {
        if !self.inner.config.causal {
            return Ok((Vec::new(), None));
        }
        let noted = |wal: &NodeWal| {
            let own = wal.own();
            wal.states().iter().filter(|state| state.log != own).map(|state| (state.log, state.applied)).collect::<Named>()
        };
        {
            let state = self.inner.state.lock();
            let Some(wal) = &state.wal else { return Ok((Vec::new(), None)) };
            let now = noted(wal);
            if state.named.as_ref() == Some(&now) {
                return Ok((Vec::new(), Some(now)));
            }
        }
        let told = self.ask_cursor()?;
        let state = self.inner.state.lock();
        let Some(wal) = &state.wal else { return Ok((Vec::new(), None)) };
        let all = applying::standing(wal.states(), &told).into_iter();
        Ok((all.map(|state| Cause { log: state.log, seq: state.applied }).collect(), Some(noted(wal))))
    }
}
