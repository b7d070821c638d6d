//! What the kernel knows about a process (Linux): memory, threads, descriptors, processor time.

use std::fs;

use crate::Result;

/// A process at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// Resident memory in KiB.
    pub(crate) resident_kib: u64,
    /// What of it is heap and stacks, and not code that was touched.
    pub(crate) anonymous_kib: u64,
    pub(crate) threads: u64,
    pub(crate) descriptors: u64,
    /// Processor time so far in clock ticks of 10 ms.
    pub(crate) ticks: u64,
}

impl Usage {
    /// The lesser of every figure that can go down.
    pub(crate) fn least(&self, other: &Usage) -> Usage {
        Usage {
            resident_kib: self.resident_kib.min(other.resident_kib),
            anonymous_kib: self.anonymous_kib.min(other.anonymous_kib),
            threads: self.threads.min(other.threads),
            descriptors: self.descriptors.min(other.descriptors),
            ticks: self.ticks.max(other.ticks),
        }
    }
}

pub(crate) fn usage(pid: u32) -> Result<Usage> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let field = |name: &str| -> Result<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or_else(|| format!("no {name} in /proc"))?;
        Ok(line.split_whitespace().next().unwrap_or_default().parse()?)
    };
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // Behind the name in brackets: utime and stime are fields 14 and 15 of proc(5), so 12 and 13 from there.
    let behind = stat.rsplit_once(") ").ok_or("no name in /proc")?.1;
    let times: Vec<u64> = behind.split(' ').skip(11).take(2).map(str::parse).collect::<std::result::Result<_, _>>()?;
    Ok(Usage {
        resident_kib: field("VmRSS:")?,
        anonymous_kib: field("RssAnon:")?,
        threads: field("Threads:")?,
        descriptors: fs::read_dir(format!("/proc/{pid}/fd"))?.count() as u64,
        ticks: times.iter().sum(),
    })
}
