//! How a node looks for others on its own networks, and what it has found there.
//!
//! Never sends and never listens: `discovery` decides, `driver/beacon` carries.

use core::net::Ipv4Addr;
use std::time::Duration;

use serde::Serialize;

use crate::base::endpoint::Endpoint;
use crate::base::error::{Error, Result};
use crate::base::limits;

/// By which addresses announcements go out. Both kinds are listened to unless it is off.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum DiscoveryMode {
    /// IPv4 broadcast, and the group of all nodes in IPv6.
    #[default]
    Broadcast,
    /// A multicast group.
    Multicast,
    /// One after the other.
    Both,
    /// Neither, and nothing is listened to: for a node that uses mDNS alone.
    Off,
}

impl DiscoveryMode {
    /// Whether broadcasts go out.
    pub fn broadcasts(self) -> bool {
        matches!(self, DiscoveryMode::Broadcast | DiscoveryMode::Both)
    }

    /// Whether the multicast group is sent to.
    pub fn multicasts(self) -> bool {
        matches!(self, DiscoveryMode::Multicast | DiscoveryMode::Both)
    }
}

/// The settings of discovery; the label and the port that are announced are the node's own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DiscoveryConfig {
    /// UDP port that every node of a network uses.
    pub port: u16,
    /// How announcements go out.
    pub mode: DiscoveryMode,
    /// Time between two announcements.
    pub announce_interval: Duration,
    /// Silence after which a node is forgotten.
    pub seen_ttl: Duration,
    /// Least time between two dials of one endpoint because of announcements.
    pub connect_cooldown: Duration,
    /// Longest datagram sent or read; the format's own limit of 512 bytes holds as well.
    pub max_packet_bytes: usize,
    /// The IPv4 group; IPv6 takes the link-local group ff12:: with the same last 32 bits.
    pub multicast_group: Ipv4Addr,
    /// Names of the interfaces to use; none = every interface but loopback.
    pub interfaces: Vec<String>,
    /// Beside it, or instead of it: this node as a DNS-SD service, and others of that kind as if they had announced themselves. With a
    /// pre-shared key this node is named and dials nobody for it, because mDNS proves nothing. Needs the cargo feature `mdns`.
    pub mdns: bool,
}

impl Default for DiscoveryConfig {
    fn default() -> DiscoveryConfig {
        DiscoveryConfig {
            port: limits::DISCOVERY_PORT,
            mode: DiscoveryMode::Broadcast,
            announce_interval: limits::ANNOUNCE_INTERVAL,
            seen_ttl: limits::DISCOVERED_TTL,
            connect_cooldown: limits::DISCOVERED_COOLDOWN,
            max_packet_bytes: limits::DISCOVERY_PACKET_BYTES,
            multicast_group: Ipv4Addr::new(239, 255, 0, 1),
            interfaces: Vec::new(),
            mdns: false,
        }
    }
}

impl DiscoveryConfig {
    /// Checks every field against its limit.
    pub fn validate(&self) -> Result<()> {
        if self.port == 0 {
            return Err(Error::Invalid("discovery port is 0; nodes meet on one they all know".into()));
        }
        if self.announce_interval < limits::ANNOUNCE_INTERVAL_MIN {
            let (got, min) = (self.announce_interval.as_millis(), limits::ANNOUNCE_INTERVAL_MIN.as_millis());
            return Err(Error::Invalid(format!("announce interval is {got} ms, the least is {min} ms")));
        }
        if self.seen_ttl <= self.announce_interval {
            return Err(Error::Invalid("discovered nodes must be kept for longer than the announce interval".into()));
        }
        if self.connect_cooldown.is_zero() {
            return Err(Error::Invalid("the connect cooldown of discovery is zero".into()));
        }
        if self.max_packet_bytes < limits::DISCOVERY_PACKET_MIN_BYTES {
            let (got, min) = (self.max_packet_bytes, limits::DISCOVERY_PACKET_MIN_BYTES);
            return Err(Error::Invalid(format!("discovery packets of {got} bytes hold no announcement; the least is {min}")));
        }
        if !self.multicast_group.is_multicast() {
            return Err(Error::Invalid(format!("{} is no multicast group; one begins with 224 to 239", self.multicast_group)));
        }
        if self.mdns && cfg!(not(feature = "mdns")) {
            return Err(Error::Invalid("this library was built without mDNS; build it with the cargo feature mdns".into()));
        }
        if self.mode == DiscoveryMode::Off && !self.mdns {
            return Err(Error::Invalid("discovery sends no announcements and has no mDNS; choose one of them, or no discovery".into()));
        }
        let (got, max) = (self.interfaces.len(), limits::DISCOVERY_INTERFACES_MAX);
        if got > max { Err(Error::TooLarge { what: "discovery interfaces", got, max }) } else { Ok(()) }
    }
}

/// A node that announces itself on a network of this one. A rumour unless `authenticated`: nobody has seen its key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Discovered {
    /// The label it announces.
    pub node_id: String,
    /// The address its datagrams come from, and the port it announces.
    pub endpoint: Endpoint,
    /// Whether it has shown that it knows the cluster's secret, and is there now.
    pub authenticated: bool,
    /// How long ago it was heard.
    pub last_seen_ms_ago: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_announcements_neither_way_of_sending_is_meant() {
        assert!(!DiscoveryMode::Off.broadcasts() && !DiscoveryMode::Off.multicasts());
        assert!(DiscoveryMode::Both.broadcasts() && DiscoveryMode::Both.multicasts());
        let alone = DiscoveryConfig { mode: DiscoveryMode::Off, mdns: true, ..DiscoveryConfig::default() };
        assert_eq!(alone.validate().is_ok(), cfg!(feature = "mdns"));
    }

    #[test]
    fn the_defaults_are_those_of_v1() {
        let config = DiscoveryConfig::default();
        assert!(config.validate().is_ok());
        let times = [config.announce_interval, config.seen_ttl, config.connect_cooldown].map(|time| time.as_millis());
        assert_eq!((config.port, times, config.max_packet_bytes), (37_020, [2_000, 15_000, 8_000], 1_024));
        assert_eq!(config.multicast_group.to_string(), "239.255.0.1");
    }

    #[test]
    fn settings_that_cannot_work_are_refused() {
        let refused = |change: fn(&mut DiscoveryConfig)| {
            let mut config = DiscoveryConfig::default();
            change(&mut config);
            config.validate().expect_err("unusable").to_string()
        };
        assert!(refused(|c| c.port = 0).contains("port"));
        assert!(refused(|c| c.announce_interval = Duration::from_millis(99)).contains("99 ms"));
        assert!(refused(|c| c.seen_ttl = c.announce_interval).contains("longer"));
        assert!(refused(|c| c.connect_cooldown = Duration::ZERO).contains("zero"));
        assert!(refused(|c| c.max_packet_bytes = 255).contains("255"));
        assert!(refused(|c| c.multicast_group = Ipv4Addr::LOCALHOST).contains("127.0.0.1"));
        assert!(refused(|c| c.interfaces = vec!["lo".into(); 65]).contains("65"));
        assert!(refused(|c| c.mode = DiscoveryMode::Off).contains("no mDNS"));
    }
}
