//! The peers: sessions that prove a key of their own, answer every question of life, and otherwise say nothing.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use vixp2p::base::CloseReason;
use vixp2p::crypto::{Identity, Secret};
use vixp2p::session::{Established, Handshaking, LocalParty, Progress, RunSecrets};
use vixp2p::wire::{Inbound, Message};

use crate::Result;

/// As long as a node waits before it dials again after a refusal, at most so often.
const PAUSE: Duration = Duration::from_millis(100);
const ATTEMPTS: u32 = 100;

/// What the peers had to do.
#[derive(Default)]
pub(crate) struct Tally {
    /// Dials that did not end in a link.
    pub(crate) retries: AtomicU64,
}

/// One authenticated session.
pub(crate) struct Session {
    stream: TcpStream,
    established: Box<Established>,
    input: BytesMut,
}

fn party() -> Result<Arc<LocalParty>> {
    let mut seed = Secret::new([0; 32]);
    getrandom::fill(seed.expose_mut()).map_err(|e| e.to_string())?;
    Ok(Arc::new(LocalParty::new(Arc::new(Identity::from_seed(&seed)), "peer", &BTreeMap::new(), None)?))
}

/// Number `n` dials from an address of its own within 127.0.0.0/8: on a real network a thousand peers have a thousand addresses.
fn source(n: usize) -> SocketAddr {
    (Ipv4Addr::new(127, 1, (n / 250 % 250) as u8, (1 + n % 250) as u8), 0).into()
}

async fn attempt(n: usize, port: u16, party: &Arc<LocalParty>) -> Result<Session> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(source(n))?;
    let mut stream = socket.connect((Ipv4Addr::LOCALHOST, port).into()).await?;
    stream.set_nodelay(true)?;
    let secrets = RunSecrets::draw().map_err(|e| e.to_string())?;
    let (mut machine, mut input) = (Handshaking::dial(party.clone(), secrets), BytesMut::new());
    loop {
        stream.write_all(&machine.outgoing()).await?;
        if let Some(established) = machine.receive(&mut input).map_err(|reason| reason.to_string())? {
            return Ok(Session { stream, established, input });
        }
        if !machine.has_outgoing() && stream.read_buf(&mut input).await? == 0 {
            return Err("closed during the handshake".into());
        }
    }
}

/// Connects, again and again if need be.
pub(crate) async fn join(n: usize, port: u16, tally: &Tally) -> Result<Session> {
    let party = party()?;
    for _ in 0..ATTEMPTS {
        match attempt(n, port, &party).await {
            Ok(session) => return Ok(session),
            Err(_) => {
                tally.retries.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    Err(format!("peer {n} was not let in in {ATTEMPTS} attempts").into())
}

impl Session {
    /// Lives until the other side ends it.
    pub(crate) async fn live(mut self) -> Result<()> {
        loop {
            let mut items = Vec::new();
            let progress = self.established.recv.receive(&mut self.input, &mut items).map_err(|reason| reason.to_string())?;
            if progress != Progress::Done {
                return Err("a fresh key agreement within the run".into());
            }
            for item in items {
                match item {
                    Inbound::Message(Message::Ping { nonce }) => self.established.send.push(&Message::Pong { nonce }),
                    Inbound::Message(Message::Close { .. }) => return Err("closed by the node".into()),
                    _ => {}
                }
            }
            self.flush().await?;
            if self.stream.read_buf(&mut self.input).await? == 0 {
                return Err("ended by the node".into());
            }
        }
    }

    /// Ends it: with a goodbye, or without a word.
    pub(crate) async fn leave(mut self, politely: bool) -> Result<()> {
        if politely {
            let code = CloseReason::Disconnected.code();
            self.established.send.push(&Message::Close { code, detail: String::new() });
            self.flush().await?;
            self.stream.shutdown().await?;
            // The node is done, too: nothing is left in either kernel.
            let mut rest = Vec::new();
            let _ = self.stream.read_to_end(&mut rest).await;
        }
        // Without this a million ports would wait for a minute each.
        socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO))?;
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        if self.established.send.pending() > 0 {
            let mut bytes = Vec::new();
            self.established.send.take(&mut bytes);
            self.stream.write_all(&bytes).await?;
        }
        Ok(())
    }
}
