//! A TCP proxy that sees every piece that passes and may alter it, hold it, or kill the connection.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, Weak};
use std::thread::JoinHandle;

use vixp2p::Endpoint;

/// Bytes on their way.
pub struct Piece<'a> {
    /// Which connection through this proxy, from 0.
    pub connection: u64,
    /// From the side that dialled.
    pub to_server: bool,
    /// Bytes that passed in this direction of the connection before.
    pub offset: u64,
    pub bytes: &'a mut Vec<u8>,
}

impl Piece<'_> {
    /// Flips a bit of the byte at an offset of the direction, if it is in this piece.
    pub fn flip(&mut self, at: u64) -> bool {
        let byte = at.checked_sub(self.offset).and_then(|i| self.bytes.get_mut(i as usize));
        byte.map(|byte| *byte ^= 0x10).is_some()
    }
}

/// What becomes of a piece.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It goes on, as it is now.
    Pass,
    /// The first bytes of it go on and the connection dies.
    Kill(usize),
}

type Hook = Box<dyn FnMut(&mut Piece<'_>) -> Fate + Send>;

struct Shared {
    server: SocketAddr,
    hook: Mutex<Hook>,
    held: Mutex<bool>,
    released: Condvar,
    closed: AtomicBool,
    connections: AtomicU64,
    streams: Mutex<Vec<TcpStream>>,
}

/// Stands between a dialling node and another until it is dropped.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    pub fn to(server: &Endpoint, hook: impl FnMut(&mut Piece<'_>) -> Fate + Send + 'static) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let shared = Arc::new(Shared {
            server: SocketAddr::new(server.host.parse().expect("an address"), server.port),
            hook: Mutex::new(Box::new(hook)),
            held: Mutex::new(false),
            released: Condvar::new(),
            closed: AtomicBool::new(false),
            connections: AtomicU64::new(0),
            streams: Mutex::new(Vec::new()),
        });
        let theirs = shared.clone();
        let thread = std::thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                if theirs.closed.load(Ordering::SeqCst) {
                    return;
                }
                carry(&theirs, client);
            }
        });
        Proxy { address, shared, thread: Some(thread) }
    }

    /// Where to dial.
    pub fn endpoint(&self) -> Endpoint {
        Endpoint::tcp(self.address.ip().to_string(), self.address.port())
    }

    /// From now on nothing passes, and nothing is closed.
    pub fn hold(&self) {
        *self.shared.held.lock().expect("proxy") = true;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::SeqCst);
        *self.shared.held.lock().expect("proxy") = false;
        self.shared.released.notify_all();
        for stream in self.shared.streams.lock().expect("proxy").iter() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        // Wakes the accept loop.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn carry(shared: &Arc<Shared>, client: TcpStream) {
    let Ok(server) = TcpStream::connect(shared.server) else { return };
    let connection = shared.connections.fetch_add(1, Ordering::SeqCst);
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let clone = |stream: &TcpStream| stream.try_clone().expect("a descriptor");
    shared.streams.lock().expect("proxy").extend([clone(&client), clone(&server)]);
    for (from, to, to_server) in [(clone(&client), clone(&server), true), (server, client, false)] {
        let shared = Arc::downgrade(shared);
        std::thread::spawn(move || pump(&shared, connection, from, to, to_server));
    }
}

fn pump(shared: &Weak<Shared>, connection: u64, mut from: TcpStream, mut to: TcpStream, to_server: bool) {
    let (mut buffer, mut offset) = (vec![0; 64 * 1024], 0);
    loop {
        let Ok(n @ 1..) = from.read(&mut buffer) else {
            let _ = to.shutdown(Shutdown::Write);
            return;
        };
        let Some(shared) = shared.upgrade() else { return };
        let held = shared.held.lock().expect("proxy");
        drop(shared.released.wait_while(held, |held| *held).expect("proxy"));
        let mut bytes = buffer[..n].to_vec();
        let fate = (shared.hook.lock().expect("proxy"))(&mut Piece { connection, to_server, offset, bytes: &mut bytes });
        offset += n as u64;
        let alive = match fate {
            Fate::Pass => to.write_all(&bytes).is_ok(),
            Fate::Kill(keep) => {
                let _ = to.write_all(&bytes[..keep.min(n)]);
                false
            }
        };
        if !alive {
            let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
            return;
        }
    }
}
