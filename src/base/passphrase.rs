//! The passphrase of a sealed key file. Never printed, wiped when dropped.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::base::error::{Error, Result};
use crate::base::limits;

/// What opens a sealed key file: any bytes, at least one.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Passphrase(Vec<u8>);

impl Passphrase {
    /// Takes the bytes, which are wiped if they are refused.
    pub fn new(mut bytes: Vec<u8>) -> Result<Passphrase> {
        match bytes.len() {
            0 => Err(Error::Invalid("the passphrase is empty; leave it out to keep the key file unsealed".into())),
            got if got > limits::PASSPHRASE_MAX_BYTES => {
                bytes.zeroize();
                Err(Error::TooLarge { what: "passphrase", got, max: limits::PASSPHRASE_MAX_BYTES })
            }
            _ => Ok(Passphrase(bytes)),
        }
    }

    /// The bytes.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passphrase_has_bytes_and_a_bound_and_never_shows_itself() {
        assert!(Passphrase::new(Vec::new()).is_err());
        assert!(Passphrase::new(vec![b'x'; limits::PASSPHRASE_MAX_BYTES + 1]).is_err());
        let longest = Passphrase::new(vec![b'x'; limits::PASSPHRASE_MAX_BYTES]).expect("at the limit");
        assert_eq!(format!("{longest:?}"), "Passphrase(..)");
    }
}
