//! Appends that do not wait for the disk: written at once, made durable later, many of them by one sync.
//!
//! What is accepted is in the file, so that it outlives the process, and in memory until it is durable, so that a failed sync
//! costs nothing while the process lives. It is no part of the log before that: it is not read, pushed or counted. All that is
//! accepted between two syncs is one batch behind one mark, which is what recovery needs to tell a power cut from damage.

use bytes::{Bytes, BytesMut};

use crate::base::LogId;
use crate::sync::causes::{self, Cause};
use crate::sync::error::WalError;
use crate::sync::group::{self, Group};
use crate::sync::log::{Log, Place};
use crate::sync::seal::{Head, Signer};
use crate::sync::storage::Storage;
use crate::sync::wal::{Wal, check_payloads, cut_groups};

/// The own log's groups that are not durable yet.
#[derive(Debug, Default)]
pub(super) struct Accepted {
    groups: Vec<Group>,
    /// Bytes of them, with what stands before the first.
    bytes: u64,
    /// What the batch began with, and the head after its last group; none while there is no group.
    begun: Option<(Place, Head)>,
    /// The disk failed: a sync proves nothing before all of it is written once more.
    adrift: bool,
}

/// Groups in their written form, the last one's head, and where they stand in `bytes`.
pub(super) struct Sealed {
    pub(super) bytes: Bytes,
    pub(super) groups: Vec<Group>,
    pub(super) head: Head,
}

/// Cuts payloads into groups from record `first` on and seals them behind what `buffer` begins with. The first record comes behind
/// `causes`, as `causes::encode` made them.
pub(super) fn seal_groups(
    own: LogId,
    (mut first, mut head): (u64, Head),
    now_us: u64,
    (mut causes, payloads): (&[u8], &[Bytes]),
    signer: &dyn Signer,
    buffer: &mut BytesMut,
) -> Sealed {
    let cuts = cut_groups(payloads, causes.len());
    buffer.reserve(causes.len() + cuts.iter().map(|cut| group::encoded_len(cut)).sum::<usize>());
    let mut ends = Vec::with_capacity(cuts.len());
    for cut in &cuts {
        let begin = buffer.len();
        let last = group::append_group(&own, &mut head, (first, now_us), (std::mem::take(&mut causes), cut), signer, buffer);
        ends.push((first, last, begin..buffer.len()));
        first = last + 1;
    }
    let bytes = buffer.split().freeze();
    let group = |(first, last, range)| Group { log: own, first, last, bytes: bytes.slice(range) };
    let groups = ends.into_iter().map(group).collect();
    Sealed { bytes, groups, head }
}

impl<S: Storage> Wal<S> {
    /// Appends records to the own log without waiting for the disk: one write, no sync. They outlive the process from here on, and
    /// a power cut once [`Wal::flush`] has returned them. Until then nothing else is done with the own log. On an error none
    /// of them is accepted; those accepted before stay so.
    pub fn append_buffered(&mut self, now_us: u64, payloads: &[Bytes]) -> Result<std::ops::RangeInclusive<u64>, WalError> {
        self.append_buffered_after(now_us, &[], payloads)
    }

    /// [`Wal::append_buffered`] of records that come after `causes` in other logs.
    pub fn append_buffered_after(
        &mut self,
        now_us: u64,
        causes: &[Cause],
        payloads: &[Bytes],
    ) -> Result<std::ops::RangeInclusive<u64>, WalError> {
        check_payloads(payloads)?;
        self.check_not_set_back()?;
        let causes = causes::encode(&self.own, causes)?;
        let Wal { disk, signer, own, logs, buffer, segment_max, accepted, .. } = self;
        let log = logs.get_mut(own).ok_or(WalError::UnknownLog(*own))?;
        if accepted.adrift {
            return Err(accepted.unwritten(log));
        }
        buffer.clear();
        let mut begun = None;
        let from = match (&accepted.begun, accepted.groups.last()) {
            (Some((_, head)), Some(last)) => (last.last + 1, *head),
            _ => {
                let place = log.prepare(disk, *segment_max)?;
                place.begin(buffer);
                begun = Some(place);
                (log.durable + 1, log.head)
            }
        };
        let first = from.0;
        let sealed = seal_groups(*own, from, now_us, (&causes, payloads), signer.as_ref(), buffer);
        let Some(place) = begun.as_ref().or(accepted.begun.as_ref().map(|(place, _)| place)) else {
            return Err(WalError::UnknownLog(*own));
        };
        if let Err(error) = log.write_at(disk, place, accepted.bytes, &sealed.bytes) {
            accepted.adrift = !accepted.groups.is_empty() && log.is_broken();
            return Err(error);
        }
        accepted.bytes += sealed.bytes.len() as u64;
        accepted.groups.extend(sealed.groups);
        accepted.begun = begun.or(accepted.begun.take().map(|(place, _)| place)).map(|place| (place, sealed.head));
        Ok(first..=accepted.groups.last().map_or(first, |group| group.last))
    }

    /// Bytes that are accepted and not durable.
    pub fn accepted_bytes(&self) -> u64 {
        self.accepted.bytes
    }

    /// Makes what was accepted durable and returns it. A failed sync is never repeated as if it were none: everything is written
    /// once more from memory before the next, once here and again at every further call until the disk takes it.
    pub fn flush(&mut self) -> Result<Vec<Group>, WalError> {
        let Wal { disk, own, logs, buffer, accepted, .. } = self;
        let log = logs.get_mut(own).ok_or(WalError::UnknownLog(*own))?;
        let Some((place, head)) = &accepted.begun else { return Ok(Vec::new()) };
        if accepted.adrift || log.settle(disk, place, &accepted.groups, *head).is_err() {
            accepted.adrift = true;
            buffer.clear();
            place.begin(buffer);
            accepted.groups.iter().for_each(|group| buffer.extend_from_slice(&group.bytes));
            log.settle_anew(disk, place, buffer, &accepted.groups, *head)?;
            buffer.clear();
        }
        log.note_mark(disk);
        Ok(std::mem::take(accepted).groups)
    }

    /// Nothing may be appended to, or instead of, the own log while accepted records are not in it.
    pub(super) fn check_flushed(&self) -> Result<(), WalError> {
        let log = self.logs.get(&self.own).ok_or(WalError::UnknownLog(self.own))?;
        if self.accepted.groups.is_empty() { Ok(()) } else { Err(self.accepted.unwritten(log)) }
    }
}

impl Accepted {
    fn unwritten(&self, log: &Log) -> WalError {
        let last = self.groups.last().map_or(log.durable, |group| group.last);
        let cause = format!("records {}..={last} were accepted and are not durable yet", log.durable + 1);
        WalError::Failed { log: log.id, cause }
    }
}
