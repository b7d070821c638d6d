//! The options of registries: of a node that asks one, and of the registry itself.
//!
//! Never opens a file or a socket.

use std::path::PathBuf;

use clap::Args;
use vixp2p::Error;
use vixp2p::base::bootstrap::{Token, dialable};
use vixp2p::base::config::Listen;
use vixp2p::base::{RegistryUrl, limits};

use super::place::listen_tcp;
use super::{Switch, from_one, path};

/// How a node finds peers at a registry.
#[derive(Args, Clone, Debug)]
pub(crate) struct BootstrapArgs {
    /// Whether a registry is asked [default: on with --registry]
    #[arg(long, value_name = "on|off", hide = true)]
    pub(crate) bootstrap: Option<Switch>,
    /// Find peers at this registry, and be found there
    #[arg(long, value_name = "URL", value_parser = registry_url)]
    pub(crate) registry: Option<RegistryUrl>,
    /// Ask the registry this often [default: 15]
    #[arg(long, value_name = "S", hide = true, default_value = "15", allow_negative_numbers = true, value_parser = from_one)]
    pub(crate) boot_interval: u32,
    /// Tell the registry where this node listens [default: on]
    #[arg(long, value_name = "on|off", hide = true)]
    pub(crate) announce: Option<Switch>,
    /// Host to announce instead of the address the registry sees
    #[arg(long, value_name = "HOST", hide = true, value_parser = announce_host)]
    pub(crate) announce_host: Option<String>,
    /// First line is the registry's token
    #[arg(long, value_name = "FILE", hide = true, value_parser = path)]
    pub(crate) registry_token_file: Option<PathBuf>,
    /// Certificate authorities of an https registry, as PEM
    #[arg(long, value_name = "FILE", hide = true, value_parser = path)]
    pub(crate) registry_ca: Option<PathBuf>,
}

impl BootstrapArgs {
    /// The registry that is asked, if one is.
    pub(crate) fn url(&self) -> Option<RegistryUrl> {
        let wanted = self.bootstrap.map_or(self.registry.is_some(), |bootstrap| bootstrap == Switch::On);
        let here = || RegistryUrl { https: false, host: "127.0.0.1".into(), port: 8080, base: "/p2p/v1".into() };
        wanted.then(|| self.registry.clone().unwrap_or_else(here))
    }
}

/// Runs a registry.
#[derive(Args, Debug)]
pub(crate) struct RegistryArgs {
    /// PORT (every interface) or HOST:PORT to listen on
    #[arg(long, value_name = "PORT", allow_negative_numbers = true, value_parser = place)]
    pub(crate) listen: Listen,
    /// Keep the entries in FILE over a restart [default: in memory]
    #[arg(long, value_name = "FILE", value_parser = path)]
    pub(crate) data: Option<PathBuf>,
    /// Life of an entry that is not announced again
    #[arg(long, value_name = "S", default_value_t = limits::REGISTRY_TTL_DEFAULT.as_secs() as u32, allow_negative_numbers = true, value_parser = ttl)]
    pub(crate) ttl: u32,
    /// What every request must show; other users of this machine see it here, so --token-file is better
    #[arg(long, value_name = "TOKEN", conflicts_with = "token_file", value_parser = token)]
    pub(crate) token: Option<Token>,
    /// First line is what every request must show
    #[arg(long, value_name = "FILE", value_parser = path)]
    pub(crate) token_file: Option<PathBuf>,
}

fn place(text: &str) -> Result<Listen, String> {
    listen_tcp(text).ok_or_else(|| "expected a port (0-65535) or an IP address and port like 127.0.0.1:9001 or [::1]:9001".to_owned())
}

fn registry_url(text: &str) -> Result<RegistryUrl, String> {
    text.parse().map_err(|error: Error| error.to_string())
}

fn announce_host(text: &str) -> Result<String, String> {
    dialable(text, 1).map(|endpoint| endpoint.host).map_err(|_| "expected a host name or an IP address without brackets".to_owned())
}

fn token(text: &str) -> Result<Token, String> {
    Token::new(text).map_err(|error| error.to_string())
}

fn ttl(text: &str) -> Result<u32, String> {
    let most = limits::REGISTRY_TTL_MAX.as_secs() as u32;
    text.parse().ok().filter(|s| (1..=most).contains(s)).ok_or_else(|| format!("expected a whole number from 1 to {most}"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    #[test]
    fn a_registry_is_asked_if_it_is_named_or_if_that_is_wanted() {
        let asked = |options: &[&str]| {
            let line = [&["vixp2p", "--id=n", "--listen=0"], options].concat();
            crate::args::Cli::try_parse_from(line).expect("understood").node.bootstrap.url().map(|url| url.to_string())
        };
        assert_eq!(asked(&[]), None);
        assert_eq!(asked(&["--bootstrap=on"]).as_deref(), Some("http://127.0.0.1:8080/p2p/v1"));
        assert_eq!(asked(&["--registry=http://r"]).as_deref(), Some("http://r"));
        assert_eq!(asked(&["--registry=http://r", "--bootstrap=off"]), None);
    }
}
