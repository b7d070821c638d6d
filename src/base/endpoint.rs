//! Where a peer can be dialled: the transport and its own kind of address.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::base::error::Error;
use crate::base::limits;

/// What carries the bytes. A further transport does not compile until the driver opens and accepts its connections.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// TCP, to a host name or address.
    Tcp,
    /// A Unix socket of this machine.
    Unix,
    /// A pipe to another node of this process.
    Mem,
}

impl Scheme {
    /// Every transport there is.
    pub const ALL: [Scheme; 3] = [Scheme::Tcp, Scheme::Unix, Scheme::Mem];

    /// The name in front of "://".
    pub fn name(self) -> &'static str {
        match self {
            Scheme::Tcp => "tcp",
            Scheme::Unix => "unix",
            Scheme::Mem => "mem",
        }
    }
}

/// `tcp://host:port`, `unix:///path/to.sock` or `mem://name`. Without a scheme it is TCP; an IPv6 host stands in brackets. One word
/// in every form: no white space, no control characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
pub struct Endpoint {
    /// The transport.
    pub scheme: Scheme,
    /// `tcp`: host name or address, without brackets. `unix`: absolute path. `mem`: name.
    pub host: String,
    /// `tcp`: 1–65535; 0 otherwise.
    pub port: u16,
}

impl Endpoint {
    /// A TCP endpoint.
    pub fn tcp(host: impl Into<String>, port: u16) -> Endpoint {
        Endpoint { scheme: Scheme::Tcp, host: host.into(), port }
    }

    /// A Unix socket, by its absolute path.
    pub fn unix(path: impl Into<String>) -> Result<Endpoint, Error> {
        let path: String = path.into();
        let text = format!("unix://{path}");
        if !path.starts_with('/') {
            return Err(invalid(&text, "the path of a unix socket is absolute, which makes three slashes: unix:///run/a.sock"));
        }
        check_word(&text, &path, limits::UNIX_PATH_MAX_BYTES)?;
        Ok(Endpoint { scheme: Scheme::Unix, host: path, port: 0 })
    }

    /// A node of this process, by the name it listens under.
    pub fn mem(name: impl Into<String>) -> Result<Endpoint, Error> {
        let name: String = name.into();
        let text = format!("mem://{name}");
        if name.is_empty() {
            return Err(invalid(&text, "no name"));
        }
        check_word(&text, &name, limits::MEM_NAME_MAX_BYTES)?;
        Ok(Endpoint { scheme: Scheme::Mem, host: name, port: 0 })
    }
}

fn invalid(text: &str, why: &str) -> Error {
    Error::Invalid(format!("endpoint \"{text}\": {why}; expected host:port, tcp://host:port, unix:///path/to.sock or mem://name"))
}

fn check_word(text: &str, word: &str, max: usize) -> Result<(), Error> {
    if word.len() > max {
        return Err(invalid(text, &format!("{} bytes after the scheme, limit is {max}", word.len())));
    }
    if word.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(invalid(text, "white space or a control character"));
    }
    Ok(())
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.scheme.name();
        match self.scheme {
            Scheme::Tcp if self.host.contains(':') => write!(f, "{scheme}://[{}]:{}", self.host, self.port),
            Scheme::Tcp => write!(f, "{scheme}://{}:{}", self.host, self.port),
            Scheme::Unix | Scheme::Mem => write!(f, "{scheme}://{}", self.host),
        }
    }
}

impl FromStr for Endpoint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Endpoint, Error> {
        if text.len() > limits::ENDPOINT_TEXT_MAX_BYTES {
            return Err(Error::Invalid(format!("endpoint of {} bytes, limit is {}", text.len(), limits::ENDPOINT_TEXT_MAX_BYTES)));
        }
        let (scheme, rest) = text.split_once("://").unwrap_or(("tcp", text));
        let known = Scheme::ALL.into_iter().find(|known| known.name().eq_ignore_ascii_case(scheme));
        match known {
            Some(Scheme::Tcp) => tcp_from(text, rest),
            Some(Scheme::Unix) => Endpoint::unix(rest),
            Some(Scheme::Mem) => Endpoint::mem(rest),
            None => {
                let names = Scheme::ALL.map(Scheme::name).join(", ");
                Err(invalid(text, &format!("unknown scheme \"{scheme}\", known are {names}")))
            }
        }
    }
}

fn tcp_from(text: &str, rest: &str) -> Result<Endpoint, Error> {
    let invalid = |why: &str| invalid(text, why);
    let (host, port) = rest.rsplit_once(':').ok_or_else(|| invalid("no port"))?;
    let port: u16 = port.parse().ok().filter(|p| *p > 0).ok_or_else(|| invalid("port is not 1-65535"))?;
    let bracketed = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    if bracketed.is_none() && host.contains(':') {
        return Err(invalid("an IPv6 host needs brackets"));
    }
    let host = bracketed.unwrap_or(host);
    if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | '[' | ']')) {
        return Err(invalid("no usable host"));
    }
    Ok(Endpoint::tcp(host, port))
}

/// What connections from one place have in common, for counting them before anybody is authenticated: the IPv4 address, or the /64
/// of an IPv6 address, since whoever has one address of it has them all. Everything that comes without the network, by a Unix socket
/// or from this process, is one place of its own, which no crowd elsewhere takes from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Source(u64);

impl Source {
    /// This machine, by a way that only it has. The prefix is of multicast addresses, as below.
    pub const LOCAL: Source = Source(0xffff_fffe << 32);

    /// From an IPv4 address. The prefix it gets is of multicast addresses, which nobody connects from.
    pub fn ipv4(address: [u8; 4]) -> Source {
        Source(0xffff_ffff << 32 | u64::from(u32::from_be_bytes(address)))
    }

    /// From an IPv6 address; one that stands for an IPv4 address counts as that.
    pub fn ipv6(address: [u8; 16]) -> Source {
        let bits = u128::from_be_bytes(address);
        match u32::try_from(bits ^ 0xffff << 32) {
            Ok(mapped) => Source::ipv4(mapped.to_be_bytes()),
            Err(_) => Source((bits >> 64) as u64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_text_forms_name_the_same_endpoint() {
        let with: Endpoint = "tcp://node-b:9001".parse().expect("with scheme");
        let without: Endpoint = "node-b:9001".parse().expect("without scheme");
        assert_eq!(with, without);
        assert_eq!(with.to_string(), "tcp://node-b:9001");
    }

    #[test]
    fn an_ipv6_host_keeps_its_brackets_in_text_only() {
        let e: Endpoint = "tcp://[::1]:9001".parse().expect("IPv6");
        assert_eq!((e.host.as_str(), e.port), ("::1", 9001));
        assert_eq!(e.to_string(), "tcp://[::1]:9001");
    }

    #[test]
    fn the_scheme_picks_the_transport_and_an_unknown_one_names_those_there_are() {
        let unix: Endpoint = "unix:///run/vixp2p/a.sock".parse().expect("unix");
        assert_eq!((unix.scheme, unix.host.as_str(), unix.port), (Scheme::Unix, "/run/vixp2p/a.sock", 0));
        let mem: Endpoint = "MEM://b".parse().expect("mem");
        assert_eq!((mem.scheme, mem.host.as_str(), mem.port), (Scheme::Mem, "b", 0));
        for endpoint in [unix, mem] {
            assert_eq!(endpoint.to_string().parse::<Endpoint>().expect("its own text"), endpoint);
        }
        let error = "quic://h:1".parse::<Endpoint>().expect_err("not yet").to_string();
        assert!(error.contains("unknown scheme \"quic\", known are tcp, unix, mem"), "{error}");
        let long = format!("unix:///{}", "p".repeat(limits::UNIX_PATH_MAX_BYTES));
        assert!(long.parse::<Endpoint>().expect_err("too long for the system").to_string().contains("limit is"));
    }

    #[test]
    fn a_source_is_an_ipv4_address_or_an_ipv6_network() {
        let v6 = |text: &str| Source::ipv6(text.parse::<std::net::Ipv6Addr>().expect("address").octets());
        assert_eq!(v6("2001:db8:1:2::1"), v6("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(v6("2001:db8:1:2::1"), v6("2001:db8:1:3::1"));
        assert_eq!(v6("::ffff:10.0.0.1"), Source::ipv4([10, 0, 0, 1]));
        assert_ne!(Source::ipv4([10, 0, 0, 1]), Source::ipv4([10, 0, 0, 2]));
        assert_ne!(v6("::1"), Source::ipv4([0, 0, 0, 1]));
        assert!([v6("::1"), v6("::"), Source::ipv4([127, 0, 0, 1]), Source::ipv4([0, 0, 0, 0])].iter().all(|s| *s != Source::LOCAL));
    }

    #[test]
    fn what_cannot_be_dialled_is_refused_with_the_text_in_the_message() {
        let tcp = ["", "host", "host:", "host:0", "host:65536", "host:-1", ":9001", "udp://h:1", "::1:9001", "a b:1", "[[a]]:1", "[a:1"];
        let others = ["unix://", "unix://a.sock", "unix:///a b", "unix:///a\n", "mem://", "mem://a b", "://h:1"];
        for text in tcp.into_iter().chain(others) {
            let error = text.parse::<Endpoint>().expect_err(text).to_string();
            assert!(error.contains(text), "{error}");
        }
    }
}
