//! Where a peer can be dialled: scheme, host, port.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::base::error::Error;
use crate::base::limits;

/// `tcp://host:port`. Parses with or without the scheme; an IPv6 host stands in brackets.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
pub struct Endpoint {
    /// Transport name in lower case; only `tcp` so far.
    pub scheme: String,
    /// Host name or address, without brackets.
    pub host: String,
    /// 1–65535.
    pub port: u16,
}

impl Endpoint {
    /// A TCP endpoint.
    pub fn tcp(host: impl Into<String>, port: u16) -> Endpoint {
        Endpoint { scheme: "tcp".into(), host: host.into(), port }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "{}://[{}]:{}", self.scheme, self.host, self.port)
        } else {
            write!(f, "{}://{}:{}", self.scheme, self.host, self.port)
        }
    }
}

impl FromStr for Endpoint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Endpoint, Error> {
        let invalid = |why: &str| Error::Invalid(format!("endpoint \"{text}\": {why}; expected host:port or tcp://host:port"));
        if text.len() > limits::ENDPOINT_TEXT_MAX_BYTES {
            return Err(Error::Invalid(format!("endpoint of {} bytes, limit is {}", text.len(), limits::ENDPOINT_TEXT_MAX_BYTES)));
        }
        let (scheme, rest) = text.split_once("://").unwrap_or(("tcp", text));
        let scheme = scheme.to_ascii_lowercase();
        if scheme != "tcp" {
            return Err(invalid(&format!("unknown scheme \"{scheme}\"")));
        }
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
        Ok(Endpoint { scheme, host: host.to_owned(), port })
    }
}

/// What connections from one place have in common, for counting them before anybody is authenticated: the IPv4 address, or the /64
/// of an IPv6 address, since whoever has one address of it has them all.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Source(u64);

impl Source {
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
    fn a_source_is_an_ipv4_address_or_an_ipv6_network() {
        let v6 = |text: &str| Source::ipv6(text.parse::<std::net::Ipv6Addr>().expect("address").octets());
        assert_eq!(v6("2001:db8:1:2::1"), v6("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(v6("2001:db8:1:2::1"), v6("2001:db8:1:3::1"));
        assert_eq!(v6("::ffff:10.0.0.1"), Source::ipv4([10, 0, 0, 1]));
        assert_ne!(Source::ipv4([10, 0, 0, 1]), Source::ipv4([10, 0, 0, 2]));
        assert_ne!(v6("::1"), Source::ipv4([0, 0, 0, 1]));
    }

    #[test]
    fn what_cannot_be_dialled_is_refused_with_the_text_in_the_message() {
        for text in ["", "host", "host:", "host:0", "host:65536", "host:-1", ":9001", "udp://h:1", "::1:9001", "a b:1", "[[a]]:1", "[a:1"] {
            let error = text.parse::<Endpoint>().expect_err(text).to_string();
            assert!(error.contains(text), "{error}");
        }
    }
}
