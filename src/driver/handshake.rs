//! The unauthenticated part of a connection: waiting for its first byte, and the handshake. Little is kept for whoever says little.
//!
//! Keeps no deadline: the mesh's one covers all of it, and ends it by closing the link.

use std::io;
use std::sync::Arc;

use bytes::BytesMut;

use crate::base::{CloseReason, HandshakeStage, LinkId, limits};
use crate::driver::Shell;
use crate::driver::link::LinkShared;
use crate::driver::transport::Stream;
use crate::mesh::io::Input;
use crate::session::{Established, Handshaking};

/// Waits until the other side of an accepted connection has said something. Until then nothing is kept for it.
pub(super) async fn first_byte(link: &LinkShared, stream: &mut Stream) -> Result<(), CloseReason> {
    tokio::select! {
        biased;
        reason = link.closed_on_request() => Err(reason),
        ready = stream.first_byte() => ready.map_err(|e| CloseReason::Lost(e.to_string())),
    }
}

/// Runs the handshake on an open connection; `machine` has its first message ready if this side dialled. What was read beyond the
/// handshake comes back with its result.
pub(super) async fn authenticate(
    shell: &Arc<Shell>,
    link: &LinkShared,
    stream: &mut Stream,
    machine: &mut Handshaking,
    dialled: bool,
) -> Result<(Box<Established>, BytesMut), CloseReason> {
    stream.hurry();
    let mut input = BytesMut::new();
    tokio::select! {
        biased;
        outcome = handshake(shell, link.id, stream, machine, &mut input, dialled) => outcome.map(|established| (established, input)),
        reason = link.closed_on_request() => Err(reason),
    }
}

async fn handshake(
    shell: &Arc<Shell>,
    link: LinkId,
    stream: &mut Stream,
    machine: &mut Handshaking,
    input: &mut BytesMut,
    dialled: bool,
) -> Result<Box<Established>, CloseReason> {
    let mut chunk = if dialled { limits::READ_BUFFER_MIN_BYTES } else { limits::HELLO_BUFFER_BYTES };
    loop {
        let out = machine.outgoing();
        if !out.is_empty() {
            shell.count_sent(out.len());
            stream.write_all(&out).await.map_err(|e| broken(&e, machine))?;
            // Of what a side sends after its first message, this much is not said otherwise.
            if let stage @ (HandshakeStage::AckSent | HandshakeStage::AckReceived) = machine.stage() {
                shell.step(Input::Stage { link, stage });
            }
        }
        let met = machine.met();
        match machine.receive(input) {
            Ok(None) => {}
            Ok(Some(established)) => return Ok(established),
            Err(reason) => {
                if let Some(peer) = met.filter(|_| reason == CloseReason::Duplicate) {
                    shell.step(Input::Reached { link, peer });
                }
                return Err(reason);
            }
        }
        if machine.has_outgoing() {
            if !dialled && chunk < limits::READ_BUFFER_MIN_BYTES {
                chunk = limits::READ_BUFFER_MIN_BYTES;
                shell.step(Input::HelloPassed { link });
            }
            continue;
        }
        match stream.read_some(input, chunk).await {
            Ok(0) => {
                return Err(CloseReason::Lost(
                    "closed during the handshake (a wrong pre-shared key, an old version or a refusal looks like this)".into(),
                ));
            }
            Ok(n) => shell.count_received(n),
            Err(e) => return Err(broken(&e, machine)),
        }
    }
}

/// A reset before the answer to a Hello is what a listener in trouble does: worth another attempt.
fn broken(error: &io::Error, machine: &Handshaking) -> CloseReason {
    match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe if machine.is_unanswered() => CloseReason::Busy,
        _ => CloseReason::Lost(error.to_string()),
    }
}
