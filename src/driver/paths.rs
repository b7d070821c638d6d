//! Which interfaces discovery uses, and the two sockets it has on each of them for each address family.
//!
//! Never decides what is said there.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use if_addrs::Interface;
use mio::net::UdpSocket;
use socket2::{Domain, Protocol, Socket, Type};

use crate::base::config::Listen;
use crate::base::{DiscoveryConfig, limits};

/// Every node of a link, in IPv6.
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// One address of one interface.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Place {
    pub(super) name: String,
    pub(super) index: u32,
    pub(super) ip: IpAddr,
    /// The subnet's broadcast address, where sockets cannot be bound to an interface.
    broadcast: Option<Ipv4Addr>,
}

impl Place {
    fn address(&self, port: u16) -> SocketAddr {
        match self.ip {
            IpAddr::V4(ip) => SocketAddr::from((ip, port)),
            IpAddr::V6(ip) => scoped(ip, port, if ip.is_unicast_link_local() { self.index } else { 0 }),
        }
    }
}

/// The places to use now: for each interface and family one address, which the node listens on.
pub(super) fn places(config: &DiscoveryConfig, listen: &Listen) -> io::Result<Vec<Place>> {
    let mut places: Vec<Place> = Vec::new();
    for interface in if_addrs::get_if_addrs()? {
        let ip = interface.ip();
        let (true, Some(index)) = (is_wanted(config, listen, &interface), interface.index) else { continue };
        let broadcast = if let if_addrs::IfAddr::V4(v4) = &interface.addr { v4.broadcast } else { None };
        let place = Place { name: interface.name, index, ip, broadcast };
        match places.iter_mut().find(|known| known.index == index && known.ip.is_ipv4() == ip.is_ipv4()) {
            None => places.push(place),
            // A link-local address works without routes, and outlives others.
            Some(known) if is_link_local(ip) && !is_link_local(known.ip) => *known = place,
            Some(_) => {}
        }
    }
    places.truncate(limits::DISCOVERY_INTERFACES_MAX);
    Ok(places)
}

/// Whether discovery uses this address of an interface.
pub(super) fn is_wanted(config: &DiscoveryConfig, listen: &Listen, interface: &Interface) -> bool {
    let only = match listen {
        Listen::On { host, .. } => host.parse::<IpAddr>().ok(),
        Listen::Off => None,
    };
    let wanted = if config.interfaces.is_empty() { !interface.is_loopback() } else { config.interfaces.contains(&interface.name) };
    wanted && interface.is_oper_up() && is_listened_on(only, interface.ip())
}

fn is_listened_on(only: Option<IpAddr>, ip: IpAddr) -> bool {
    match only {
        None => true,
        Some(IpAddr::V6(all)) if all.is_unspecified() => true,
        Some(IpAddr::V4(all)) if all.is_unspecified() => ip.is_ipv4(),
        Some(one) => one == ip,
    }
}

fn is_link_local(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
}

/// A place with its sockets.
#[derive(Debug)]
pub(super) struct Path {
    pub(super) place: Place,
    /// Hears what is said to everybody.
    pub(super) everybody: UdpSocket,
    /// Speaks, and hears what is said to this node alone: the port of the other socket may be shared by several nodes.
    pub(super) alone: UdpSocket,
    /// To whom announcements go.
    pub(super) destinations: Vec<SocketAddr>,
}

impl Path {
    pub(super) fn open(config: &DiscoveryConfig, place: Place) -> io::Result<Path> {
        let (domain, any, group) = match place.ip {
            IpAddr::V4(_) => (Domain::IPV4, IpAddr::from([0; 4]), IpAddr::V4(config.multicast_group)),
            IpAddr::V6(_) => (Domain::IPV6, IpAddr::from([0; 16]), IpAddr::V6(group_of(config.multicast_group))),
        };
        let everybody = socket(domain)?;
        everybody.set_reuse_address(true)?;
        #[cfg(not(target_os = "linux"))]
        everybody.set_reuse_port(true)?;
        bind_to(&everybody, &place);
        everybody.bind(&SocketAddr::from((any, config.port)).into())?;
        let alone = socket(domain)?;
        let bound = bind_to(&alone, &place);
        alone.bind(&place.address(0).into())?;
        let mut destinations = Vec::new();
        match (place.ip, group) {
            (IpAddr::V4(ip), IpAddr::V4(group)) => {
                everybody.join_multicast_v4(&group, &ip)?;
                alone.set_multicast_if_v4(&ip)?;
                alone.set_broadcast(true)?;
                let broadcast = if bound { Some(Ipv4Addr::BROADCAST) } else { place.broadcast };
                destinations.extend(broadcast.filter(|_| config.mode.broadcasts()).map(|ip| SocketAddr::from((ip, config.port))));
            }
            (_, IpAddr::V6(group)) => {
                everybody.join_multicast_v6(&group, place.index)?;
                alone.set_multicast_if_v6(place.index)?;
                if config.mode.broadcasts() {
                    destinations.push(scoped(ALL_NODES, config.port, place.index));
                }
            }
            (IpAddr::V6(_), IpAddr::V4(_)) => {}
        }
        if config.mode.multicasts() {
            destinations.push(match group {
                IpAddr::V4(_) => SocketAddr::from((group, config.port)),
                IpAddr::V6(group) => scoped(group, config.port, place.index),
            });
        }
        let [everybody, alone] = [everybody, alone].map(|socket| UdpSocket::from_std(socket.into()));
        Ok(Path { place, everybody, alone, destinations })
    }
}

fn socket(domain: Domain) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    if domain == Domain::IPV6 {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Ties a socket to an interface where the system can; says whether it is.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn bind_to(socket: &Socket, place: &Place) -> bool {
    socket.bind_device(Some(place.name.as_bytes())).is_ok()
}

/// Ties a socket to an interface where the system can; says whether it is.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn bind_to(_: &Socket, _: &Place) -> bool {
    false
}

/// The IPv6 group that belongs to an IPv4 one: transient, of one link, with the same last 32 bits.
fn group_of(group: Ipv4Addr) -> Ipv6Addr {
    Ipv6Addr::from(0xff12 << 112 | u128::from(u32::from(group)))
}

fn scoped(ip: Ipv6Addr, port: u16, scope: u32) -> SocketAddr {
    SocketAddr::V6(SocketAddrV6::new(ip, port, 0, scope))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_listens_on_one_address_is_announced_there_only() {
        let [all, all_v4, one, other] = ["::", "0.0.0.0", "10.0.0.1", "10.0.0.2"].map(|text| text.parse::<IpAddr>().expect("address"));
        let v6 = IpAddr::from(ALL_NODES);
        assert!(is_listened_on(None, one) && is_listened_on(Some(all), one) && is_listened_on(Some(all_v4), one));
        assert!(is_listened_on(Some(all), v6) && !is_listened_on(Some(all_v4), v6));
        assert!(is_listened_on(Some(one), one) && !is_listened_on(Some(one), other));
    }

    #[test]
    fn loopback_is_used_only_if_it_is_named() {
        let named = |interfaces: &[&str]| DiscoveryConfig {
            interfaces: interfaces.iter().map(|name| (*name).into()).collect(),
            ..Default::default()
        };
        let places = |config: DiscoveryConfig| super::places(&config, &Listen::Off).expect("interfaces");
        assert!(places(named(&[])).iter().all(|place| !place.ip.is_loopback()));
        assert!(places(named(&["no such interface"])).is_empty());
        assert!(places(named(&["lo"])).iter().all(|place| place.ip.is_loopback()));
    }

    #[test]
    fn the_group_in_ipv6_ends_like_the_one_in_ipv4() {
        assert_eq!(group_of(Ipv4Addr::new(239, 255, 0, 1)).to_string(), "ff12::efff:1");
    }
}
