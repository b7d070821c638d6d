//! Appending, with the name of the log the records went to.

use bytes::Bytes;

use crate::base::{Error, LogRange, Result};
use crate::driver::log;
use crate::sync::Wal;

use super::{Node, check_marks, unanswered};

impl Node {
    /// [`Node::append`] that also says which log the records are in: a node that was set back goes on in another one, and only the
    /// log and the number together name a record ([`Node::wait_for_ack`]).
    pub async fn append_records(&self, payloads: Vec<Bytes>) -> Result<LogRange> {
        check_marks(&payloads)?;
        match self.shell() {
            Ok(_) if payloads.is_empty() => Ok(LogRange { log: self.own_log(), first: 0, last: 0 }),
            Ok(shell) => shell.log.append(payloads).await.map_err(|e| unanswered(e, &shell)),
            Err(Error::Stopped) => self.append_offline(&payloads),
            Err(e) => Err(e),
        }
    }

    /// [`Node::append_records`] for threads without a runtime.
    pub fn append_records_blocking(&self, payloads: Vec<Bytes>) -> Result<LogRange> {
        check_marks(&payloads)?;
        match self.shell() {
            Ok(_) if payloads.is_empty() => Ok(LogRange { log: self.own_log(), first: 0, last: 0 }),
            Ok(shell) => shell.log.append_blocking(&shell, payloads).map_err(|e| unanswered(e, &shell)),
            Err(Error::Stopped) => self.append_offline(&payloads),
            Err(e) => Err(e),
        }
    }

    /// A node that does not run still keeps its log.
    fn append_offline(&self, payloads: &[Bytes]) -> Result<LogRange> {
        let mut state = self.inner.state.lock();
        if let Some(failed) = &state.failed {
            return Err(Error::Failed(failed.clone()));
        }
        let wal = state.wal.as_mut().ok_or(Error::Stopped)?;
        wal.flush().map_err(|e| Error::Log(e.to_string()))?;
        let groups = wal.append(log::now_us(), payloads).map_err(|e| Error::Log(e.to_string()))?;
        let (first, last) = (groups.first().map_or(0, |g| g.first), groups.last().map_or(0, |g| g.last));
        Ok(LogRange { log: Wal::own(wal), first, last })
    }
}
