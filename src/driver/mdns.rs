//! mDNS/DNS-SD beside the announcements of discovery: this node as a service that every tool can list, and others of the kind told to
//! the discovery machine as rumours. The crate's thread speaks and hears, the one here waits for what it has resolved.
//!
//! Never dials and believes nobody: only addresses on this machine's own networks are told on. With a secret nobody is looked for.

mod names;
mod watch;

use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::sync::Arc;
use std::thread::JoinHandle;

use if_addrs::{IfAddr, Interface};
use mdns_sd::{IfKind, IfPredicate, RecvTimeoutError, ResolvedService, ScopedIp, ServiceDaemon, ServiceEvent, ServiceInfo};
use parking_lot::Mutex;

use crate::base::config::Listen;
use crate::base::event::printable;
use crate::base::{DiscoveryConfig, Time, limits};
use crate::discovery::Discovery;
use crate::driver::beacon::Ending;
use crate::driver::{Shell, paths, runtime};

use names::Names;
use watch::Watch;

const SERVICE: &str = "_vixp2p._tcp.local.";

/// What a node says of itself.
#[derive(Debug)]
pub(super) struct Naming {
    pub(super) node_id: String,
    /// 0 = nothing is said.
    pub(super) port: u16,
    /// Whether others are looked for.
    pub(super) look: bool,
    /// Part of the names, by which this run of the node knows itself.
    pub(super) run: u64,
}

/// mDNS under way. Dropping it says goodbye and waits for that.
pub(super) struct Mdns {
    daemon: ServiceDaemon,
    listener: Option<JoinHandle<()>>,
}

impl Mdns {
    /// Begins: two threads, in the network of the one that calls this.
    pub(super) fn start(
        (config, listen): (&DiscoveryConfig, &Listen),
        naming: &Naming,
        (machine, ending): (Arc<Mutex<Discovery>>, Arc<Ending>),
        shell: &Arc<Shell>,
    ) -> Result<Mdns, String> {
        let failed = |e: mdns_sd::Error| e.to_string();
        let daemon = ServiceDaemon::new().map_err(failed)?;
        let mut mdns = Mdns { daemon, listener: None };
        let wanted = {
            let (config, listen) = (config.clone(), listen.clone());
            move |interface: &Interface| paths::is_wanted(&config, &listen, interface)
        };
        let unwanted = {
            let wanted = wanted.clone();
            move |interface: &Interface| !wanted(interface)
        };
        // Before anything is said: what comes up later is judged by it too.
        mdns.daemon.disable_interface(IfKind::Predicate(IfPredicate::new(unwanted))).map_err(failed)?;
        mdns.daemon.set_ip_check_interval(limits::DISCOVERY_RESCAN.as_secs() as u32).map_err(failed)?;
        if naming.port != 0 {
            let mut service = naming.service().map_err(failed)?;
            service.set_interfaces(vec![IfKind::Predicate(IfPredicate::new(wanted))]);
            mdns.daemon.register(service).map_err(failed)?;
        }
        let watch = Watch::new(mdns.daemon.clone(), shell.now());
        let listen: Box<dyn FnOnce(&Shell) + Send> = if naming.look {
            let (daemon, config, listen) = (mdns.daemon.clone(), config.clone(), listen.clone());
            let (names, networks) = (Names::default(), (Vec::new(), Time::ZERO));
            let ears = Ears { daemon, config, listen, own: naming.own(), machine, ending, watch, names, networks };
            Box::new(|shell| ears.run(shell))
        } else {
            Box::new(move |shell| watch.run(shell, &ending))
        };
        let shell = shell.clone();
        // Signals are blocked on the thread that calls this, and so on both of these.
        mdns.listener = Some(runtime::spawn("vixp2p-mdns", None, move || listen(&shell)).map_err(|e| e.to_string())?);
        Ok(mdns)
    }
}

impl Drop for Mdns {
    fn drop(&mut self) {
        // Its goodbye takes nothing but a turn of the other thread.
        if let Ok(ended) = self.daemon.shutdown() {
            let _ = ended.recv_timeout(limits::MDNS_GOODBYE_GRACE);
        }
        if let Some(listener) = self.listener.take() {
            listener.thread().unpark();
            let _ = listener.join();
        }
    }
}

impl std::fmt::Debug for Mdns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mdns")
    }
}

impl Naming {
    /// What the names of this run's service end with.
    fn own(&self) -> String {
        format!("-{:016x}.{SERVICE}", self.run)
    }

    fn service(&self) -> mdns_sd::Result<ServiceInfo> {
        let label = printable(&self.node_id);
        let name = format!("{}-{:016x}", cut(&label, limits::MDNS_NAME_LABEL_MAX_BYTES), self.run);
        let host = format!("vixp2p-{:016x}.local.", self.run);
        let about = [("id", cut(&label, limits::MDNS_LABEL_MAX_BYTES)), ("proto", "1.0")];
        let mut service = ServiceInfo::new(SERVICE, &name, &host, (), self.port, &about[..])?.enable_addr_auto();
        // 64 random bits are nobody else's names: nothing to ask for, and to wait for, first.
        service.set_requires_probe(false);
        Ok(service)
    }
}

/// The first bytes of a text, whole characters.
fn cut(text: &str, max: usize) -> &str {
    let end = (0..=max.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    &text[..end]
}

/// An address of an interface, and its index.
type Network = (Option<u32>, IfAddr);

/// What hears the crate's thread.
struct Ears {
    daemon: ServiceDaemon,
    config: DiscoveryConfig,
    listen: Listen,
    own: String,
    machine: Arc<Mutex<Discovery>>,
    ending: Arc<Ending>,
    watch: Watch,
    names: Names,
    /// The own networks, and when they were looked at.
    networks: (Vec<Network>, Time),
}

impl Ears {
    fn run(mut self, shell: &Shell) {
        let Ok(mut found) = self.daemon.browse(SERVICE) else { return };
        let mut again = shell.now();
        while !self.ending.is_near() {
            match found.recv_timeout(again.min(self.watch.due()).since(shell.now())) {
                Ok(event) => self.take(shell, event),
                Err(RecvTimeoutError::Timeout) => {}
                // This thread was too slow for what came: everything is asked for anew, but not at once.
                Err(RecvTimeoutError::Disconnected) => {
                    std::thread::park_timeout(limits::DISCOVERY_RESCAN);
                    let Ok(anew) = self.daemon.browse(SERVICE) else { return };
                    found = anew;
                    let gone = self.names.lost();
                    self.forget(gone);
                }
            }
            if self.names.are_too_many() {
                return watch::end(&self.daemon, shell, &format!("names more than {} nodes", limits::MDNS_NAMES_MAX));
            }
            if self.watch.is_over(shell) {
                return;
            }
            if again <= shell.now() {
                again = shell.now() + self.config.announce_interval.min(limits::ANNOUNCE_INTERVAL);
                self.look_at_networks(shell.now());
                self.names.standing().for_each(|(label, places)| self.tell(shell.now(), label, places));
                self.ending.wake();
            }
        }
    }

    fn take(&mut self, shell: &Shell, event: ServiceEvent) {
        match event {
            ServiceEvent::ServiceFound(_, name) => self.names.found(name),
            ServiceEvent::ServiceRemoved(_, name) => {
                let gone = self.names.removed(&name);
                self.forget(gone);
            }
            ServiceEvent::ServiceResolved(service) if !service.fullname.to_ascii_lowercase().ends_with(&self.own) => {
                let now = shell.now();
                if now.since(self.networks.1) >= limits::MDNS_NETWORKS_EVERY || self.networks.0.is_empty() {
                    self.look_at_networks(now);
                }
                let (label, places) = self.read(&service);
                self.tell(now, &label, &places);
                let gone = self.names.resolved(service.fullname, label, places);
                self.forget(gone);
                self.ending.wake();
            }
            _ => {}
        }
    }

    fn tell(&self, now: Time, label: &str, places: &[SocketAddr]) {
        places.iter().for_each(|place| self.machine.lock().named(now, *place, label));
    }

    fn forget(&self, places: Vec<SocketAddr>) {
        places.into_iter().for_each(|place| self.machine.lock().unnamed(place));
    }

    fn look_at_networks(&mut self, now: Time) {
        let all = if_addrs::get_if_addrs().unwrap_or_default();
        let wanted = all.into_iter().filter(|interface| paths::is_wanted(&self.config, &self.listen, interface));
        self.networks = (wanted.map(|interface| (interface.index, interface.addr)).collect(), now);
    }

    /// The label and the addresses of a service that are on the own networks.
    fn read(&self, service: &ResolvedService) -> (String, Vec<SocketAddr>) {
        let label = service.txt_properties.get_property_val_str("id").unwrap_or("");
        let places = service.addresses.iter().filter_map(|address| place(address, service.port, &self.networks.0));
        (cut(label, limits::MDNS_LABEL_MAX_BYTES).to_owned(), places.take(limits::MDNS_ADDRESSES_MAX).collect())
    }
}

/// Where an address and port lead, if they lead to a neighbour: who names a machine far away names it to have it dialled by many.
fn place(address: &ScopedIp, port: u16, networks: &[Network]) -> Option<SocketAddr> {
    match address.to_ip_addr() {
        IpAddr::V6(ip) if ip.is_unicast_link_local() => {
            let ScopedIp::V6(scoped) = address else { return None };
            let index = scoped.scope_id().index;
            let ours = networks.iter().any(|(of, address)| *of == Some(index) && address.ip().is_ipv6());
            ours.then_some(SocketAddr::V6(SocketAddrV6::new(ip, port, 0, index)))
        }
        ip => networks.iter().any(|(_, address)| is_beside(address, ip)).then_some(SocketAddr::new(ip, port)),
    }
}

/// Whether an address is of the same subnet.
fn is_beside(own: &IfAddr, ip: IpAddr) -> bool {
    match (own, ip) {
        (IfAddr::V4(own), IpAddr::V4(ip)) => (u32::from(own.ip) ^ u32::from(ip)) & u32::from(own.netmask) == 0,
        (IfAddr::V6(own), IpAddr::V6(ip)) => (u128::from(own.ip) ^ u128::from(ip)) & u128::from(own.netmask) == 0,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(ip: [u8; 4], netmask: [u8; 4]) -> IfAddr {
        IfAddr::V4(if_addrs::Ifv4Addr { ip: ip.into(), netmask: netmask.into(), prefixlen: 24, broadcast: None })
    }

    #[test]
    fn only_addresses_of_the_own_networks_are_told_on() {
        let own = network([10, 77, 0, 1], [255, 255, 255, 0]);
        assert!(is_beside(&own, IpAddr::from([10, 77, 0, 200])));
        assert!(!is_beside(&own, IpAddr::from([10, 78, 0, 1])) && !is_beside(&own, IpAddr::from([8, 8, 8, 8])));
        assert!(!is_beside(&own, "fe80::1".parse().expect("address")));
        let [near, far] = ["10.77.0.9", "1.1.1.1"].map(|text| ScopedIp::from(text.parse::<IpAddr>().expect("address")));
        let networks = [(Some(7), own)];
        assert_eq!(place(&near, 9, &networks), Some(SocketAddr::from(([10, 77, 0, 9], 9))));
        assert_eq!(place(&far, 9, &networks), None);
    }

    #[test]
    fn the_longest_label_makes_a_service_that_fits_its_records() {
        for label in ["n".repeat(255), "ä".repeat(127), "a.b\\c\u{1b}[31m".into(), "n".into()] {
            let naming = Naming { node_id: label, port: 9001, look: true, run: 7 };
            let service = naming.service().expect("fits");
            let name = service.get_fullname();
            assert!(name.to_ascii_lowercase().ends_with(&naming.own()), "{name}");
            let id = service.get_property_val_str("id").expect("there");
            assert!(id.len() <= limits::MDNS_LABEL_MAX_BYTES && !id.contains('\u{1b}'), "{id}");
            assert_eq!(service.get_property_val_str("proto"), Some("1.0"));
            assert!(cut(&printable(&naming.node_id), limits::MDNS_NAME_LABEL_MAX_BYTES).len() + 17 <= 63);
        }
    }
}
