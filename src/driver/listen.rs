//! Opening connections: the accept loop, and dialling with name resolution. Never blocks an I/O thread on DNS.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::BytesMut;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

use crate::base::{CloseReason, Endpoint, Error, PeerId, Result, limits};
use crate::driver::link::{self, Ending, LinkShared};
use crate::driver::{Present, Shell};
use crate::mesh::io::Input;
use crate::session::{Established, Handshaking, RunSecrets};

const BACKLOG: i32 = 1024;

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
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// A listening socket and the presence of its loop, dropped in this order: a node that has drained has its port free.
pub(crate) struct Listening {
    pub(crate) socket: TcpListener,
    pub(crate) _present: Present,
}

/// Accepts until the node's tasks are ended. An error pauses the loop and never ends it.
pub(crate) async fn accept(shell: Arc<Shell>, listening: Listening) {
    loop {
        match listening.socket.accept().await {
            Ok((stream, from)) => admit(&shell, stream, from),
            Err(e) => {
                shell.write_log(crate::base::Level::Warn, || format!("accept failed, pausing: {e}"));
                tokio::time::sleep(limits::ACCEPT_PAUSE).await;
            }
        }
    }
}

fn admit(shell: &Arc<Shell>, stream: TcpStream, from: SocketAddr) {
    let Ok(secrets) = RunSecrets::draw() else {
        shell.write_log(crate::base::Level::Error, || "the system has no random numbers; connection refused".into());
        return;
    };
    let id = shell.next_link();
    let shared = shell.add_link(id);
    let endpoint = Endpoint::tcp(from.ip().to_canonical().to_string(), from.port());
    shell.step(Input::Accepted { link: id, endpoint });
    let machine = Handshaking::accept(shell.party.clone(), secrets);
    let shell = shell.clone();
    tokio::spawn(async move {
        let mut ending = Ending::new(&shell, &shared, false);
        let (mut stream, mut machine) = (stream, machine);
        match link::authenticate(&shell, &shared, &mut stream, &mut machine).await {
            Ok(done) => link::run(&shell, &shared, stream, done, &mut ending).await,
            Err(reason) => ending.because(reason),
        }
    });
}

/// Resolves, connects and runs a connection this node opens.
pub(crate) async fn dial(shell: Arc<Shell>, shared: Arc<LinkShared>, endpoint: Endpoint, expected: Option<PeerId>) {
    let mut ending = Ending::new(&shell, &shared, true).wanting(expected);
    match reach(&shell, &shared, &endpoint, expected).await {
        Ok((stream, done)) => link::run(&shell, &shared, stream, done, &mut ending).await,
        Err(reason) => ending.because(reason),
    }
}

/// Connects and authenticates, on a second connection with the previous pre-shared key if the current one finds no answer.
async fn reach(
    shell: &Arc<Shell>,
    shared: &LinkShared,
    endpoint: &Endpoint,
    expected: Option<PeerId>,
) -> Result<(TcpStream, Authenticated), CloseReason> {
    let mut stream = open_stream(shared, endpoint).await?;
    shell.step(Input::Dialled { link: shared.id });
    let mut machine = Handshaking::dial(shell.party.clone(), draw()?).judging(shell.keeper.gate(expected));
    loop {
        let reason = match link::authenticate(shell, shared, &mut stream, &mut machine).await {
            Ok(done) => return Ok((stream, done)),
            Err(reason) => reason,
        };
        let CloseReason::Lost(_) = reason else { return Err(reason) };
        machine = machine.again(draw()?).ok_or(reason)?;
        stream = open_stream(shared, endpoint).await?;
    }
}

type Authenticated = (Box<Established>, BytesMut);

fn draw() -> Result<RunSecrets, CloseReason> {
    RunSecrets::draw().map_err(|e| CloseReason::Refused(format!("the system has no random numbers: {e}")))
}

async fn open_stream(shared: &LinkShared, endpoint: &Endpoint) -> Result<TcpStream, CloseReason> {
    tokio::select! {
        biased;
        reason = shared.closed_on_request() => Err(reason),
        opened = tokio::time::timeout(limits::DIAL_TIMEOUT, connect(endpoint)) => opened.unwrap_or(Err(CloseReason::Timeout)),
    }
}

async fn connect(endpoint: &Endpoint) -> Result<TcpStream, CloseReason> {
    let addresses =
        tokio::net::lookup_host((endpoint.host.as_str(), endpoint.port)).await.map_err(|e| CloseReason::Unresolved(e.to_string()))?;
    let mut last = CloseReason::Unresolved(format!("{} has no address", endpoint.host));
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(e) => last = CloseReason::Refused(e.to_string()),
        }
    }
    Err(last)
}
