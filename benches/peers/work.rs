//! The work both contenders do, over a channel of messages: bursts, round trips, and what the receiver checks.

use std::future::Future;
use std::time::Instant;

use crate::Result;

/// First byte of a message: one of a burst.
pub(crate) const DATA: u8 = 0;
/// The last of a burst; answered by an ack with the counts.
pub(crate) const LAST: u8 = 1;
/// Sent back as it came.
pub(crate) const ECHO: u8 = 2;
/// Last byte of every message.
pub(crate) const TRAILER: u8 = 0x5a;

/// An ordered, reliable channel of messages.
pub(crate) trait Channel {
    /// Queues one message; may wait for room.
    fn send(&mut self, message: &[u8]) -> impl Future<Output = Result<()>>;
    /// Queues `n` messages, each made by `number` from its place in the run.
    fn send_run(&mut self, message: &mut [u8], n: u64, number: impl Fn(&mut [u8], u64)) -> impl Future<Output = Result<()>>;
    /// Sees that everything queued leaves.
    fn flush(&mut self) -> impl Future<Output = Result<()>>;
    /// Waits for messages and gives each to `take`.
    fn receive(&mut self, take: impl FnMut(&[u8])) -> impl Future<Output = Result<()>>;
}

/// What a receiver counts and answers.
#[derive(Default)]
pub(crate) struct Receiver {
    next: u64,
    bytes: u64,
    /// Answers to send.
    pub(crate) replies: Vec<[u8; 64]>,
    /// Set by a message that is not what the sender sends next.
    pub(crate) damaged: Option<String>,
}

impl Receiver {
    /// Checks one message.
    #[inline]
    pub(crate) fn take(&mut self, message: &[u8]) {
        if message.len() < 64 || message[message.len() - 1] != TRAILER {
            self.damaged.get_or_insert_with(|| format!("damaged message of {} bytes", message.len()));
            return;
        }
        let mut reply = [TRAILER; 64];
        if message[0] == ECHO {
            reply.copy_from_slice(&message[..64]);
            self.replies.push(reply);
            return;
        }
        let seq = u64::from_le_bytes(message[1..9].try_into().unwrap_or_default());
        if seq != self.next {
            self.damaged.get_or_insert_with(|| format!("message {seq} in place of {}", self.next));
        }
        self.next += 1;
        self.bytes += message.len() as u64;
        if message[0] == LAST {
            reply[0] = LAST;
            reply[8..16].copy_from_slice(&self.next.to_le_bytes());
            reply[16..24].copy_from_slice(&self.bytes.to_le_bytes());
            self.replies.push(reply);
            (self.next, self.bytes) = (0, 0);
        }
    }
}

async fn burst<C: Channel>(channel: &mut C, message: &mut [u8], n: u64) -> Result<()> {
    let number = |message: &mut [u8], i: u64| {
        message[0] = if i + 1 == n { LAST } else { DATA };
        message[1..9].copy_from_slice(&i.to_le_bytes());
    };
    channel.send_run(message, n, number).await?;
    channel.flush().await?;
    let mut confirmed = None;
    while confirmed.is_none() {
        channel.receive(|m| confirmed = Some(u64::from_le_bytes(m[8..16].try_into().unwrap_or_default()))).await?;
    }
    if confirmed == Some(n) { Ok(()) } else { Err(format!("{confirmed:?} of {n} messages confirmed").into()) }
}

/// Messages per second, one way.
pub(crate) async fn throughput<C: Channel>(channel: &mut C, size: usize, secs: f64) -> Result<f64> {
    let mut message = vec![TRAILER; size.max(64)];
    let mut n = 4u64;
    let rate = loop {
        let start = Instant::now();
        burst(channel, &mut message, n).await?;
        let took = start.elapsed().as_secs_f64();
        if took > 0.1 || n >= 1 << 22 {
            break n as f64 / took;
        }
        n *= 2;
    };
    let most = (6u64 << 30) / size as u64;
    let n = ((rate * secs) as u64).clamp(8, most.min(40_000_000));
    let start = Instant::now();
    burst(channel, &mut message, n).await?;
    Ok(n as f64 / start.elapsed().as_secs_f64())
}

/// Messages per second, one way, of just so many.
pub(crate) async fn exactly<C: Channel>(channel: &mut C, size: usize, n: u64) -> Result<f64> {
    let mut message = vec![TRAILER; size.max(64)];
    // The first of a connection pays for its buffers.
    burst(channel, &mut message, n.clamp(1, 64)).await?;
    let start = Instant::now();
    burst(channel, &mut message, n).await?;
    Ok(n as f64 / start.elapsed().as_secs_f64())
}

/// 64 bytes there and back, one at a time: p50 and p99 in microseconds.
pub(crate) async fn round_trips<C: Channel>(channel: &mut C, secs: f64) -> Result<(f64, f64)> {
    let mut message = [TRAILER; 64];
    message[0] = ECHO;
    let (warm_up, mut times) = (500, Vec::with_capacity(100_000));
    let start = Instant::now();
    while times.len() < 100_000 + warm_up && start.elapsed().as_secs_f64() < secs + 0.1 {
        let sent = Instant::now();
        channel.send(&message).await?;
        channel.flush().await?;
        let mut back = false;
        while !back {
            channel.receive(|m| back = m[0] == ECHO).await?;
        }
        times.push(sent.elapsed().as_nanos() as f64 / 1e3);
    }
    let mut times = times.split_off(warm_up.min(times.len() / 2));
    times.sort_unstable_by(f64::total_cmp);
    let at = |q: f64| times.get(((times.len().max(1) - 1) as f64 * q) as usize).copied().unwrap_or(f64::NAN);
    Ok((at(0.5), at(0.99)))
}

/// One 64-byte echo.
pub(crate) async fn one_echo<C: Channel>(channel: &mut C) -> Result<()> {
    let mut message = [TRAILER; 64];
    message[0] = ECHO;
    channel.send(&message).await?;
    channel.flush().await?;
    let mut back = false;
    while !back {
        channel.receive(|_| back = true).await?;
    }
    Ok(())
}

/// Ends the process when the parent closes our standard input or the time is up.
pub(crate) fn die_with_parent() {
    std::thread::spawn(|| {
        let mut byte = [0; 1];
        while matches!(std::io::Read::read(&mut std::io::stdin(), &mut byte), Ok(n) if n > 0) {}
        std::process::exit(0);
    });
}
