//! The nouns every room shares: ids, endpoints, time, limits, reasons, errors, events, configuration.
//!
//! Never imports another room, and never does anything but describe.

pub mod answer;
pub mod batch;
pub mod bootstrap;
pub mod close;
pub mod config;
pub mod discovery;
pub mod endpoint;
pub mod error;
pub mod event;
pub mod id;
pub mod invite;
pub mod limits;
pub mod log;
pub mod passphrase;
pub mod peer_state;
pub mod retain;
pub mod route;
pub mod stats;
pub mod time;
pub mod trust;

pub use batch::DataBatch;
pub use bootstrap::{BootstrapConfig, BootstrapMode, RegistryUrl};
pub use close::CloseReason;
pub use config::Config;
pub use discovery::{Discovered, DiscoveryConfig, DiscoveryMode};
pub use endpoint::Endpoint;
pub use error::{Error, Result};
pub use event::{Direction, Event};
pub use id::{Incarnation, LinkId, LogId, LogRange, PeerId, PeerInfo};
pub use invite::Invite;
pub use log::Level;
pub use passphrase::Passphrase;
pub use peer_state::{HandshakeStage, PeerState};
pub use retain::SnapshotConfig;
pub use stats::{Stats, Unread};
pub use time::Time;
pub use trust::{TrustEntry, TrustPolicy, TrustState, TrustTable};
