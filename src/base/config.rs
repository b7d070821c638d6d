//! What a node is told at birth. Never reads files or the environment.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::base::bootstrap::BootstrapConfig;
use crate::base::discovery::DiscoveryConfig;
use crate::base::endpoint::Endpoint;
use crate::base::error::{Error, Result};
use crate::base::id::from_hex;
use crate::base::limits;
use crate::base::passphrase::Passphrase;
use crate::base::retain::SnapshotConfig;
use crate::base::trust::TrustPolicy;

/// Where to accept connections.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Listen {
    /// Nowhere: this node only dials.
    #[default]
    Off,
    /// On this address and port; port 0 takes any free one.
    On {
        /// An IP address, or empty for every interface, IPv4 and IPv6.
        host: String,
        /// TCP port; 0 = any free port.
        port: u16,
    },
}

/// Which key agreements a node offers and accepts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum KeyAgreement {
    /// X-Wing (X25519 and ML-KEM-768 together) with everybody who knows it, X25519 with the others.
    #[default]
    Any,
    /// X-Wing or nothing: what is recorded today cannot be opened by a quantum computer of tomorrow.
    PostQuantum,
    /// X25519 only: 2.3 KB less in a handshake.
    Classic,
}

/// What an append waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Durability {
    /// The disk: what is acknowledged survives a power cut.
    #[default]
    Durable,
    /// The operating system: what is acknowledged survives the end of the process, killed or not. The last moments before a power cut or
    /// a crash of the machine may be lost; peers get records only when they are durable, so nobody misses what they never saw.
    Buffered,
}

/// A 32-byte secret shared by the members of a cluster. Wiped when dropped, never printed.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Psk([u8; 32]);

impl Psk {
    /// Takes the secret's bytes.
    pub fn new(bytes: [u8; 32]) -> Psk {
        Psk(bytes)
    }

    /// Reads 64 hex digits; surrounding white space is ignored.
    pub fn from_hex(text: &str) -> Result<Psk> {
        let mut bytes = from_hex(text.trim())
            .ok_or_else(|| Error::Invalid("a pre-shared key is 64 hex digits; this text has other characters or an odd length".into()))?;
        let key = <[u8; 32]>::try_from(bytes.as_slice());
        let got = bytes.len();
        bytes.zeroize();
        key.map(Psk).map_err(|_| Error::Invalid(format!("a pre-shared key is 64 hex digits, this one has {}", got * 2)))
    }

    /// The secret's bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Psk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Psk(..)")
    }
}

/// A node's settings. `Config::new` gives the defaults; change the fields that matter.
#[derive(Clone, Debug)]
pub struct Config {
    /// A label for people, at most 255 bytes; bound under this node's signature, never an authority.
    pub node_id: String,
    /// Where to accept connections.
    pub listen: Listen,
    /// Further places to accept connections at, `LISTEN_ENDPOINTS_MAX` at most: `tcp://ADDRESS:PORT`, `unix:///path`, `mem://name`.
    pub listen_also: Vec<Endpoint>,
    /// The port that discovery and the registry tell others in place of the one listened on; `None` = that one. For nodes behind a
    /// port that is forwarded, and for programs whose listener is another node.
    pub announce_port: Option<u16>,
    /// With a data directory: notes where peers were reached, and dials them again at the next start.
    pub remember_peers: bool,
    /// Identity, log and address book live here; `None` = an ephemeral node whose identity and log die with it.
    pub data_dir: Option<PathBuf>,
    /// Opens the key file if it is sealed, and seals the one that is made; `None` = the key file is not sealed. Wiped once the node is open.
    pub key_passphrase: Option<Passphrase>,
    /// Without a data directory: the key file of this node's identity, which exists; `None` = a fresh identity each time.
    pub key_file: Option<PathBuf>,
    /// The cluster's secret; nodes without it are turned away before any curve work.
    pub psk: Option<Psk>,
    /// The secret before `psk`, accepted as well while the cluster changes over: a node dials with the newer one, then with this.
    pub psk_previous: Option<Psk>,
    /// Key agreements offered and accepted.
    pub key_agreement: KeyAgreement,
    /// Age of a link's traffic keys at which this side steps to the next ones.
    pub rekey_after: Duration,
    /// Age at which the dialling side agrees on fresh keys with the peer, which ends what a stolen key can open.
    pub fresh_keys_after: Duration,
    /// Connected peers allowed.
    pub max_peers: usize,
    /// From TCP up to an authenticated link.
    pub handshake_timeout: Duration,
    /// Silence after which a Ping goes out.
    pub heartbeat_interval: Duration,
    /// Silence after which a link is closed.
    pub stale_after: Duration,
    /// Told to peers inside the handshake.
    pub capabilities: BTreeMap<String, String>,
    /// Whether anything is dialled at all; `false` refuses `connect` too.
    pub dial: bool,
    /// Whose keys are trusted; `None` = tofu with a pre-shared key, open without one. Records are exchanged with trusted peers only.
    pub trust: Option<TrustPolicy>,
    /// What an append waits for while the node runs. Records of others are always durable before they are acknowledged.
    pub durability: Durability,
    /// Causal mode: this node's records say what its application had applied before them, and records of others come to the application
    /// after those that they name. Off = no order among the logs of different nodes.
    pub causal: bool,
    /// The registry to find peers by; `None` = none is asked.
    pub bootstrap: Option<BootstrapConfig>,
    /// Looks for nodes on the networks of this machine, and is found there; `None` = neither.
    pub discovery: Option<DiscoveryConfig>,
    /// Passes messages of others on, between peers that are both trusted.
    pub relay: bool,
    /// Tells trusted peers where the others accept connections, and dials whom they name.
    pub peer_exchange: bool,
    /// Snapshots, and how long records are kept for others.
    pub snapshots: SnapshotConfig,
}

impl Config {
    /// The defaults under a label.
    pub fn new(node_id: impl Into<String>) -> Config {
        Config {
            node_id: node_id.into(),
            listen: Listen::Off,
            listen_also: Vec::new(),
            announce_port: None,
            remember_peers: true,
            data_dir: None,
            key_passphrase: None,
            key_file: None,
            psk: None,
            psk_previous: None,
            key_agreement: KeyAgreement::Any,
            rekey_after: limits::REKEY_AFTER,
            fresh_keys_after: limits::FRESH_KEYS_AFTER,
            max_peers: limits::MAX_PEERS_DEFAULT,
            handshake_timeout: limits::HANDSHAKE_DEADLINE,
            heartbeat_interval: limits::HEARTBEAT_INTERVAL,
            stale_after: limits::STALE_AFTER,
            capabilities: BTreeMap::new(),
            dial: true,
            trust: None,
            durability: Durability::Durable,
            causal: false,
            bootstrap: None,
            discovery: None,
            relay: true,
            peer_exchange: true,
            snapshots: SnapshotConfig::default(),
        }
    }

    /// The trust policy in force.
    pub fn trust_policy(&self) -> TrustPolicy {
        self.trust.unwrap_or(if self.psk.is_some() { TrustPolicy::Tofu } else { TrustPolicy::Open })
    }

    /// Checks every field against its limit.
    pub fn validate(&self) -> Result<()> {
        let too_large = |what, got, max| if got > max { Err(Error::TooLarge { what, got, max }) } else { Ok(()) };
        if self.node_id.is_empty() {
            return Err(Error::Invalid("node_id is empty; give the node a label".into()));
        }
        too_large("node_id", self.node_id.len(), limits::NODE_ID_MAX_BYTES)?;
        too_large("capabilities", self.capabilities.len(), limits::CAPABILITIES_MAX)?;
        for (key, value) in &self.capabilities {
            too_large("capability key", key.len(), limits::CAPABILITY_MAX_BYTES)?;
            too_large("capability value", value.len(), limits::CAPABILITY_MAX_BYTES)?;
        }
        let together = self.capabilities.iter().map(|(key, value)| key.len() + value.len()).sum();
        too_large("capabilities together", together, limits::CAPABILITIES_TOTAL_MAX_BYTES)?;
        too_large("listen_also", self.listen_also.len(), limits::LISTEN_ENDPOINTS_MAX)?;
        if self.key_passphrase.is_some() && self.data_dir.is_none() && self.key_file.is_none() {
            return Err(Error::Invalid("key_passphrase is set, but without data_dir there is no key file to seal".into()));
        }
        if self.key_file.is_some() && self.data_dir.is_some() {
            return Err(Error::Invalid("key_file and data_dir are both set; a data directory has its own key file".into()));
        }
        if self.max_peers == 0 {
            return Err(Error::Invalid("max_peers is 0; a node needs room for one peer".into()));
        }
        if self.heartbeat_interval.is_zero() || self.stale_after <= self.heartbeat_interval {
            return Err(Error::Invalid("stale_after must be longer than heartbeat_interval, and both longer than zero".into()));
        }
        if self.psk_previous.is_some() && self.psk.is_none() {
            return Err(Error::Invalid("psk_previous without psk: give the current pre-shared key too".into()));
        }
        if self.rekey_after.is_zero() || self.fresh_keys_after.is_zero() {
            return Err(Error::Invalid("rekey_after and fresh_keys_after must be longer than zero".into()));
        }
        if self.handshake_timeout.is_zero() {
            return Err(Error::Invalid("handshake_timeout is zero".into()));
        }
        self.bootstrap.as_ref().map_or(Ok(()), BootstrapConfig::validate)?;
        self.snapshots.validate()?;
        self.discovery.as_ref().map_or(Ok(()), DiscoveryConfig::validate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pre_shared_key_never_shows_itself() {
        let psk = Psk::from_hex(&"5a".repeat(32)).expect("64 digits");
        assert_eq!(format!("{psk:?}"), "Psk(..)");
    }

    #[test]
    fn a_pre_shared_key_of_another_length_is_refused_with_its_length() {
        assert!(Psk::from_hex("5a5a").expect_err("short").to_string().contains("has 4"));
        assert!(Psk::from_hex("hello").is_err());
    }

    #[test]
    fn settings_that_cannot_work_are_refused() {
        let mut config = Config::new("");
        assert!(config.validate().is_err());
        config.node_id = "n".repeat(256);
        assert!(config.validate().is_err());
        config.node_id = "n".into();
        assert!(config.validate().is_ok());
        config.key_passphrase = Some(Passphrase::new(b"p".to_vec()).expect("short"));
        assert!(config.validate().is_err(), "no directory");
        config.data_dir = Some("d".into());
        assert!(config.validate().is_ok());
        config.key_file = Some("k".into());
        assert!(config.validate().is_err(), "two keys");
        config.data_dir = None;
        assert!(config.validate().is_ok());
        config.stale_after = config.heartbeat_interval;
        assert!(config.validate().is_err());
    }

    #[test]
    fn capabilities_that_do_not_fit_an_identity_together_are_refused() {
        let mut config = Config::new("n");
        for i in 0..4 {
            config.capabilities.insert(format!("{i}{}", "k".repeat(250)), "v".repeat(250));
        }
        assert!(config.validate().is_err(), "2,004 bytes");
        config.capabilities.pop_last();
        assert!(config.validate().is_ok(), "1,503 bytes");
    }
}
