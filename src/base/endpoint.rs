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
    fn what_cannot_be_dialled_is_refused_with_the_text_in_the_message() {
        for text in ["", "host", "host:", "host:0", "host:65536", "host:-1", ":9001", "udp://h:1", "::1:9001", "a b:1", "[[a]]:1", "[a:1"] {
            let error = text.parse::<Endpoint>().expect_err(text).to_string();
            assert!(error.contains(text), "{error}");
        }
    }
}
