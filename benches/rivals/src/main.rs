//! What `make bench` sets vixp2p beside. Connections: TLS 1.3 by rustls, and libp2p's TCP, Noise and Yamux. Appends: embedded stores.
//!
//! `serve NAME` prints its address and answers; `drive NAME connect 64 SECS ADDRESS` prints connections per second. One at a time:
//! connect, each side proves an Ed25519 key the other one knows beforehand, 64 bytes there and back, close.
//! `append STORE WRITERS BYTES SECS DIR` prints durable records per second.

mod p2p;
mod store;
mod tls;

use std::io::Read;
use std::time::Instant;

/// Anything that went wrong, as text: a benchmark stops at the first surprise.
type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

/// The message there and back.
const MESSAGE: [u8; 64] = [0x5a; 64];

/// Which side of a connection; each has a key of its own, known to the other.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Server,
    Driver,
}

impl Side {
    /// The Ed25519 seed: no secret, so that both processes know both keys.
    fn seed(self) -> [u8; 32] {
        match self {
            Side::Server => [1; 32],
            Side::Driver => [2; 32],
        }
    }

    fn other(self) -> Side {
        match self {
            Side::Server => Side::Driver,
            Side::Driver => Side::Server,
        }
    }
}

/// One who can be connected to.
trait Contender {
    /// Prints the address and answers connections until the process ends.
    async fn serve(self) -> Result<()>;
    /// Connects, sends the message, takes it back, closes.
    async fn once(&mut self, address: &str) -> Result<()>;
}

async fn drive(mut contender: impl Contender, secs: f64, address: &str) -> Result<()> {
    let start = Instant::now();
    let mut n = 0u32;
    while start.elapsed().as_secs_f64() < secs {
        contender.once(address).await?;
        n += 1;
    }
    println!("{}", f64::from(n) / start.elapsed().as_secs_f64());
    Ok(())
}

async fn run(args: &[&str]) -> Result<()> {
    match *args {
        ["serve", "libp2p"] => p2p::Libp2p::new(Side::Server)?.serve().await,
        ["serve", name] => tls::Tls::new(Side::Server, name)?.serve().await,
        ["drive", "libp2p", "connect", "64", secs, address] => drive(p2p::Libp2p::new(Side::Driver)?, secs.parse()?, address).await,
        ["drive", name, "connect", "64", secs, address] => drive(tls::Tls::new(Side::Driver, name)?, secs.parse()?, address).await,
        ["append", name, writers, size, secs, dir] => store::append(name, writers.parse()?, size.parse()?, secs.parse()?, dir.as_ref()),
        _ => Err("usage: serve NAME | drive NAME connect 64 SECS ADDRESS | append STORE WRITERS BYTES SECS DIR".into()),
    }
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    if words.first() == Some(&"serve") {
        // Whoever started the server ends it by closing its input.
        std::thread::spawn(|| {
            let mut byte = [0; 1];
            while matches!(std::io::stdin().read(&mut byte), Ok(n) if n > 0) {}
            std::process::exit(0);
        });
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    if let Err(error) = runtime.block_on(run(&words)) {
        eprintln!("rivals: {error}");
        std::process::exit(1);
    }
}
