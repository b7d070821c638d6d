//! One connection's task after its handshake: read and write side by side until one of them ends. Feeds bytes, decides nothing.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::BytesMut;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::base::{CloseReason, Endpoint, Level, LinkId, PeerId, PeerInfo, limits};
use crate::driver::transport::{Reader, Stream, Writer};
use crate::driver::{Shell, patience};
use crate::mesh::io::Input;
use crate::session::handshaking::draw_kex;
use crate::session::{Established, Progress, RecvHalf, SendHalf, key_update};
use crate::wire::message::KeyUpdate;
use crate::wire::{Inbound, Message};

/// What the rest of the driver holds of a link: its queue and its bell.
#[derive(Debug)]
pub struct LinkShared {
    /// The mesh's number for it.
    pub id: LinkId,
    /// The queue; `None` until the peer is authenticated. A leaf lock: nothing else is locked while it is held.
    pub(super) send: Mutex<Option<SendHalf>>,
    /// Rung when the queue is no longer empty, or the link is to close.
    pub(super) bell: Notify,
    /// Rung when the queue has drained below its soft limit.
    pub(super) room: Notify,
    /// Why the link is to end, once that is settled.
    closing: OnceLock<CloseReason>,
    farewell: Notify,
    /// Rung with it, for whoever reads on or waits before it does.
    read_on: Notify,
    /// The peer has said goodbye and reads nothing any more.
    left: AtomicBool,
    idle: AtomicBool,
    /// Messages received, for the statistics.
    pub(super) frames_received: AtomicU64,
}

impl LinkShared {
    pub(super) fn new(id: LinkId) -> Arc<LinkShared> {
        Arc::new(LinkShared {
            id,
            send: Mutex::new(None),
            bell: Notify::new(),
            room: Notify::new(),
            closing: OnceLock::new(),
            farewell: Notify::new(),
            read_on: Notify::new(),
            left: AtomicBool::new(false),
            idle: AtomicBool::new(false),
            frames_received: AtomicU64::new(0),
        })
    }

    /// Queues a protocol message. `false`: the peer does not read, the link is to be given up.
    pub(super) fn push(&self, message: &Message) -> bool {
        let mut send = self.send.lock();
        let Some(half) = send.as_mut() else { return true };
        // Application messages alone fill the queue up to its limit and one message over it: none of that is the peer's fault.
        let full = limits::LINK_QUEUE_MAX_BYTES + limits::MESSAGE_MAX_BYTES;
        if half.pending() > full + limits::LINK_CONTROL_RESERVE_BYTES {
            return false;
        }
        let was_empty = half.pending() == 0;
        half.push(message);
        drop(send);
        // A heartbeat means nothing else has moved for a while: the buffers go back.
        self.idle.store(matches!(message, Message::Ping { .. } | Message::Pong { .. }), Ordering::Relaxed);
        if was_empty {
            self.bell.notify_one();
        }
        true
    }

    /// Whether the queue takes no more of what can wait.
    pub(super) fn is_full(&self) -> bool {
        self.send.lock().as_ref().is_some_and(|half| half.pending() >= limits::LINK_QUEUE_MAX_BYTES)
    }

    /// Goes on under the next keys: after a fresh agreement with the peer, or by this side alone.
    pub(super) fn rekey(&self, fresh: bool) {
        let mut send = self.send.lock();
        let Some(half) = send.as_mut() else { return };
        match fresh.then(draw_kex) {
            Some(Ok(secrets)) => key_update::renew(half, &secrets),
            // Without random numbers the plain step is what is left.
            Some(Err(_)) | None => half.step(None),
        }
        drop(send);
        self.bell.notify_one();
    }

    /// Takes a step of a key agreement that the peer made.
    fn turn(&self, recv: &mut RecvHalf, update: KeyUpdate) -> Result<bool, CloseReason> {
        let secrets = draw_kex().map_err(|e| CloseReason::Lost(format!("the system has no random numbers: {e}")))?;
        let mut send = self.send.lock();
        let Some(half) = send.as_mut() else { return Ok(false) };
        let renewed = key_update::turn(half, recv, update, &secrets);
        drop(send);
        self.bell.notify_one();
        renewed
    }

    /// Asks the task to say goodbye and end.
    pub(super) fn close(&self, reason: CloseReason) {
        let mut send = self.send.lock();
        // A goodbye is not answered: it would meet a closed socket.
        if let Some(half) = send.as_mut().filter(|_| !self.left.load(Ordering::Relaxed)) {
            half.push(&Message::Close { code: reason.code(), detail: reason.told() });
        }
        // Under the queue's lock: no message is accepted behind the goodbye.
        let _ = self.closing.set(reason);
        drop(send);
        self.bell.notify_one();
        self.farewell.notify_one();
        self.read_on.notify_waiters();
    }

    /// Whether what still comes is only taken off the connection.
    pub(super) fn is_drained(&self) -> bool {
        self.closing.get().is_some_and(|reason| *reason != CloseReason::Duplicate)
    }

    /// Resolves when a close was asked for, perhaps not the first, and this holds.
    pub(super) async fn asked(&self, holds: impl Fn() -> bool) {
        loop {
            let rung = self.read_on.notified();
            if holds() {
                return;
            }
            rung.await;
        }
    }

    /// Resolves when the link is to end, with the reason.
    pub(super) async fn closed_on_request(&self) -> CloseReason {
        self.farewell.notified().await;
        self.closing.get().cloned().unwrap_or(CloseReason::Shutdown)
    }
}

/// The end of a connection's task, however it comes: reached, cancelled with its runtime, or by a panic. Told exactly once.
#[derive(Debug)]
pub(super) struct Ending {
    shell: Arc<Shell>,
    link: Arc<LinkShared>,
    dialling: bool,
    /// The key the dial named.
    expected: Option<PeerId>,
    /// Where the dial went.
    dialled_at: Option<Endpoint>,
    reason: Option<CloseReason>,
}

impl Ending {
    pub(super) fn new(shell: &Arc<Shell>, link: &Arc<LinkShared>, dialling: bool) -> Ending {
        Ending { shell: shell.clone(), link: link.clone(), dialling, expected: None, dialled_at: None, reason: None }
    }

    /// The dial named an address and, it may be, a key.
    pub(super) fn wanting(mut self, endpoint: Endpoint, expected: Option<PeerId>) -> Ending {
        (self.dialled_at, self.expected) = (Some(endpoint), expected);
        self
    }

    /// Settles the reason.
    pub(super) fn because(&mut self, reason: CloseReason) {
        self.reason = Some(reason);
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let link = self.link.id;
        let reason = self.reason.take().unwrap_or_else(|| {
            let why = if std::thread::panicking() { "its task panicked" } else { "the runtime it ran on is gone" };
            self.link.closing.get().cloned().unwrap_or(CloseReason::Lost(why.into()))
        });
        let _ = self.link.closing.set(reason.clone());
        let sent = self.link.send.lock().take().map_or(0, |half| half.frames());
        self.link.room.notify_waiters();
        let ended = if self.dialling { Input::DialFailed { link, reason } } else { Input::LinkClosed { link, reason } };
        self.shell.step(ended);
        self.shell.forget(link, sent);
    }
}

/// Runs an authenticated connection to its end.
pub(super) async fn run(
    shell: &Arc<Shell>,
    link: &Arc<LinkShared>,
    mut stream: Stream,
    (established, input): (Box<Established>, BytesMut),
    ending: &mut Ending,
) {
    let Established { peer, suite, send, recv, early } = *established;
    shell.write_log(Level::Debug, || format!("{} with {}: {suite}", link.id, peer.id.short()));
    let dialled = std::mem::replace(&mut ending.dialling, false);
    *link.send.lock() = Some(send);
    pin(shell, &peer, ending.expected).await;
    let id = peer.id;
    shell.step(Input::Authenticated { link: link.id, peer });
    if let Some(endpoint) = ending.dialled_at.take().filter(|_| shell.route_to(&id).is_some()) {
        shell.note_address(|book| book.met(&endpoint, id));
    }
    if !early.is_empty() {
        shell.step(Input::Received { link: link.id, items: early });
    }
    if dialled {
        // The application has its turn: what it says at once goes out with what the mesh says first.
        tokio::task::yield_now().await;
    }
    ending.because(carry(shell, link, &mut stream, recv, input).await);
}

/// Writes down the peer's key if that comes before it is let in, on a thread that may wait for the disk.
async fn pin(shell: &Arc<Shell>, peer: &PeerInfo, expected: Option<PeerId>) {
    if !shell.keeper.must_pin(peer, expected) {
        return;
    }
    let (theirs, info) = (shell.clone(), peer.clone());
    let pinned = if shell.keeper.is_in_memory() {
        shell.keeper.pin(peer, expected)
    } else {
        // Without a thread there is no pin, and the mesh refuses the peer.
        tokio::task::spawn_blocking(move || theirs.keeper.pin(&info, expected)).await.ok().flatten()
    };
    if let Some((table, told)) = pinned {
        shell.emit(told);
        shell.step(Input::Trust { table });
    }
}

/// Reads and writes until the connection ends; the reason why.
async fn carry(shell: &Arc<Shell>, link: &Arc<LinkShared>, stream: &mut Stream, recv: RecvHalf, input: BytesMut) -> CloseReason {
    let (mut reader, mut writer) = stream.split();
    let reason = {
        let out = async {
            tokio::select! {
                // The writer says goodbye, as a rule at once and with no timer.
                biased;
                reason = write(shell, link, &mut writer) => reason,
                // A peer that does not read has this long to take it.
                reason = async {
                    let reason = link.closed_on_request().await;
                    tokio::time::sleep(patience::grace(&reason).0).await;
                    reason
                } => reason,
            }
        };
        let (mut out, mut reading) = (pin!(out), pin!(read(shell, link, &mut reader, recv, input)));
        tokio::select! {
            reason = &mut out => {
                patience::drain(shell, link, &reason, reading).await;
                return reason;
            }
            // The other side is done, and this one was told to end: what is queued still goes out.
            reason = &mut reading => if link.closing.get().is_some() { return out.await } else { reason },
        }
    };
    // What the mesh still wanted to say (a Close with the reason) goes out if the socket takes it at once.
    link.close(reason.clone());
    let mut last = Vec::new();
    if let Some(half) = link.send.lock().as_mut() {
        half.take(&mut last);
    }
    if !last.is_empty() {
        writer.write_now(&last);
    }
    reason
}

async fn write(shell: &Shell, link: &LinkShared, writer: &mut Writer<'_>) -> CloseReason {
    let mut buffer = Vec::new();
    loop {
        loop {
            let last = {
                let mut send = link.send.lock();
                match send.as_mut() {
                    Some(half) if half.pending() > 0 => half.take(&mut buffer),
                    _ => break,
                }
                // Settled under this lock: nothing comes behind the goodbye.
                link.closing.get().is_some()
            };
            link.room.notify_waiters();
            let written = if last { writer.write_last(&buffer).await } else { writer.write_all(&buffer).await };
            if let Err(e) = written {
                return link.closing.get().cloned().unwrap_or(CloseReason::Lost(e.to_string()));
            }
            shell.count_sent(buffer.len());
            buffer.clear();
        }
        if let Some(reason) = link.closing.get() {
            let _ = writer.shutdown().await;
            return reason.clone();
        }
        if link.idle.load(Ordering::Relaxed) {
            buffer = Vec::new();
        }
        link.bell.notified().await;
    }
}

async fn read(shell: &Arc<Shell>, link: &LinkShared, reader: &mut Reader<'_>, mut recv: RecvHalf, mut input: BytesMut) -> CloseReason {
    let mut chunk = limits::READ_BUFFER_MIN_BYTES;
    loop {
        let mut items = Vec::new();
        let before = input.len();
        let received = receive(link, &mut recv, &mut input, &mut items);
        let had_data = detach_crumbs(&mut items, before - input.len());
        if !items.is_empty() {
            if items.iter().any(|item| matches!(item, Inbound::Message(Message::Close { .. }))) {
                link.left.store(true, Ordering::Relaxed);
            }
            link.frames_received.store(recv.frames(), Ordering::Relaxed);
            shell.step(Input::Received { link: link.id, items });
        }
        if let Err(reason) = received {
            return reason;
        }
        if had_data {
            patience::wait_for_room(shell, link).await;
        }
        if link.idle.load(Ordering::Relaxed) && input.is_empty() {
            chunk = limits::READ_BUFFER_MIN_BYTES;
            input = BytesMut::new();
            recv.relax();
        }
        input.reserve(chunk);
        match reader.read_buf(&mut input).await {
            Ok(0) => return CloseReason::Lost("closed by the other side".into()),
            Ok(n) => {
                shell.count_received(n);
                if n >= chunk {
                    chunk = (chunk * 2).min(limits::READ_BUFFER_MAX_BYTES);
                }
            }
            Err(e) => return CloseReason::Lost(e.to_string()),
        }
    }
}

/// Takes every whole record, key updates among them.
fn receive(link: &LinkShared, recv: &mut RecvHalf, input: &mut BytesMut, items: &mut Vec<Inbound>) -> Result<(), CloseReason> {
    while let Progress::KeyUpdate(update) = recv.receive(input, items)? {
        if link.turn(recv, update)? {
            items.push(Inbound::FreshKeys);
        }
    }
    Ok(())
}

/// Whether there are messages for the application. If they are a small part of what was read, they leave its buffer: a peer
/// must not have a whole buffer kept for every byte the application has not taken.
fn detach_crumbs(items: &mut [Inbound], read: usize) -> bool {
    let batches = || items.iter().filter_map(|item| if let Inbound::Data(batch) = item { Some(batch.bytes()) } else { None });
    let (count, bytes) = (batches().count(), batches().sum::<usize>());
    if bytes < read / 4 {
        items.iter_mut().for_each(|item| {
            if let Inbound::Data(batch) = item {
                batch.detach();
            }
        });
    }
    count > 0
}

/// The way to send application messages to one connected peer. Cheap to clone; dies with the link.
#[derive(Clone, Debug)]
pub struct PeerSender {
    /// Whom.
    pub peer: PeerId,
    pub(crate) link: Arc<LinkShared>,
}

/// Messages queued under one lock; the writer is woken when it is dropped.
#[derive(Debug)]
pub struct Batch<'a> {
    send: parking_lot::MutexGuard<'a, Option<SendHalf>>,
    link: &'a LinkShared,
    /// Whether the writer has to be told: what was queued before it knows of.
    was_empty: bool,
}

mod sender {
    use super::{Batch, PeerSender, limits};
    use crate::base::{Error, Result};

    fn check(len: usize) -> Result<()> {
        if len > limits::MESSAGE_MAX_BYTES {
            return Err(Error::TooLarge { what: "message", got: len, max: limits::MESSAGE_MAX_BYTES });
        }
        Ok(())
    }

    impl PeerSender {
        /// Queues a message, or says [`Error::WouldBlock`] and takes nothing.
        pub fn try_send(&self, payload: &[u8]) -> Result<()> {
            self.batch()?.push(payload)
        }

        /// Queues a message, waiting while the queue is over its soft limit.
        pub async fn send(&self, payload: &[u8]) -> Result<()> {
            self.ready().await?;
            self.try_send(payload)
        }

        /// Waits until the queue is below its soft limit, giving the writer its turn.
        pub async fn ready(&self) -> Result<()> {
            loop {
                let room = self.link.room.notified();
                match self.link.send.lock().as_ref() {
                    None => return Err(Error::NotConnected(self.peer)),
                    Some(half) if half.pending() < limits::LINK_QUEUE_SOFT_BYTES => return Ok(()),
                    Some(_) => {}
                }
                room.await;
            }
        }

        /// Bytes that wait to be written to the connection.
        pub fn queued(&self) -> usize {
            self.link.send.lock().as_ref().map_or(0, crate::session::SendHalf::pending)
        }

        /// Locks the queue for a run of messages. While the batch lives, the same thread calls nothing else of the node, or waits
        /// for itself; a batch is held for as long as it takes to fill it and not longer.
        pub fn batch(&self) -> Result<Batch<'_>> {
            let send = self.link.send.lock();
            if send.is_none() || self.link.closing.get().is_some() {
                return Err(Error::NotConnected(self.peer));
            }
            let was_empty = send.as_ref().is_some_and(|half| half.pending() == 0);
            Ok(Batch { send, link: &self.link, was_empty })
        }
    }

    impl Batch<'_> {
        /// Queues a message, or says [`Error::WouldBlock`] and takes nothing.
        #[inline]
        pub fn push(&mut self, payload: &[u8]) -> Result<()> {
            let Some(half) = self.send.as_mut() else { return Err(Error::Stopped) };
            if half.pending() >= limits::LINK_QUEUE_MAX_BYTES {
                return Err(Error::WouldBlock);
            }
            check(payload.len())?;
            half.push_data(payload);
            Ok(())
        }

        /// Whether the queue is over its soft limit: a good moment to let the writer work.
        #[inline]
        pub fn is_full(&self) -> bool {
            self.send.as_ref().is_none_or(|half| half.pending() >= limits::LINK_QUEUE_SOFT_BYTES)
        }
    }

    impl Drop for Batch<'_> {
        fn drop(&mut self) {
            self.link.idle.store(false, std::sync::atomic::Ordering::Relaxed);
            if self.was_empty {
                self.link.bell.notify_one();
            }
        }
    }
}
