//! The registry's connections: how many, how long, how large. Never looks into a request.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use vixp2p::base::limits;
use vixp2p::registry::Source;

use super::answer::{State, answer};

/// How often entries that are over are dropped; they are not named before that either.
const EXPIRE_EVERY: Duration = Duration::from_secs(1);

/// Connections at present by source.
#[derive(Clone, Default)]
struct Slots(Arc<Mutex<BTreeMap<Source, usize>>>);

/// One of them, given back when dropped.
struct Slot(Slots, Source);

impl Slots {
    fn take(&self, source: Source) -> Option<Slot> {
        let mut taken = self.0.lock();
        let of_source = taken.get(&source).copied().unwrap_or(0);
        if of_source >= limits::REGISTRY_CONNECTIONS_PER_SOURCE_MAX || taken.values().sum::<usize>() >= limits::REGISTRY_CONNECTIONS_MAX {
            return None;
        }
        taken.insert(source, of_source + 1);
        Some(Slot(self.clone(), source))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let Slot(Slots(taken), source) = self;
        let mut taken = taken.lock();
        if let Some(count) = taken.get_mut(source) {
            *count -= 1;
            if *count == 0 {
                taken.remove(source);
            }
        }
    }
}

/// Accepts for ever. An error pauses the loop and never ends it.
pub(super) async fn serve(socket: TcpListener, state: Arc<State>) {
    let slots = Slots::default();
    loop {
        match socket.accept().await {
            Ok((stream, from)) => {
                let from = from.ip().to_canonical();
                match slots.take(source(from)) {
                    Some(slot) => drop(tokio::spawn(connection(stream, from, state.clone(), slot))),
                    None => state.count_closed(),
                }
            }
            Err(_) => sleep(limits::ACCEPT_PAUSE).await,
        }
    }
}

/// Whom an address counts for.
pub(super) fn source(ip: IpAddr) -> Source {
    Source::from_octets(match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    })
}

async fn connection(stream: TcpStream, from: IpAddr, state: Arc<State>, _slot: Slot) {
    let service = service_fn(move |request| answer(state.clone(), from, request));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits::REGISTRY_REQUEST_DEADLINE).max_buf_size(limits::REGISTRY_HEAD_MAX_BYTES);
    let mut serving = std::pin::pin!(http.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        _ = serving.as_mut() => return,
        () = sleep(limits::REGISTRY_CONNECTION_AGE_MAX) => {}
    }
    serving.as_mut().graceful_shutdown();
    // One that does not end by then is dropped.
    let _ = timeout(limits::REGISTRY_REQUEST_DEADLINE, serving).await;
}

/// Drops entries that are over, for ever.
pub(super) async fn expire(state: &State) {
    loop {
        sleep(EXPIRE_EVERY).await;
        state.expire();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_source_cannot_take_every_connection() {
        let slots = Slots::default();
        let of = |last| source(IpAddr::from([127, 0, 0, last]));
        let mut held: Vec<Slot> = std::iter::from_fn(|| slots.take(of(1))).collect();
        assert_eq!(held.len(), limits::REGISTRY_CONNECTIONS_PER_SOURCE_MAX);
        held.extend((2..=255).chain(2..=255).filter_map(|last| slots.take(of(last))));
        assert_eq!(held.len(), limits::REGISTRY_CONNECTIONS_MAX);
        drop(held);
        assert!(slots.0.lock().is_empty());
    }
}
