//! The network: connections as ordered byte streams that are late, cut into arbitrary pieces, stalled, or lost.
//!
//! Knows nodes by number and never looks into a byte. Bandwidth is free; what costs is distance. A lane that a partition or a
//! stall blocks keeps its bytes and delivers them later, as TCP would.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::base::{LinkId, Time};

/// Bytes one lane holds before its writer has to wait.
const SOCKET_BYTES: usize = 256 * 1024;
/// How long a blocked lane waits before it tries again.
const RETRY: Duration = Duration::from_millis(400);

/// One end of a connection: a link in one life of a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct End {
    pub(super) node: usize,
    pub(super) life: u32,
    pub(super) link: LinkId,
}

/// What arrives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Parcel {
    /// The connection this end dialled is open.
    Opened,
    /// A piece of the stream.
    Bytes(Vec<u8>),
    /// The other end said it is done.
    Finished,
    /// The other end is gone, or never was.
    Reset,
}

#[derive(Debug, Default)]
struct Lane {
    parcels: VecDeque<(Time, Parcel)>,
    bytes: usize,
    last: Time,
    stalled: Time,
    /// Whether a bit of the next bytes is flipped on the way.
    corrupt: bool,
    /// Whether one was.
    garbled: bool,
    /// Whether an arrival is on the world's calendar.
    called: bool,
}

#[derive(Debug)]
struct Conn {
    ends: [End; 2],
    open: [bool; 2],
    lanes: [Lane; 2],
}

/// What became of an arrival.
#[derive(Debug)]
pub(super) enum Arrival {
    /// Nothing: the connection is no more.
    Void,
    /// Not yet; look again then.
    Later(Time),
    /// Here it is, and when the next one comes.
    Here { to: End, open: bool, parcel: Parcel, next: Option<Time> },
}

/// All connections, and who can reach whom.
#[derive(Debug)]
pub(super) struct Net {
    conns: BTreeMap<u64, Conn>,
    last: u64,
    /// The island each node is on; different islands do not reach each other.
    islands: Vec<u8>,
    /// From whom nothing reaches whom.
    one_way: BTreeSet<(usize, usize)>,
    latency_us: (u64, u64),
}

impl Net {
    /// A network of `nodes` whose one-way latency lies between the two figures, in microseconds.
    pub(super) fn new(nodes: usize, latency_us: (u64, u64)) -> Net {
        Net { conns: BTreeMap::new(), last: 0, islands: vec![0; nodes], one_way: BTreeSet::new(), latency_us }
    }

    /// Puts the nodes on islands.
    pub(super) fn partition(&mut self, islands: Vec<u8>) {
        self.islands = islands;
    }

    /// Nothing that one node sends reaches the other; the way back is open.
    pub(super) fn block(&mut self, from: usize, to: usize) {
        self.one_way.insert((from, to));
    }

    /// Ends every partition, stall and corruption.
    pub(super) fn heal(&mut self) {
        self.islands.fill(0);
        self.one_way.clear();
        for conn in self.conns.values_mut() {
            for lane in &mut conn.lanes {
                (lane.stalled, lane.corrupt) = (Time::ZERO, false);
            }
        }
    }

    /// Whether two nodes cannot reach each other.
    pub(super) fn is_blocked(&self, a: usize, b: usize) -> bool {
        self.islands[a] != self.islands[b] || self.one_way.contains(&(a, b)) || self.one_way.contains(&(b, a))
    }

    /// Whether what one node sends does not reach the other.
    pub(super) fn blocks(&self, from: usize, to: usize) -> bool {
        self.islands[from] != self.islands[to] || self.one_way.contains(&(from, to))
    }

    /// One way across, this time.
    pub(super) fn latency(&self, rng: &mut fastrand::Rng) -> Duration {
        let (least, most) = self.latency_us;
        Duration::from_micros(rng.u64(least..=most))
    }

    /// Opens a connection; end 0 dialled it and is told by a parcel.
    pub(super) fn open(&mut self, ends: [End; 2]) -> u64 {
        self.last += 1;
        self.conns.insert(self.last, Conn { ends, open: [true; 2], lanes: [Lane::default(), Lane::default()] });
        self.last
    }

    /// Whether that end's writer would have to wait.
    pub(super) fn is_full(&self, conn: u64, side: usize) -> bool {
        self.conns.get(&conn).is_some_and(|conn| conn.lanes[side].bytes >= SOCKET_BYTES)
    }

    /// The other end of a connection.
    pub(super) fn far_end(&self, conn: u64, side: usize) -> Option<End> {
        self.conns.get(&conn).map(|conn| conn.ends[1 - side])
    }

    /// Numbers of the connections that are open at both ends.
    pub(super) fn open_conns(&self) -> Vec<u64> {
        self.conns.iter().filter(|(_, conn)| conn.open == [true; 2]).map(|(number, _)| *number).collect()
    }

    /// Whether a bit flipped on a connection that one end at least holds open.
    pub(super) fn has_garbled(&self) -> bool {
        self.conns.values().any(|conn| conn.lanes.iter().any(|lane| lane.garbled))
    }

    /// Connections so far.
    pub(super) fn opened(&self) -> u64 {
        self.last
    }

    /// Sends from an end, in one piece or many. Returns when the lane has to be looked at, if nobody is to look yet.
    pub(super) fn send(&mut self, conn: u64, side: usize, parcel: Parcel, now: Time, rng: &mut fastrand::Rng) -> Option<Time> {
        let latency = self.latency(rng);
        let conn = self.conns.get_mut(&conn)?;
        let lane = &mut conn.lanes[side];
        let mut due = lane.last.max(now + latency);
        match parcel {
            Parcel::Bytes(mut bytes) => {
                if std::mem::take(&mut lane.corrupt)
                    && let Some(at) = rng.usize(..bytes.len() + 1).checked_sub(1)
                {
                    bytes[at] ^= 1 << rng.u8(..8);
                    lane.garbled = true;
                }
                lane.bytes += bytes.len();
                let mut rest = &bytes[..];
                while !rest.is_empty() {
                    let cut = if rng.u8(..4) == 0 { rng.usize(1..=rest.len()) } else { rest.len() };
                    lane.parcels.push_back((due, Parcel::Bytes(rest[..cut].to_vec())));
                    rest = &rest[cut..];
                    due = due + Duration::from_micros(rng.u64(1..200));
                }
            }
            other => lane.parcels.push_back((due, other)),
        }
        lane.last = due;
        Net::call(lane)
    }

    fn call(lane: &mut Lane) -> Option<Time> {
        let due = lane.parcels.front().map(|(due, _)| *due).filter(|_| !lane.called)?;
        lane.called = true;
        Some(due)
    }

    /// The lane from that end is looked at: what comes out of it now.
    pub(super) fn arrive(&mut self, number: u64, side: usize, now: Time) -> Arrival {
        let Some(conn) = self.conns.get(&number) else { return Arrival::Void };
        let (from, to) = (conn.ends[side].node, conn.ends[1 - side].node);
        let blocked = self.blocks(from, to);
        let Some(conn) = self.conns.get_mut(&number) else { return Arrival::Void };
        let lane = &mut conn.lanes[side];
        lane.called = false;
        if blocked || lane.stalled > now {
            lane.called = true;
            return Arrival::Later(now + RETRY);
        }
        match lane.parcels.front() {
            None => return Arrival::Void,
            Some((due, _)) if *due > now => {
                lane.called = true;
                return Arrival::Later(*due);
            }
            Some(_) => {}
        }
        let Some((_, parcel)) = lane.parcels.pop_front() else { return Arrival::Void };
        if let Parcel::Bytes(bytes) = &parcel {
            lane.bytes -= bytes.len();
        }
        let next = Net::call(lane);
        Arrival::Here { to: conn.ends[1 - side], open: conn.open[1 - side], parcel, next }
    }

    /// An end is closed by its own node; what it sent before still travels.
    pub(super) fn close(&mut self, number: u64, side: usize) {
        if let Some(conn) = self.conns.get_mut(&number) {
            conn.open[side] = false;
            if conn.open == [false; 2] {
                self.conns.remove(&number);
            }
        }
    }

    /// The connection breaks: everything under way is lost and both ends learn of it, each in its time.
    pub(super) fn cut(&mut self, number: u64, now: Time, rng: &mut fastrand::Rng) -> [Option<Time>; 2] {
        [0, 1].map(|side| {
            if let Some(conn) = self.conns.get_mut(&number) {
                conn.lanes[side].parcels.clear();
                conn.lanes[side].bytes = 0;
            }
            self.send(number, side, Parcel::Reset, now, rng)
        })
    }

    /// A bit of what an end sends next is flipped on the way.
    pub(super) fn corrupt(&mut self, number: u64, side: usize) {
        if let Some(conn) = self.conns.get_mut(&number) {
            conn.lanes[side].corrupt = true;
        }
    }

    /// One direction of a connection stands still until then.
    pub(super) fn stall(&mut self, number: u64, side: usize, until: Time) {
        if let Some(conn) = self.conns.get_mut(&number) {
            conn.lanes[side].stalled = until;
        }
    }

    /// The open ends of one life of a node: connection and side.
    pub(super) fn ends_of(&self, node: usize, life: u32) -> Vec<(u64, usize)> {
        let mut found = Vec::new();
        for (number, conn) in &self.conns {
            for side in [0, 1] {
                if conn.open[side] && (conn.ends[side].node, conn.ends[side].life) == (node, life) {
                    found.push((*number, side));
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(node: usize) -> End {
        End { node, life: 1, link: LinkId(1) }
    }

    fn drain(net: &mut Net, conn: u64, side: usize, mut at: Time, upto: Time) -> Vec<u8> {
        let mut got = Vec::new();
        while at <= upto {
            match net.arrive(conn, side, at) {
                Arrival::Void => break,
                Arrival::Later(next) => at = next,
                Arrival::Here { parcel, next, .. } => {
                    if let Parcel::Bytes(bytes) = parcel {
                        got.extend(bytes);
                    }
                    at = next.unwrap_or(Time(u64::MAX)).max(at);
                }
            }
        }
        got
    }

    #[test]
    fn a_stream_keeps_its_order_whatever_its_pieces_and_delays() {
        for seed in 0..50 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut net = Net::new(2, (100, 50_000));
            let conn = net.open([end(0), end(1)]);
            let sent: Vec<u8> = (0..2000u32).map(|n| n as u8).collect();
            let mut first = None;
            for (n, part) in sent.chunks(100).enumerate() {
                let due = net.send(conn, 0, Parcel::Bytes(part.to_vec()), Time(n as u64 * 10), &mut rng);
                first = first.or(due);
            }
            net.stall(conn, 0, Time::from_millis(300));
            assert_eq!(drain(&mut net, conn, 0, first.expect("called once"), Time(u64::MAX - 1)), sent, "seed {seed}");
        }
    }

    #[test]
    fn a_partition_holds_the_bytes_and_a_cut_loses_them() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut net = Net::new(2, (1_000, 1_000));
        let conn = net.open([end(0), end(1)]);
        let due = net.send(conn, 0, Parcel::Bytes(vec![1; 10]), Time::ZERO, &mut rng).expect("first");
        net.partition(vec![0, 1]);
        assert!(matches!(net.arrive(conn, 0, due), Arrival::Later(_)));
        net.heal();
        assert!(matches!(net.arrive(conn, 0, due), Arrival::Here { parcel: Parcel::Bytes(_), .. }));
        net.send(conn, 0, Parcel::Bytes(vec![2; 10]), due, &mut rng);
        net.cut(conn, due, &mut rng);
        assert!(matches!(net.arrive(conn, 0, Time::from_millis(50)), Arrival::Here { parcel: Parcel::Reset, .. }));
    }
}
