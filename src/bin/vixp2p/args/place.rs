//! Where to listen and whom to dial. Never resolves a name.

use std::net::SocketAddr;

use vixp2p::base::Invite;
use vixp2p::base::config::Listen;
use vixp2p::base::endpoint::Scheme;
use vixp2p::{Endpoint, Error, PeerId};

use super::key;

/// Whom `--connect` dials.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Whom {
    /// Whoever answers there.
    Endpoint(Target),
    /// One node, at one of several places.
    Invite(Box<Invite>),
}

/// Where to listen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// On TCP, or, by "0", nowhere.
    Tcp(Listen),
    /// Elsewhere.
    Other(Endpoint),
}

pub(super) fn listen(text: &str) -> Result<Place, String> {
    // Unlike an endpoint to dial, a place to listen at may have port 0: any free one.
    let tcp = match text.strip_prefix("tcp://") {
        Some(rest) if rest.parse::<SocketAddr>().is_ok() => rest,
        Some(_) => "",
        None if text.contains("://") => {
            let endpoint = endpoint(text)?;
            if endpoint.scheme != Scheme::Tcp {
                return Ok(Place::Other(endpoint));
            }
            text.split_once("://").map_or(text, |(_, rest)| rest)
        }
        None => text,
    };
    let expected =
        "expected a port (0-65535), an IP address and port like 127.0.0.1:9001 or [::1]:9001, unix:///path/to.sock or mem://name";
    listen_tcp(tcp).map(Place::Tcp).ok_or_else(|| expected.to_owned())
}

/// A place to listen at over TCP; `None` if the text names none.
pub(super) fn listen_tcp(text: &str) -> Option<Listen> {
    if !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit()) {
        let port = text.parse::<u16>().ok()?;
        return Some(if port == 0 { Listen::Off } else { Listen::On { host: String::new(), port } });
    }
    let address: SocketAddr = text.parse().ok()?;
    Some(Listen::On { host: address.ip().to_string(), port: address.port() })
}

/// Whom to dial, and the key that is to answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Target {
    pub(crate) endpoint: Endpoint,
    pub(crate) peer: Option<PeerId>,
}

fn target(text: &str) -> Result<Target, String> {
    let (address, peer) = match text.split_once('#') {
        Some((address, digits)) => (address, Some(key(digits)?)),
        None => (text, None),
    };
    Ok(Target { endpoint: endpoint(address)?, peer })
}

pub(super) fn endpoint(text: &str) -> Result<Endpoint, String> {
    text.parse().map_err(|error: Error| {
        let sentence = error.to_string();
        sentence.strip_prefix(&format!("endpoint \"{text}\": ")).map_or(sentence.clone(), str::to_owned)
    })
}

pub(crate) fn whom(text: &str) -> Result<Whom, String> {
    if Invite::is_meant(text) {
        return text.parse().map(|invite| Whom::Invite(Box::new(invite))).map_err(|error: Error| error.to_string());
    }
    target(text).map(Whom::Endpoint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listen_address_is_a_port_or_an_ip_address_with_one() {
        let on = |host: &str, port| Ok(Place::Tcp(Listen::On { host: host.into(), port }));
        assert_eq!(listen("9001"), on("", 9001));
        assert_eq!(listen("0"), Ok(Place::Tcp(Listen::Off)));
        assert_eq!(listen("127.0.0.1:9001"), on("127.0.0.1", 9001));
        assert_eq!(listen("127.0.0.1:0"), on("127.0.0.1", 0));
        assert_eq!(listen("[::1]:9001"), on("::1", 9001));
        assert_eq!(listen("tcp://[::1]:9001"), on("::1", 9001));
        assert_eq!(listen("tcp://127.0.0.1:0"), on("127.0.0.1", 0));
        assert_eq!(listen("unix:///run/a.sock"), Ok(Place::Other("unix:///run/a.sock".parse().expect("endpoint"))));
        assert!(listen("quic://[::1]:9001").expect_err("unknown").contains("tcp, unix, mem"));
        for wrong in
            ["", "unix://a", "tcp://localhost:1", "tcp://9001", "65536", "-1", "x", "localhost:1", "127.0.0.1", "::1:9001", "1.2.3.4:x"]
        {
            assert!(listen(wrong).is_err(), "{wrong}");
        }
    }
}
