//! Opening connections: the accept loop, and dialling whatever carries the bytes. Never blocks an I/O thread on DNS.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::BytesMut;
use socket2::{Domain, Protocol, Socket, Type};

use crate::base::config::Listen;
use crate::base::endpoint::Source;
use crate::base::{CloseReason, Config, Endpoint, Error, PeerId, Result, limits};
use crate::driver::link::{self, Ending, LinkShared};
use crate::driver::transport::{Listener, Stream};
use crate::driver::{Present, Shell, handshake};
use crate::mesh::io::Input;
use crate::session::{Established, Handshaking, RunSecrets};

/// Binds a listening socket; an empty host means every interface, IPv6 and IPv4.
pub fn bind(host: &str, port: u16) -> Result<std::net::TcpListener> {
    let bound = if host.is_empty() {
        // A machine without IPv6 still has IPv4.
        open(SocketAddr::from(([0u16; 8], port))).or_else(|e| if in_use(&e) { Err(e) } else { open(SocketAddr::from(([0u8; 4], port))) })
    } else {
        let ip: IpAddr = host.parse().map_err(|_| Error::Invalid(format!("listen address \"{host}\" is no IP address")))?;
        open(SocketAddr::from((ip, port)))
    };
    bound.map_err(|e| if in_use(&e) { Error::PortInUse { port } } else { Error::io(format!("listening on port {port}"))(e) })
}

fn in_use(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrInUse
}

fn open(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    // A restarted node takes its port back while old connections linger; a live listener is still refused.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(limits::ACCEPT_BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// A listener and the presence of its loop, dropped in this order: a node that has drained has its place free.
pub(crate) struct Listening {
    pub(crate) listener: Listener,
    pub(crate) _present: Present,
}

/// Takes every place a node is to listen at, and the first TCP port among them; all or none. Call it within a runtime.
pub(crate) fn bind_all(config: &Config) -> Result<(Vec<Listener>, u16)> {
    let mut listeners = Vec::new();
    if let Listen::On { host, port } = &config.listen {
        listeners.push(Listener::tcp(host, *port)?);
    }
    for endpoint in &config.listen_also {
        listeners.push(Listener::bind(endpoint)?);
    }
    let port = listeners.iter().find_map(Listener::port).unwrap_or(0);
    Ok((listeners, port))
}

/// How many accepted connections may be silent at once: descriptors are the application's too.
pub(crate) fn half_open_max() -> usize {
    let open_files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
    limits::HALF_OPEN_MAX.min(usize::try_from(open_files).unwrap_or(usize::MAX) / limits::HALF_OPEN_DESCRIPTOR_SHARE)
}

/// Accepts until the node's tasks are ended. An error pauses the loop and never ends it.
pub(crate) async fn accept(shell: Arc<Shell>, mut listening: Listening) {
    loop {
        for _ in 0..limits::ACCEPT_BATCH {
            match listening.listener.accept().await {
                Ok((stream, from, source)) => admit(&shell, stream, from, source),
                // Whoever connected has gone again.
                Err(e) if matches!(e.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) => {}
                Err(e) => {
                    let evicted = || shell.look(|mesh, _| mesh.stats().half_open_evicted);
                    let before = evicted();
                    shell.step(Input::Crowded);
                    if evicted() == before {
                        shell.write_log(crate::base::Level::Warn, || format!("accept failed, pausing: {e}"));
                        tokio::time::sleep(limits::ACCEPT_PAUSE).await;
                    }
                    break;
                }
            }
        }
        // The sockets are looked at and every task has its turn, those that were told to close among them, before more come.
        tokio::task::yield_now().await;
    }
}

fn admit(shell: &Arc<Shell>, mut stream: Stream, from: Endpoint, source: Source) {
    let id = shell.next_link();
    let shared = shell.add_link(id);
    shell.step(Input::Accepted { link: id, endpoint: from, source });
    let shell = shell.clone();
    tokio::spawn(async move {
        let mut ending = Ending::new(&shell, &shared, false);
        match handshake::first_byte(&shared, &mut stream).await {
            // Apart, so that a connection that says nothing keeps no room for what the others need.
            Ok(()) => Box::pin(serve(&shell, &shared, stream, &mut ending)).await,
            Err(reason) => {
                let_go(&stream, &reason);
                ending.because(reason);
            }
        }
    });
}

/// Authenticates and runs a connection somebody else opened.
async fn serve(shell: &Arc<Shell>, shared: &Arc<LinkShared>, mut stream: Stream, ending: &mut Ending) {
    let secrets = match draw() {
        Ok(secrets) => secrets,
        Err(reason) => return ending.because(reason),
    };
    let mut machine = Box::new(Handshaking::accept(shell.party.clone(), secrets));
    match handshake::authenticate(shell, shared, &mut stream, &mut machine, false).await {
        Ok(done) => {
            drop(machine);
            Box::pin(link::run(shell, shared, stream, done, ending)).await;
        }
        Err(reason) => {
            let_go(&stream, &reason);
            ending.because(reason);
        }
    }
}

/// Whoever gives way leaves nothing in the kernel either.
fn let_go(stream: &Stream, reason: &CloseReason) {
    if *reason == CloseReason::Busy {
        stream.leave_nothing();
    }
}

/// Resolves, connects and runs a connection this node opens.
pub(crate) async fn dial(shell: Arc<Shell>, shared: Arc<LinkShared>, endpoint: Endpoint, expected: Option<PeerId>) {
    let mut ending = Ending::new(&shell, &shared, true).wanting(endpoint.clone(), expected);
    match reach(&shell, &shared, &endpoint, expected).await {
        Ok((stream, done)) => link::run(&shell, &shared, stream, done, &mut ending).await,
        Err(reason) => ending.because(reason),
    }
}

/// Connects and authenticates, on a second connection with the previous pre-shared key if the current one finds no answer, and on
/// another one if the first was reset before an answer.
async fn reach(
    shell: &Arc<Shell>,
    shared: &LinkShared,
    endpoint: &Endpoint,
    expected: Option<PeerId>,
) -> Result<(Stream, Authenticated), CloseReason> {
    let secrets = draw()?;
    // The Hello is made while the connection is on its way and ready as soon as it stands: a listener in trouble lets go of the silent.
    let hello = async { Handshaking::dial(shell.party.clone(), secrets).judging(shell.keeper.gate(expected)) };
    let (stream, mut machine) = tokio::join!(open_stream(shared, endpoint), hello);
    let mut stream = stream?;
    shell.step(Input::Dialled { link: shared.id });
    let mut resets = 0;
    loop {
        let reason = match handshake::authenticate(shell, shared, &mut stream, &mut machine, true).await {
            Ok(done) => return Ok((stream, done)),
            Err(reason) => reason,
        };
        if reason == CloseReason::Busy && machine.is_unanswered() {
            resets += 1;
            if resets > limits::DIAL_RESETS_MAX {
                return Err(CloseReason::Lost("reset during the handshake, again and again".into()));
            }
            tokio::select! {
                biased;
                reason = shared.closed_on_request() => return Err(reason),
                () = tokio::time::sleep(resets * limits::DIAL_RESET_PAUSE) => {}
            }
            machine = machine.anew(draw()?);
        } else {
            let CloseReason::Lost(_) = reason else { return Err(reason) };
            machine = machine.again(draw()?).ok_or(reason)?;
        }
        stream = open_stream(shared, endpoint).await?;
    }
}

type Authenticated = (Box<Established>, BytesMut);

fn draw() -> Result<RunSecrets, CloseReason> {
    RunSecrets::draw().map_err(|e| CloseReason::Refused(format!("the system has no random numbers: {e}")))
}

async fn open_stream(shared: &LinkShared, endpoint: &Endpoint) -> Result<Stream, CloseReason> {
    tokio::select! {
        biased;
        reason = shared.closed_on_request() => Err(reason),
        opened = tokio::time::timeout(limits::DIAL_TIMEOUT, Stream::connect(endpoint)) => opened.unwrap_or(Err(CloseReason::Timeout)),
    }
}
