//! Invites: everything a node needs to reach another one, as one line to pass on. A pure codec; never dials.
//!
//! ```text
//! "vixp2p1" + base32 (RFC 4648 §6, lower case, no padding) of
//!    1         32       1       0 or 32   1      each 2 + n        4
//! | version | peer id | flags | secret | count | len, address | crc32c |
//! ```
//!
//! Numbers are little-endian; flag bit 0 says that the secret is there; the checksum covers all bytes before it.

use std::fmt;
use std::str::FromStr;

use data_encoding::{BASE32_NOPAD, BASE32_NOPAD_NOCASE};
use zeroize::Zeroizing;

use crate::base::config::Psk;
use crate::base::error::{Error, Result};
use crate::base::{Endpoint, PeerId, limits};

/// What every invite of this version begins with, in any case of letters.
pub const PREFIX: &str = "vixp2p1";
/// What the invites of every version begin with.
const FAMILY: &str = "vixp2p";
const VERSION: u8 = 1;
const FLAG_PSK: u8 = 1;
const CRC_BYTES: usize = 4;

/// Who to meet, where, and the cluster's secret if it is passed on. `Debug` shows no secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Invite {
    peer: PeerId,
    addresses: Vec<Endpoint>,
    psk: Option<Psk>,
}

impl Invite {
    /// An invite to `peer`, which is reached at one of `addresses`.
    pub fn new(peer: PeerId, addresses: Vec<Endpoint>, psk: Option<Psk>) -> Result<Invite> {
        let max = limits::INVITE_ADDRESSES_MAX;
        if addresses.is_empty() || addresses.len() > max {
            return Err(Error::Invalid(format!("an invite has 1 to {max} addresses, not {}", addresses.len())));
        }
        // What cannot be read back is not written: an endpoint need not come from a text.
        if let Some(wrong) = addresses.iter().find(|address| address.to_string().parse().ok().as_ref() != Some(*address)) {
            return Err(Error::Invalid(format!(
                "\"{wrong}\" is no address for an invite; expected host:port, tcp://host:port or unix:///path"
            )));
        }
        Ok(Invite { peer, addresses, psk })
    }

    /// Who is to answer.
    pub fn peer(&self) -> PeerId {
        self.peer
    }

    /// Where, the first one first.
    pub fn addresses(&self) -> &[Endpoint] {
        &self.addresses
    }

    /// The cluster's secret, if it is passed on.
    pub fn psk(&self) -> Option<&Psk> {
        self.psk.as_ref()
    }

    /// The line; a secret one if the invite has a pre-shared key, and wiped for that.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(limits::INVITE_TEXT_MAX_BYTES));
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.peer.0);
        bytes.push(if self.psk.is_some() { FLAG_PSK } else { 0 });
        bytes.extend_from_slice(self.psk.as_ref().map_or(&[], |psk| psk.as_bytes().as_slice()));
        bytes.push(self.addresses.len() as u8);
        for address in &self.addresses {
            let text = address.to_string();
            bytes.extend_from_slice(&(text.len() as u16).to_le_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        let crc = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        let mut text = Zeroizing::new(String::with_capacity(limits::INVITE_TEXT_MAX_BYTES));
        text.push_str(PREFIX);
        BASE32_NOPAD.encode_append(&bytes, &mut text);
        text.make_ascii_lowercase();
        text
    }

    /// Whether a text wants to be an invite, of whatever version and however damaged.
    pub fn is_meant(text: &str) -> bool {
        let text = text.trim();
        let begins = text.get(..FAMILY.len()).is_some_and(|front| front.eq_ignore_ascii_case(FAMILY));
        begins && text.len() > FAMILY.len() && text[FAMILY.len()..].bytes().all(|c| c.is_ascii_alphanumeric())
    }
}

impl FromStr for Invite {
    type Err = Error;

    /// Reads an invite; the error quotes nothing of it.
    fn from_str(text: &str) -> Result<Invite> {
        let text = text.trim();
        if text.len() > limits::INVITE_TEXT_MAX_BYTES {
            return Err(Error::TooLarge { what: "invite", got: text.len(), max: limits::INVITE_TEXT_MAX_BYTES });
        }
        let digits = match text.split_at_checked(PREFIX.len()) {
            Some((front, digits)) if front.eq_ignore_ascii_case(PREFIX) => digits,
            _ if Invite::is_meant(text) && text.as_bytes()[FAMILY.len()].is_ascii_digit() => return Err(newer()),
            _ => return Err(Error::Invalid(format!("not an invite: it does not begin with {PREFIX}"))),
        };
        let bytes = Zeroizing::new(BASE32_NOPAD_NOCASE.decode(digits.as_bytes()).map_err(|_| damaged())?);
        let (body, crc) = bytes.split_last_chunk::<CRC_BYTES>().ok_or_else(damaged)?;
        if crc32c::crc32c(body) != u32::from_le_bytes(*crc) {
            return Err(damaged());
        }
        // A later version may change everything but prefix, version and checksum.
        match body.first() {
            Some(&VERSION) => {
                decode(&body[1..]).ok_or_else(|| Error::Invalid("the invite breaks its own format; ask for a new one".into()))
            }
            Some(_) => Err(newer()),
            None => Err(damaged()),
        }
    }
}

/// The fields behind the version.
fn decode(mut rest: &[u8]) -> Option<Invite> {
    let peer = PeerId(*take(&mut rest)?);
    let [flags] = *take(&mut rest)?;
    let psk = match flags {
        0 => None,
        FLAG_PSK => Some(Psk::new(*take(&mut rest)?)),
        _ => return None,
    };
    let [count] = *take(&mut rest)?;
    let mut addresses = Vec::with_capacity(usize::from(count).min(limits::INVITE_ADDRESSES_MAX));
    for _ in 0..usize::from(count).min(limits::INVITE_ADDRESSES_MAX + 1) {
        let len = usize::from(u16::from_le_bytes(*take(&mut rest)?));
        let (text, after) = rest.split_at_checked(len)?;
        rest = after;
        let text = std::str::from_utf8(text).ok()?;
        let address: Endpoint = text.parse().ok()?;
        // One value, one text: what was read is written the same way.
        if address.to_string() != text {
            return None;
        }
        addresses.push(address);
    }
    if !rest.is_empty() {
        return None;
    }
    Invite::new(peer, addresses, psk).ok()
}

fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (front, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(front)
}

fn damaged() -> Error {
    Error::Invalid("the invite is damaged: characters are wrong or missing; copy the whole line again".into())
}

fn newer() -> Error {
    Error::Invalid("the invite is of a newer version of vixp2p; use that version, or ask for an invite of this one".into())
}

impl fmt::Display for Invite {
    /// Who and where, without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invite to {} at", self.peer.short())?;
        self.addresses.iter().try_for_each(|address| write!(f, " {address}"))
    }
}

#[cfg(test)]
mod tests;
