//! One event as C sees it: a kind and accessors. Text is made when asked for. Never adds an event of its own.

use std::ffi::{CString, c_char, c_void};
use std::sync::OnceLock;

use bytes::Bytes;

use crate::base::{Direction, Endpoint, Event, LogId, PeerId, event::printable};
use crate::ffi::boundary::{Failure, c_text, guard, guard_or, write_optional, write_out};
use crate::ffi::event_kind::vixp2p_event_kind;
use crate::ffi::event_kind::vixp2p_event_kind as Kind;
use crate::ffi::status::{VIXP2P_EMPTY, VIXP2P_ERR_BAD_HANDLE, VIXP2P_OK, vixp2p_status};
use crate::ffi::types::{vixp2p_log_id, vixp2p_peer_id};

/// Who opened a connection.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum vixp2p_direction {
    /// The event or peer has none.
    VIXP2P_DIRECTION_NONE = 0,
    /// This node dialled.
    VIXP2P_DIRECTION_OUTBOUND = 1,
    /// The peer dialled.
    VIXP2P_DIRECTION_INBOUND = 2,
}

impl From<Direction> for vixp2p_direction {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::Outbound => vixp2p_direction::VIXP2P_DIRECTION_OUTBOUND,
            Direction::Inbound => vixp2p_direction::VIXP2P_DIRECTION_INBOUND,
        }
    }
}

/// An event. What its accessors return stays valid until it is freed; inside a callback, until the callback returns.
#[derive(Debug)]
pub struct vixp2p_event {
    body: Body,
    /// Whether vixp2p_event_free() ends it; a callback only borrows its event.
    owned: bool,
    node_id: OnceLock<CString>,
    endpoint: OnceLock<CString>,
    reason: OnceLock<CString>,
    reason_text: OnceLock<CString>,
    text: OnceLock<CString>,
    json: OnceLock<CString>,
}

#[derive(Debug)]
enum Body {
    Event(Event),
    Message(PeerId, Bytes),
}

impl vixp2p_event {
    fn new(body: Body, owned: bool) -> vixp2p_event {
        vixp2p_event {
            body,
            owned,
            node_id: OnceLock::new(),
            endpoint: OnceLock::new(),
            reason: OnceLock::new(),
            reason_text: OnceLock::new(),
            text: OnceLock::new(),
            json: OnceLock::new(),
        }
    }

    /// An event for the length of a callback.
    pub(super) fn lent(event: Event) -> vixp2p_event {
        vixp2p_event::new(Body::Event(event), false)
    }

    /// An event the caller frees.
    pub(super) fn given(event: Event) -> *mut vixp2p_event {
        Box::into_raw(Box::new(vixp2p_event::new(Body::Event(event), true)))
    }

    /// A message as an event the caller frees.
    pub(super) fn given_message(peer: PeerId, data: Bytes) -> *mut vixp2p_event {
        Box::into_raw(Box::new(vixp2p_event::new(Body::Message(peer, data), true)))
    }

    pub(super) fn event(&self) -> Option<&Event> {
        match &self.body {
            Body::Event(event) => Some(event),
            Body::Message(..) => None,
        }
    }

    fn kind(&self) -> Kind {
        let Some(event) = self.event() else { return Kind::VIXP2P_EVENT_MESSAGE };
        match event {
            Event::Delivered { .. } => Kind::VIXP2P_EVENT_DELIVERED,
            Event::Undelivered { .. } => Kind::VIXP2P_EVENT_UNDELIVERED,
            Event::Started { .. } => Kind::VIXP2P_EVENT_STARTED,
            Event::Stopped => Kind::VIXP2P_EVENT_STOPPED,
            Event::ConnectFailed { .. } => Kind::VIXP2P_EVENT_CONNECT_FAILED,
            Event::HandshakeFailed { .. } => Kind::VIXP2P_EVENT_HANDSHAKE_FAILED,
            Event::PeerConnected { .. } => Kind::VIXP2P_EVENT_PEER_CONNECTED,
            Event::PeerDisconnected { .. } => Kind::VIXP2P_EVENT_PEER_DISCONNECTED,
            Event::Data { .. } => Kind::VIXP2P_EVENT_MESSAGE,
            Event::Acked { .. } => Kind::VIXP2P_EVENT_ACKED,
            Event::Stored { .. } => Kind::VIXP2P_EVENT_STORED,
            Event::LogDamaged { .. } => Kind::VIXP2P_EVENT_LOG_DAMAGED,
            Event::LogForked { .. } => Kind::VIXP2P_EVENT_LOG_FORKED,
            Event::ApplyRefused { .. } => Kind::VIXP2P_EVENT_APPLY_REFUSED,
            Event::ApplyParked { .. } => Kind::VIXP2P_EVENT_APPLY_PARKED,
            Event::ApplyResumed { .. } => Kind::VIXP2P_EVENT_APPLY_RESUMED,
            Event::LogFailed { .. } => Kind::VIXP2P_EVENT_LOG_FAILED,
            Event::Lost { .. } => Kind::VIXP2P_EVENT_LOST,
            Event::Fatal { .. } => Kind::VIXP2P_EVENT_FATAL,
            Event::PeerPinned { .. } => Kind::VIXP2P_EVENT_PEER_PINNED,
            Event::IdentityChanged { .. } => Kind::VIXP2P_EVENT_IDENTITY_CHANGED,
            Event::TrustChanged { .. } => Kind::VIXP2P_EVENT_TRUST_CHANGED,
            Event::SyncDeclined { .. } => Kind::VIXP2P_EVENT_SYNC_DECLINED,
            Event::AddressBookFaulty { .. } => Kind::VIXP2P_EVENT_ADDRESS_BOOK_FAULTY,
            Event::KnownPeersFaulty { .. } => Kind::VIXP2P_EVENT_KNOWN_PEERS_FAULTY,
            Event::FreshKeys { .. } => Kind::VIXP2P_EVENT_FRESH_KEYS,
            Event::PeerDiscovered { .. } => Kind::VIXP2P_EVENT_PEER_DISCOVERED,
            Event::PeerStale { .. } => Kind::VIXP2P_EVENT_PEER_STALE,
            Event::PeerNamed { .. } => Kind::VIXP2P_EVENT_PEER_NAMED,
            Event::RegistryAnswered { .. } => Kind::VIXP2P_EVENT_REGISTRY_ANSWERED,
            Event::RegistryFailed { .. } => Kind::VIXP2P_EVENT_REGISTRY_FAILED,
            Event::ApplicationBehind { .. } => Kind::VIXP2P_EVENT_APPLICATION_BEHIND,
            Event::Ping { .. } => Kind::VIXP2P_EVENT_PING,
            Event::Pong { .. } => Kind::VIXP2P_EVENT_PONG,
            Event::OutboxPulled { .. } => Kind::VIXP2P_EVENT_OUTBOX_PULLED,
            Event::OutboxHeld { .. } => Kind::VIXP2P_EVENT_OUTBOX_HELD,
            Event::SnapshotMade { .. } => Kind::VIXP2P_EVENT_SNAPSHOT_MADE,
            Event::SnapshotTaken { .. } => Kind::VIXP2P_EVENT_SNAPSHOT_TAKEN,
            Event::LogTruncated { .. } => Kind::VIXP2P_EVENT_LOG_TRUNCATED,
            Event::SnapshotNeeded { .. } => Kind::VIXP2P_EVENT_SNAPSHOT_NEEDED,
        }
    }

    fn peer(&self) -> Option<PeerId> {
        match &self.body {
            Body::Message(peer, _)
            | Body::Event(
                Event::PeerConnected { peer, .. }
                | Event::PeerDisconnected { peer, .. }
                | Event::Data { peer, .. }
                | Event::FreshKeys { peer }
                | Event::PeerStale { peer, .. }
                | Event::Ping { peer, .. }
                | Event::Pong { peer, .. }
                | Event::Acked { peer, .. }
                | Event::PeerPinned { peer, .. }
                | Event::IdentityChanged { peer, .. }
                | Event::TrustChanged { peer, .. }
                | Event::Delivered { peer, .. }
                | Event::Undelivered { peer, .. }
                | Event::OutboxPulled { peer, .. }
                | Event::OutboxHeld { peer, .. }
                | Event::SnapshotTaken { peer, .. }
                | Event::SnapshotNeeded { peer, .. }
                | Event::SyncDeclined { peer, .. },
            ) => Some(*peer),
            Body::Event(Event::ConnectFailed { peer, .. }) => *peer,
            Body::Event(_) => None,
        }
    }

    fn node_id(&self) -> Option<&str> {
        match self.event()? {
            Event::PeerConnected { node_id, .. }
            | Event::PeerDisconnected { node_id, .. }
            | Event::PeerPinned { node_id, .. }
            | Event::IdentityChanged { node_id, .. }
            | Event::TrustChanged { node_id, .. }
            | Event::PeerDiscovered { node_id, .. }
            | Event::PeerStale { node_id, .. }
            | Event::PeerNamed { node_id, .. }
            | Event::SyncDeclined { node_id, .. } => Some(node_id),
            _ => None,
        }
    }

    fn endpoint(&self) -> Option<&Endpoint> {
        match self.event()? {
            Event::ConnectFailed { endpoint, .. }
            | Event::HandshakeFailed { endpoint, .. }
            | Event::PeerConnected { endpoint, .. }
            | Event::PeerDisconnected { endpoint, .. }
            | Event::PeerDiscovered { endpoint, .. }
            | Event::PeerNamed { endpoint, .. }
            | Event::IdentityChanged { endpoint, .. } => Some(endpoint),
            _ => None,
        }
    }

    fn direction(&self) -> Option<Direction> {
        match self.event()? {
            Event::HandshakeFailed { direction, .. }
            | Event::PeerConnected { direction, .. }
            | Event::PeerDisconnected { direction, .. }
            | Event::Ping { direction, .. }
            | Event::Pong { direction, .. }
            | Event::IdentityChanged { direction, .. } => Some(*direction),
            _ => None,
        }
    }

    /// The reason's name and its sentence.
    fn reason(&self) -> Option<(&'static str, String)> {
        match self.event()? {
            Event::ConnectFailed { reason, .. } | Event::HandshakeFailed { reason, .. } | Event::PeerDisconnected { reason, .. } => {
                Some((reason.name(), reason.to_string()))
            }
            Event::Undelivered { reason, .. } => Some((reason.name(), reason.to_string())),
            _ => None,
        }
    }

    fn former(&self) -> Option<PeerId> {
        match self.event()? {
            Event::PeerPinned { former, .. } => *former,
            Event::IdentityChanged { former, .. } => Some(*former),
            _ => None,
        }
    }

    fn log(&self) -> Option<LogId> {
        match self.event()? {
            Event::Acked { log, .. } | Event::Stored { log, .. } | Event::LogForked { log, .. } | Event::ApplyRefused { log, .. } => {
                Some(*log)
            }
            Event::ApplyParked { log, .. } | Event::ApplyResumed { log, .. } | Event::LogTruncated { log, .. } => Some(*log),
            _ => None,
        }
    }

    fn text(&self) -> String {
        match &self.body {
            Body::Event(event) => event.to_string(),
            Body::Message(peer, data) => format!("message of {} bytes from {}", data.len(), peer.short()),
        }
    }

    fn json(&self) -> String {
        match &self.body {
            Body::Event(event) => event.to_json(),
            Body::Message(peer, data) => serde_json::json!({ "event": "message", "peer": peer, "bytes": data.len() }).to_string(),
        }
    }
}

/// Reads an event, or says which function got NULL.
///
/// # Safety
/// `event` is NULL or an event of this library that has not been freed.
pub(super) unsafe fn look<T>(function: &str, event: *const vixp2p_event, otherwise: T, read: impl FnOnce(&vixp2p_event) -> T) -> T {
    guard_or(function, otherwise, || {
        // SAFETY: the caller's promise.
        let event = unsafe { event.as_ref() };
        event.map(read).ok_or_else(|| Failure::new(VIXP2P_ERR_BAD_HANDLE, "event is NULL"))
    })
}

/// A part of the event as C text, made once.
fn part(place: &OnceLock<CString>, text: Option<String>) -> *const c_char {
    text.map_or(std::ptr::null(), |text| place.get_or_init(|| c_text(&text)).as_ptr())
}

/// What happened.
///
/// @param event  the event.
/// @return its kind; VIXP2P_EVENT_NONE if the event is NULL. Later versions may add kinds: ignore unknown ones.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_event_get_kind(event: *const vixp2p_event) -> vixp2p_event_kind {
    // SAFETY: the caller promises NULL or a live event.
    unsafe { look("vixp2p_event_get_kind", event, Kind::VIXP2P_EVENT_NONE, vixp2p_event::kind) }
}

/// The peer the event is about.
///
/// @param event  the event.
/// @param out    where the peer id goes.
/// @return VIXP2P_OK, VIXP2P_EMPTY if the event has no peer, or an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_event_peer(event: *const vixp2p_event, out: *mut vixp2p_peer_id) -> vixp2p_status {
    guard("vixp2p_event_peer", || {
        // SAFETY: the caller promises NULL or a live event, and NULL or a place for the result.
        let event = unsafe { event.as_ref() }.ok_or_else(|| Failure::new(VIXP2P_ERR_BAD_HANDLE, "event is NULL"))?;
        let Some(peer) = event.peer() else { return Ok(VIXP2P_EMPTY) };
        // SAFETY: as above.
        unsafe { write_out(out, peer.into(), "out") }?;
        Ok(VIXP2P_OK)
    })
}

/// The key that was there before: whose place the peer takes, or to whom its node_id belongs.
///
/// @param event  the event.
/// @param out    where the peer id goes.
/// @return VIXP2P_OK, VIXP2P_EMPTY if the event has none, or an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_event_former(event: *const vixp2p_event, out: *mut vixp2p_peer_id) -> vixp2p_status {
    guard("vixp2p_event_former", || {
        // SAFETY: the caller promises NULL or a live event, and NULL or a place for the result.
        let event = unsafe { event.as_ref() }.ok_or_else(|| Failure::new(VIXP2P_ERR_BAD_HANDLE, "event is NULL"))?;
        let Some(former) = event.former() else { return Ok(VIXP2P_EMPTY) };
        // SAFETY: as above.
        unsafe { write_out(out, former.into(), "out") }?;
        Ok(VIXP2P_OK)
    })
}

/// The label the peer gave itself. It names no authority; the peer id does.
///
/// @param event  the event.
/// @return text without control characters, or NULL if the event has none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_event_node_id(event: *const vixp2p_event) -> *const c_char {
    // SAFETY: the caller promises NULL or a live event.
    unsafe { look("vixp2p_event_node_id", event, std::ptr::null(), |e| part(&e.node_id, e.node_id().map(printable))) }
}

/// The other end's address.
///
/// @param event  the event.
/// @return text such as "tcp://192.0.2.7:9001", or NULL if the event has none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_event_endpoint(event: *const vixp2p_event) -> *const c_char {
    // SAFETY: the caller promises NULL or a live event.
    unsafe { look("vixp2p_event_endpoint", event, std::ptr::null(), |e| part(&e.endpoint, e.endpoint().map(Endpoint::to_string))) }
}

/// Who opened the connection.
///
/// @param event  the event.
/// @return the direction; VIXP2P_DIRECTION_NONE if the event has none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_event_direction(event: *const vixp2p_event) -> vixp2p_direction {
    let none = vixp2p_direction::VIXP2P_DIRECTION_NONE;
    // SAFETY: the caller promises NULL or a live event.
    unsafe { look("vixp2p_event_direction", event, none, |e| e.direction().map_or(none, Into::into)) }
}

/// Why a connection was not made or ended, or a message was given up: a stable name for programs, such as "max_peers".
///
/// @param event  the event.
/// @return the name, or NULL if the event has none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_event_reason(event: *const vixp2p_event) -> *const c_char {
    // SAFETY: the caller promises NULL or a live event.
    unsafe { look("vixp2p_event_reason", event, std::ptr::null(), |e| part(&e.reason, e.reason().map(|(name, _)| name.to_owned()))) }
}

/// Why a connection was not made or ended, or a message was given up: a sentence for people.
///
/// @param event  the event.
/// @return the sentence, or NULL if the event has none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_event_reason_text(event: *const vixp2p_event) -> *const c_char {
    // SAFETY: the caller promises NULL or a live event.
    unsafe { look("vixp2p_event_reason_text", event, std::ptr::null(), |e| part(&e.reason_text, e.reason().map(|(_, text)| text))) }
}

/// The bytes of a message.
///
/// @param event    the event.
/// @param out_len  where their number goes; may be NULL.
/// @return the first byte, or NULL (and a length of 0) if the event is no message. Not NULL for an empty message.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_event_data(event: *const vixp2p_event, out_len: *mut usize) -> *const c_void {
    // SAFETY: the caller promises NULL or a place for a length.
    unsafe { write_optional(out_len, 0) };
    let read = |event: &vixp2p_event| match &event.body {
        Body::Message(_, data) => {
            // SAFETY: as above.
            unsafe { write_optional(out_len, data.len()) };
            data.as_ptr().cast()
        }
        Body::Event(_) => std::ptr::null(),
    };
    // SAFETY: the caller promises NULL or a live event.
    unsafe { look("vixp2p_event_data", event, std::ptr::null(), read) }
}

/// The log the event is about.
///
/// @param event  the event.
/// @param out    where the log id goes.
/// @return VIXP2P_OK, VIXP2P_EMPTY if the event has no log, or an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_event_log(event: *const vixp2p_event, out: *mut vixp2p_log_id) -> vixp2p_status {
    guard("vixp2p_event_log", || {
        // SAFETY: the caller promises NULL or a live event, and NULL or a place for the result.
        let event = unsafe { event.as_ref() }.ok_or_else(|| Failure::new(VIXP2P_ERR_BAD_HANDLE, "event is NULL"))?;
        let Some(log) = event.log() else { return Ok(VIXP2P_EMPTY) };
        // SAFETY: as above.
        unsafe { write_out(out, log.into(), "out") }?;
        Ok(VIXP2P_OK)
    })
}

/// The event as one sentence for people.
///
/// @param event  the event.
/// @return the sentence; NULL only if the event is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_event_text(event: *const vixp2p_event) -> *const c_char {
    // SAFETY: the caller promises NULL or a live event.
    unsafe { look("vixp2p_event_text", event, std::ptr::null(), |e| e.text.get_or_init(|| c_text(&e.text())).as_ptr()) }
}

/// The event as one JSON object on one line.
///
/// @param event  the event.
/// @return the JSON text; NULL only if the event is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_event_json(event: *const vixp2p_event) -> *const c_char {
    // SAFETY: the caller promises NULL or a live event.
    unsafe { look("vixp2p_event_json", event, std::ptr::null(), |e| e.json.get_or_init(|| c_text(&e.json())).as_ptr()) }
}

/// Frees an event that vixp2p_node_next_event() or vixp2p_node_wait_event() gave. Does nothing for NULL, and nothing for the
/// event of a callback, which the library keeps.
///
/// @param event  the event; not used again afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_event_free(event: *mut vixp2p_event) {
    guard_or("vixp2p_event_free", (), || {
        // SAFETY: the caller promises NULL or a live event.
        if unsafe { event.as_ref() }.is_some_and(|event| event.owned) {
            // SAFETY: owned events come from Box::into_raw, and the caller gives this one up.
            drop(unsafe { Box::from_raw(event) });
        }
        Ok(())
    });
}

#[cfg(test)]
mod tests;
