//! Which of a host's addresses is dialled when, after RFC 8305: one that does not answer costs a quarter of a second, not the dial.

use std::future::Future;
use std::io;
use std::net::SocketAddr;

use tokio::task::JoinSet;

use crate::base::limits;

/// IPv6 first, then in turns; within a family the resolver's order.
pub(super) fn in_turns(addresses: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let (six, four): (Vec<_>, Vec<_>) = addresses.partition(SocketAddr::is_ipv6);
    let (mut six, mut four) = (six.into_iter(), four.into_iter());
    let mut order = Vec::new();
    loop {
        let before = order.len();
        order.extend(six.next().into_iter().chain(four.next()));
        if order.len() == before || order.len() >= limits::DIAL_ADDRESSES_MAX {
            order.truncate(limits::DIAL_ADDRESSES_MAX);
            return order;
        }
    }
}

/// The first connection that comes to stand. Another address has its turn as soon as one fails, and after `DIAL_STAGGER` of silence;
/// those before it go on meanwhile. What is left over is called off.
pub(super) async fn first<T, F>(order: Vec<SocketAddr>, connect: impl Fn(SocketAddr) -> F) -> Result<T, String>
where
    T: Send + 'static,
    F: Future<Output = io::Result<T>> + Send + 'static,
{
    if let [alone] = order[..] {
        // Without a task of its own: what is dialled is greeted sooner.
        return connect(alone).await.map_err(|e| e.to_string());
    }
    let mut waiting = order.into_iter();
    let mut under_way = JoinSet::new();
    let mut failures = Vec::new();
    loop {
        if let Some(address) = waiting.next() {
            let attempt = connect(address);
            under_way.spawn(async move { attempt.await.map_err(|e| format!("{address}: {e}")) });
        }
        tokio::select! {
            biased;
            ended = under_way.join_next() => match ended {
                Some(Ok(Ok(connection))) => return Ok(connection),
                Some(Ok(Err(failure))) => failures.push(failure),
                Some(Err(panicked)) => failures.push(panicked.to_string()),
                None => return Err(failures.join("; ")),
            },
            () = tokio::time::sleep(limits::DIAL_STAGGER), if waiting.len() > 0 => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().expect("address")).collect()
    }

    #[test]
    fn ipv6_comes_first_and_the_families_take_turns() {
        let resolved = addresses(&["10.0.0.1:1", "10.0.0.2:1", "[2001:db8::1]:1", "10.0.0.3:1", "[2001:db8::2]:1"]);
        let order = addresses(&["[2001:db8::1]:1", "10.0.0.1:1", "[2001:db8::2]:1", "10.0.0.2:1", "10.0.0.3:1"]);
        assert_eq!(in_turns(resolved.into_iter()), order);
        let many = (1..=100).map(|n| SocketAddr::from(([10, 0, 0, n], 1)));
        assert_eq!(in_turns(many).len(), limits::DIAL_ADDRESSES_MAX);
    }

    #[tokio::test]
    async fn an_address_that_never_answers_does_not_keep_the_next_from_being_dialled() {
        let order = addresses(&["[2001:db8::1]:1", "10.0.0.1:1"]);
        let reached = first(order, |address| async move {
            if address.is_ipv6() {
                std::future::pending::<()>().await;
            }
            Ok(address)
        });
        assert!(reached.await.expect("the other one").is_ipv4());
    }

    #[tokio::test]
    async fn when_nobody_answers_every_address_says_why() {
        let order = addresses(&["[2001:db8::1]:1", "10.0.0.1:1"]);
        let why = first::<(), _>(order, |_| async { Err(io::Error::other("nobody")) }).await.expect_err("nobody");
        assert_eq!(why, "[2001:db8::1]:1: nobody; 10.0.0.1:1: nobody");
        let alone = addresses(&["10.0.0.1:1"]);
        assert_eq!(first::<(), _>(alone, |_| async { Err(io::Error::other("nobody")) }).await.expect_err("nobody"), "nobody");
    }

    #[tokio::test]
    async fn a_black_hole_on_the_first_address_is_passed_by_on_real_sockets() {
        // A listener whose queue is full lets further dials wait.
        let hole = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("socket");
        hole.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("bound");
        hole.listen(0).expect("listens");
        let dead = hole.local_addr().expect("bound").as_socket().expect("IP");
        let _queued: Vec<_> = (0..4)
            .map(|_| {
                let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("socket");
                socket.set_nonblocking(true).expect("set");
                let _ = socket.connect(&dead.into());
                socket
            })
            .collect();
        let alive = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
        let alive_at = alive.local_addr().expect("bound");
        let stream = first(vec![dead, alive_at], tokio::net::TcpStream::connect).await.expect("the second");
        assert_eq!(stream.peer_addr().expect("connected"), alive_at);
    }
}
