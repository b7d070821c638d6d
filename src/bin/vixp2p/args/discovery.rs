//! The options of discovery. Never opens a socket.

use std::time::Duration;

use clap::Args;
use vixp2p::base::{DiscoveryConfig, DiscoveryMode, limits};

use super::Switch;

/// How a node looks for others on its networks. The less common ones stand in docs/cli/run.md only, so that the help fits a screen.
#[derive(Args, Clone, Debug)]
pub(crate) struct DiscoveryArgs {
    /// Find nodes on the own networks, and be found [default: on]
    #[arg(long, value_name = "on|off", default_value = "on", hide_default_value = true, hide_possible_values = true)]
    pub(crate) discovery: Switch,
    /// The same by mDNS/DNS-SD, beside it or instead of it
    #[arg(long, value_name = "on|off", default_value = "off", hide = true, hide_possible_values = true)]
    pub(crate) mdns: Switch,
    /// Network interface for it; repeatable [default: all but loopback]
    #[arg(long, value_name = "NAME", value_parser = interface)]
    pub(crate) disc_iface: Vec<String>,
    /// UDP port
    #[arg(long, value_name = "PORT", default_value_t = limits::DISCOVERY_PORT, hide = true, allow_negative_numbers = true, value_parser = port)]
    pub(crate) disc_port: u16,
    /// broadcast, multicast or both
    #[arg(long, value_name = "MODE", default_value = "broadcast", hide = true, value_parser = mode)]
    pub(crate) disc_mode: DiscoveryMode,
    /// Time between two announcements
    #[arg(long, value_name = "MS", default_value = "2000", hide = true, allow_negative_numbers = true, value_parser = interval)]
    pub(crate) disc_interval: Duration,
}

impl DiscoveryArgs {
    /// The node's settings; `None` = off.
    pub(crate) fn config(&self) -> Option<DiscoveryConfig> {
        let defaults = DiscoveryConfig::default();
        let (on, mdns) = (self.discovery == Switch::On, self.mdns == Switch::On);
        (on || mdns).then(|| DiscoveryConfig {
            port: self.disc_port,
            mode: if on { self.disc_mode } else { DiscoveryMode::Off },
            mdns,
            announce_interval: self.disc_interval,
            // Silence is told from a pause between two announcements.
            seen_ttl: defaults.seen_ttl.max(3 * self.disc_interval),
            interfaces: self.disc_iface.clone(),
            ..defaults
        })
    }
}

fn interface(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("it is empty; name an interface".into()) } else { Ok(text.to_owned()) }
}

fn port(text: &str) -> Result<u16, String> {
    text.parse().ok().filter(|port| *port > 0).ok_or_else(|| "expected a port from 1 to 65535".to_owned())
}

fn mode(text: &str) -> Result<DiscoveryMode, String> {
    match text {
        "broadcast" => Ok(DiscoveryMode::Broadcast),
        "multicast" => Ok(DiscoveryMode::Multicast),
        "both" => Ok(DiscoveryMode::Both),
        _ => Err("expected broadcast, multicast or both".into()),
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    let least = limits::ANNOUNCE_INTERVAL_MIN;
    let given = text.parse::<u32>().ok().map(|ms| Duration::from_millis(ms.into())).filter(|given| *given >= least);
    given.ok_or_else(|| format!("expected a whole number from {} to {}", least.as_millis(), u32::MAX))
}
