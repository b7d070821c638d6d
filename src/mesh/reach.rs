//! How far an address reaches, so that what a neighbour says of places is believed only where the neighbour itself can know them.
//!
//! Looks at the text only; never resolves a name.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::base::Endpoint;
use crate::base::endpoint::Scheme;

/// From the narrowest to the widest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Reach {
    /// Means another machine, or another interface, to whoever is told: loopback and link-local.
    Local,
    /// Means another machine in another network: private ranges.
    Private,
    /// The same everywhere.
    Global,
}

/// How far a TCP endpoint reaches that is an IP address; `None` for names, and for addresses that no peer accepts at: unspecified,
/// multicast, reserved, and IPv4 in the guise of IPv6.
pub(super) fn of_address(endpoint: &Endpoint) -> Option<Reach> {
    if endpoint.scheme != Scheme::Tcp {
        return None;
    }
    // A zone is a matter of this machine, and only link-local addresses have one.
    match endpoint.host.split('%').next()?.parse().ok()? {
        IpAddr::V4(ip) => of_v4(ip),
        IpAddr::V6(ip) => of_v6(ip),
    }
}

/// From how near a neighbour speaks whose link leads there. What is no address: a socket or pipe of this machine, or a name, which
/// only a single label or `.local` shows to be of this network.
pub(super) fn of_neighbour(endpoint: &Endpoint) -> Reach {
    let host = endpoint.host.as_str();
    match endpoint.scheme {
        Scheme::Unix | Scheme::Mem => Reach::Local,
        Scheme::Tcp if host == "localhost" => Reach::Local,
        Scheme::Tcp if host.ends_with(".local") || !host.contains(['.', ':']) => Reach::Private,
        Scheme::Tcp => of_address(endpoint).unwrap_or(Reach::Global),
    }
}

fn of_v4(ip: Ipv4Addr) -> Option<Reach> {
    match ip.octets() {
        [0 | 224..=255, ..] => None,
        [127, ..] | [169, 254, ..] => Some(Reach::Local),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => Some(Reach::Private),
        _ => Some(Reach::Global),
    }
}

fn of_v6(ip: Ipv6Addr) -> Option<Reach> {
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] | [0xfe80..=0xfebf, ..] => Some(Reach::Local),
        // Unspecified, IPv4-compatible and -mapped; translated; multicast.
        [0, 0, 0, 0, ..] | [0x64, 0xff9b, ..] | [0xff00..=0xffff, ..] => None,
        // Unique local, and what was called site-local.
        [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..] => Some(Reach::Private),
        _ => Some(Reach::Global),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_reaches_as_far_as_its_range() {
        let reach = |host: &str| of_address(&Endpoint::tcp(host, 1));
        for host in ["127.0.0.1", "127.9.9.9", "169.254.1.1", "::1", "fe80::1", "fe80::1%eth0"] {
            assert_eq!(reach(host), Some(Reach::Local), "{host}");
        }
        for host in ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "fd00::1"] {
            assert_eq!(reach(host), Some(Reach::Private), "{host}");
        }
        for host in ["192.0.2.1", "172.32.0.1", "100.128.0.1", "2001:db8::1"] {
            assert_eq!(reach(host), Some(Reach::Global), "{host}");
        }
        for host in ["0.0.0.0", "224.0.0.1", "255.255.255.255", "::", "::ffff:127.0.0.1", "::7f00:1", "64:ff9b::1", "ff02::1", "a.example"]
        {
            assert_eq!(reach(host), None, "{host}");
        }
    }

    #[test]
    fn a_neighbour_speaks_from_where_its_link_leads() {
        let tcp = |host: &str| of_neighbour(&Endpoint::tcp(host, 1));
        assert_eq!(["localhost", "127.0.0.1", "::1"].map(tcp), [Reach::Local; 3]);
        assert_eq!(["10.1.1.1", "printer", "printer.local"].map(tcp), [Reach::Private; 3]);
        assert_eq!(["192.0.2.1", "a.example", "::ffff:10.0.0.1"].map(tcp), [Reach::Global; 3]);
        assert_eq!(of_neighbour(&Endpoint::unix("/run/a.sock").expect("a path")), Reach::Local);
    }
}
