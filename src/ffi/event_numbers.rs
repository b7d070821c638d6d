//! The numbers of an event. Never makes one up: an event without it answers what the comment says.

use crate::base::Event;
use crate::ffi::event::{look, vixp2p_event};

/// The port a started node listens on.
///
/// @param event  the event.
/// @return the port; 0 if the node does not listen or the event has none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_event_port(event: *const vixp2p_event) -> u16 {
    let read = |event: &vixp2p_event| if let Some(Event::Started { port }) = event.event() { *port } else { 0 };
    // SAFETY: the caller promises NULL or a live event.
    unsafe { look("vixp2p_event_port", event, 0, read) }
}

/// How many peers are connected after a peer came or went.
///
/// @param event  the event.
/// @return the number; 0 if the event has none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_event_connected(event: *const vixp2p_event) -> u64 {
    let read = |event: &vixp2p_event| match event.event() {
        Some(Event::PeerConnected { connected, .. } | Event::PeerDisconnected { connected, .. }) => *connected as u64,
        _ => 0,
    };
    // SAFETY: the caller promises NULL or a live event.
    unsafe { look("vixp2p_event_connected", event, 0, read) }
}

/// The highest durable record of the event's log: at the peer (VIXP2P_EVENT_ACKED) or here (VIXP2P_EVENT_STORED).
///
/// @param event  the event.
/// @return the record's number; 0 if the event has none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_event_durable(event: *const vixp2p_event) -> u64 {
    let read = |event: &vixp2p_event| match event.event() {
        Some(Event::Acked { durable, .. } | Event::Stored { durable, .. }) => *durable,
        _ => 0,
    };
    // SAFETY: the caller promises NULL or a live event.
    unsafe { look("vixp2p_event_durable", event, 0, read) }
}

/// The highest record of the event's log that the peer has applied.
///
/// @param event  the event.
/// @return the record's number; 0 if the event has none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_event_applied(event: *const vixp2p_event) -> u64 {
    let read = |event: &vixp2p_event| if let Some(Event::Acked { applied, .. }) = event.event() { *applied } else { 0 };
    // SAFETY: the caller promises NULL or a live event.
    unsafe { look("vixp2p_event_applied", event, 0, read) }
}

/// The record a fork, a refusal, a parked or truncated log or a snapshot that was taken in is about.
///
/// @param event  the event.
/// @return the record's number; 0 if the event has none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_event_seq(event: *const vixp2p_event) -> u64 {
    let read = |event: &vixp2p_event| match event.event() {
        Some(Event::LogForked { seq, .. } | Event::ApplyRefused { seq, .. }) => *seq,
        Some(Event::ApplyParked { seq, .. } | Event::ApplyResumed { seq, .. }) => *seq,
        Some(Event::SnapshotTaken { seq, .. } | Event::LogTruncated { seq, .. }) => *seq,
        _ => 0,
    };
    // SAFETY: the caller promises NULL or a live event.
    unsafe { look("vixp2p_event_seq", event, 0, read) }
}

/// When the next attempt is due, after a failed dial, a refused record or a registry that failed.
///
/// @param event  the event.
/// @return milliseconds; -1 if there will be no further attempt or the event has none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_event_retry_in_ms(event: *const vixp2p_event) -> i64 {
    let read = |event: &vixp2p_event| match event.event() {
        Some(
            Event::ConnectFailed { retry_in_ms: Some(ms), .. }
            | Event::RegistryFailed { retry_in_ms: Some(ms), .. }
            | Event::ApplyRefused { retry_in_ms: ms, .. },
        ) => *ms as i64,
        _ => -1,
    };
    // SAFETY: the caller promises NULL or a live event.
    unsafe { look("vixp2p_event_retry_in_ms", event, -1, read) }
}

/// The message that has arrived or was given up.
///
/// @param event  the event.
/// @return the number vixp2p_node_send_to() gave it; 0 if the event has none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_event_message_number(event: *const vixp2p_event) -> u64 {
    let read = |event: &vixp2p_event| match event.event() {
        Some(Event::Delivered { message, .. } | Event::Undelivered { message, .. }) => *message,
        _ => 0,
    };
    // SAFETY: the caller promises NULL or a live event.
    unsafe { look("vixp2p_event_message_number", event, 0, read) }
}

/// How many events were dropped (VIXP2P_EVENT_LOST), peers the registry named (VIXP2P_EVENT_REGISTRY_ANSWERED), or links were not read
/// (VIXP2P_EVENT_APPLICATION_BEHIND).
///
/// @param event  the event.
/// @return the number; 0 if the event has none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_event_count(event: *const vixp2p_event) -> u64 {
    let read = |event: &vixp2p_event| match event.event() {
        Some(Event::Lost { count }) => *count,
        Some(Event::RegistryAnswered { count, .. } | Event::ApplicationBehind { count, .. }) => *count as u64,
        Some(Event::OutboxPulled { max_items, .. }) => u64::from(*max_items),
        Some(Event::OutboxHeld { ranges, .. }) => ranges.len() as u64,
        Some(Event::SnapshotNeeded { count, .. }) => *count,
        _ => 0,
    };
    // SAFETY: the caller promises NULL or a live event.
    unsafe { look("vixp2p_event_count", event, 0, read) }
}

/// Bytes of the state of a snapshot that was made or taken in.
///
/// @param event  the event.
/// @return the number; 0 if the event has none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_event_bytes(event: *const vixp2p_event) -> u64 {
    let read = |event: &vixp2p_event| match event.event() {
        Some(Event::SnapshotMade { bytes, .. } | Event::SnapshotTaken { bytes, .. }) => *bytes,
        _ => 0,
    };
    // SAFETY: the caller promises NULL or a live event.
    unsafe { look("vixp2p_event_bytes", event, 0, read) }
}

/// How many of the peers the registry named its last answer did not name.
///
/// @param event  the event.
/// @return the number; 0 if the event has none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_event_new_count(event: *const vixp2p_event) -> u64 {
    let read = |event: &vixp2p_event| match event.event() {
        Some(Event::RegistryAnswered { new_count, .. }) => *new_count as u64,
        _ => 0,
    };
    // SAFETY: the caller promises NULL or a live event.
    unsafe { look("vixp2p_event_new_count", event, 0, read) }
}

/// Whether records are exchanged with the peer the event is about: after it connected, or from now on.
///
/// @param event  the event.
/// @return 1 for yes, 0 for no; -1 if the event says nothing about it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vixp2p_event_trusted(event: *const vixp2p_event) -> i32 {
    let read = |event: &vixp2p_event| match event.event() {
        Some(Event::PeerConnected { trusted, .. } | Event::TrustChanged { trusted, .. }) => i32::from(*trusted),
        _ => -1,
    };
    // SAFETY: the caller promises NULL or a live event.
    unsafe { look("vixp2p_event_trusted", event, -1, read) }
}
