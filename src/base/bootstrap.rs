//! How a node asks a registry for peers: the settings, the registry's address and the token that opens it. Never opens a socket.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::base::endpoint::Endpoint;
use crate::base::error::{Error, Result};
use crate::base::limits;

/// What a node does with its registry.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum BootstrapMode {
    /// Asks for peers.
    #[default]
    PullOnly,
    /// Says before each question where it listens; a node that does not listen only asks.
    PullAndAnnounce,
}

/// Where and how often a node asks for peers. [`BootstrapConfig::new`] gives the defaults.
#[derive(Clone, Debug)]
pub struct BootstrapConfig {
    /// The registry.
    pub registry_url: RegistryUrl,
    /// Whether this node is announced.
    pub mode: BootstrapMode,
    /// Pause between two questions that were answered.
    pub poll_interval: Duration,
    /// An endpoint from the registry is dialled at most this often.
    pub connect_cooldown: Duration,
    /// Bytes of an answer's body that are read at most.
    pub max_http_bytes: usize,
    /// From the name of the registry's host up to a connection.
    pub connect_timeout: Duration,
    /// From there up to the last byte of the answer.
    pub request_timeout: Duration,
    /// Longest pause after failures; it doubles from `poll_interval`.
    pub backoff_max: Duration,
    /// Peers asked for.
    pub max_peers_per_poll: u32,
    /// Announced instead of the address the registry sees.
    pub announce_host: Option<String>,
    /// Opens a registry that wants one. Over http:// everybody on the way reads it.
    pub token: Option<Token>,
    /// Certificate authorities of an https registry, as PEM text; no other is trusted then. `None` = those of Mozilla.
    pub ca_pem: Option<String>,
}

impl BootstrapConfig {
    /// The defaults, those of v1, for a registry.
    pub fn new(registry_url: RegistryUrl) -> BootstrapConfig {
        BootstrapConfig {
            registry_url,
            mode: BootstrapMode::PullOnly,
            poll_interval: Duration::from_secs(15),
            connect_cooldown: Duration::from_secs(12),
            max_http_bytes: 64 * 1024,
            connect_timeout: Duration::from_secs(3),
            request_timeout: Duration::from_secs(5),
            backoff_max: Duration::from_secs(60),
            max_peers_per_poll: 20,
            announce_host: None,
            token: None,
            ca_pem: None,
        }
    }

    /// Checks every field against its limit.
    pub fn validate(&self) -> Result<()> {
        let zero = [
            ("poll_interval", self.poll_interval.is_zero()),
            ("connect_timeout", self.connect_timeout.is_zero()),
            ("request_timeout", self.request_timeout.is_zero()),
            ("max_http_bytes", self.max_http_bytes == 0),
            ("max_peers_per_poll", self.max_peers_per_poll == 0),
        ];
        if let Some((name, _)) = zero.iter().find(|(_, zero)| *zero) {
            return Err(Error::Invalid(format!("bootstrap {name} is 0; give at least 1")));
        }
        if self.registry_url.https && !cfg!(feature = "https") {
            return Err(Error::Invalid("the registry's address is https, which this build has not; give http:// or another build".into()));
        }
        if self.ca_pem.is_some() && !self.registry_url.https {
            return Err(Error::Invalid("the registry's certificate authority is given, but its address is not https".into()));
        }
        if self.max_http_bytes > limits::BOOTSTRAP_HTTP_MAX_BYTES {
            let (what, max) = ("bootstrap max_http_bytes", limits::BOOTSTRAP_HTTP_MAX_BYTES);
            return Err(Error::TooLarge { what, got: self.max_http_bytes, max });
        }
        let (got, max) = (self.max_peers_per_poll as usize, limits::BOOTSTRAP_PEERS_MAX);
        if got > max {
            return Err(Error::Invalid(format!("bootstrap max_peers_per_poll is {got}, limit is {max}")));
        }
        self.announce_host.as_deref().map_or(Ok(()), |host| dialable(host, 1).map(drop))
    }
}

/// The endpoint of a host and port that came from elsewhere, if it can be dialled.
pub fn dialable(host: &str, port: u16) -> Result<Endpoint> {
    if host.len() > limits::REGISTRY_HOST_MAX_BYTES {
        return Err(Error::Invalid(format!("host of {} bytes, limit is {}", host.len(), limits::REGISTRY_HOST_MAX_BYTES)));
    }
    let endpoint: Endpoint = Endpoint::tcp(host, port).to_string().parse()?;
    // A host with a port or a bracket of its own reads back as another one.
    if endpoint.host == host { Ok(endpoint) } else { Err(Error::Invalid("host is no name and no address".into())) }
}

/// `http://host[:port][/base]` or the same with `https`; an IPv6 host stands in brackets, slashes at the end do not count.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RegistryUrl {
    /// Whether it is https.
    pub https: bool,
    /// Host name or address, without brackets.
    pub host: String,
    /// 80 or 443 unless it is in the text.
    pub port: u16,
    /// Empty, or a path that begins with a slash and does not end with one.
    pub base: String,
}

impl RegistryUrl {
    /// What stands in a Host header: the host, and the port unless it is the scheme's own.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == default_port(self.https) { host } else { format!("{host}:{}", self.port) }
    }

    /// The path a redirect leads to, if it stays at this scheme, host and port.
    pub fn same_place(&self, location: &str) -> Option<String> {
        if location.len() > limits::REGISTRY_URL_MAX_BYTES || !location.bytes().all(|c| c.is_ascii_graphic() && c != b'#' && c != b'\\') {
            return None;
        }
        let path = if location.starts_with('/') {
            location
        } else {
            let (scheme, rest) = location.split_once("://")?;
            let (authority, path) = rest.split_at(rest.find('/')?);
            let there: RegistryUrl = format!("{scheme}://{authority}").parse().ok()?;
            let same = (there.https, there.port) == (self.https, self.port) && there.host.eq_ignore_ascii_case(&self.host);
            if same { path } else { return None }
        };
        // Two slashes begin a host's name.
        (!path.starts_with("//")).then(|| path.to_owned())
    }
}

fn default_port(https: bool) -> u16 {
    if https { 443 } else { 80 }
}

impl fmt::Display for RegistryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http{}://{}{}", if self.https { "s" } else { "" }, self.authority(), self.base)
    }
}

impl FromStr for RegistryUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<RegistryUrl> {
        // The text may hold a password, so it is not quoted.
        let invalid = |why: &str| Error::Invalid(format!("registry address: {why}; expected http://host[:port][/path]"));
        if text.len() > limits::REGISTRY_URL_MAX_BYTES {
            return Err(invalid(&format!("{} bytes, limit is {}", text.len(), limits::REGISTRY_URL_MAX_BYTES)));
        }
        if !text.bytes().all(|c| c.is_ascii_graphic() && !matches!(c, b'"' | b'<' | b'>' | b'\\')) {
            return Err(invalid("it has blanks, quotes or characters other than ASCII"));
        }
        let (scheme, rest) = text.split_once("://").ok_or_else(|| invalid("no http:// in front"))?;
        let https = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return Err(invalid("neither http nor https")),
        };
        if rest.contains(['?', '#', '@']) {
            return Err(invalid("it has a query, a fragment or a user name"));
        }
        let (authority, base) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
        let full = if has_port { authority.to_owned() } else { format!("{authority}:{}", default_port(https)) };
        let Endpoint { host, port, .. } = full.parse().map_err(|_| invalid("no usable host and port"))?;
        Ok(RegistryUrl { https, host, port, base: base.trim_end_matches('/').to_owned() })
    }
}

/// A registry's token. Wiped when dropped, never printed, compared in constant time. What the HTTP library copies of it into a request
/// is not wiped, and the registry gets it whole: it opens a list of addresses, nothing more.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Token(String);

impl Token {
    /// Takes 1 to 1024 visible ASCII characters; white space around them is ignored.
    pub fn new(text: impl Into<String>) -> Result<Token> {
        let text = Zeroizing::new(text.into());
        let token = text.trim();
        if token.is_empty() || token.len() > limits::REGISTRY_TOKEN_MAX_BYTES || !token.bytes().all(|c| c.is_ascii_graphic()) {
            let max = limits::REGISTRY_TOKEN_MAX_BYTES;
            return Err(Error::Invalid(format!("a token is 1 to {max} visible ASCII characters; this one is not")));
        }
        Ok(Token(token.to_owned()))
    }

    /// Whether these are the token's bytes; how long it takes tells at most whether the length is right.
    pub fn is(&self, bytes: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(bytes).into()
    }

    /// The value of an Authorization header.
    pub fn header(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("Bearer {}", self.0))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> RegistryUrl {
        text.parse().expect(text)
    }

    #[test]
    fn a_registry_is_named_with_or_without_port_and_path() {
        for (text, host, port, base) in [
            ("http://r", "r", 80, ""),
            ("http://r/", "r", 80, ""),
            ("HTTP://r:8080", "r", 8080, ""),
            ("http://127.0.0.1:8080/p2p/v1", "127.0.0.1", 8080, "/p2p/v1"),
            ("http://[::1]:8080/p2p/v1/", "::1", 8080, "/p2p/v1"),
            ("http://r/x//", "r", 80, "/x"),
            ("https://[::1]", "::1", 443, ""),
        ] {
            let got = url(text);
            assert_eq!((got.host.as_str(), got.port, got.base.as_str()), (host, port, base), "{text}");
            assert_eq!(url(&got.to_string()), got);
        }
        assert_eq!(url("http://[::1]:8080").authority(), "[::1]:8080");
        assert_eq!(url("https://r").authority(), "r");
    }

    #[test]
    fn an_address_that_is_no_registry_is_refused_and_not_quoted() {
        for text in [
            "",
            "r:80",
            "ftp://r",
            "http://",
            "http://:80",
            "http://r:0",
            "http://u:secret@r",
            "http://r?x",
            "http://r#x",
            "http://r\r\nX: y",
        ] {
            let error = text.parse::<RegistryUrl>().expect_err(text).to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_redirect_stays_at_the_registry_or_is_not_followed() {
        let here = url("http://r:8080/p2p/v1");
        assert_eq!(here.same_place("/x/peers?limit=2").as_deref(), Some("/x/peers?limit=2"));
        assert_eq!(here.same_place("http://R:8080/y").as_deref(), Some("/y"));
        for elsewhere in [
            "//evil/peers",
            "http://r:8080//evil/peers",
            "http://r:8080?y",
            "http://evil:8080/y",
            "http://r/y",
            "https://r:8080/y",
            "http://r:8080@evil/y",
            "peers",
            "/a b",
            "/\\evil",
        ] {
            assert_eq!(here.same_place(elsewhere), None, "{elsewhere}");
        }
    }

    #[test]
    fn a_token_never_shows_itself() {
        let token = Token::new(" secret\n").expect("visible");
        assert_eq!(format!("{token:?}"), "Token(..)");
        assert!(token.is(b"secret") && !token.is(b"secre") && !token.is(b"Secret"));
        assert!(Token::new("two words").is_err() && Token::new(" ").is_err());
    }

    #[test]
    fn settings_of_a_bootstrap_that_cannot_work_are_refused() {
        let good = BootstrapConfig::new(url("http://r"));
        assert!(good.validate().is_ok());
        assert!(BootstrapConfig { poll_interval: Duration::ZERO, ..good.clone() }.validate().is_err());
        assert!(BootstrapConfig { max_http_bytes: usize::MAX, ..good.clone() }.validate().is_err());
        assert!(BootstrapConfig { max_peers_per_poll: u32::MAX, ..good.clone() }.validate().is_err());
        assert!(BootstrapConfig { announce_host: Some("a b".into()), ..good }.validate().is_err());
    }

    #[test]
    fn a_host_that_hides_a_port_or_a_bracket_cannot_be_dialled() {
        assert!(dialable("::1", 1).is_ok() && dialable("node-b", 1).is_ok());
        for host in ["", "[::1]", "a/b", "a b", "x://y", &"h".repeat(254)] {
            assert!(dialable(host, 1).is_err(), "{host}");
        }
        assert!(dialable("h", 0).is_err());
    }
}
