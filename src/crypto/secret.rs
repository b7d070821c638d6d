//! Secret bytes: wiped on drop, never printed.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

/// `N` secret bytes. Has no `Display`, and its `Debug` shows nothing.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret<const N: usize>([u8; N]);

impl<const N: usize> Secret<N> {
    /// Takes the bytes; the caller's copy is the caller's to wipe.
    pub fn new(bytes: [u8; N]) -> Secret<N> {
        Secret(bytes)
    }

    /// All zeros: the "no pre-shared key" of the key schedule.
    pub fn zero() -> Secret<N> {
        Secret([0; N])
    }

    /// The bytes.
    pub fn expose(&self) -> &[u8; N] {
        &self.0
    }

    /// The bytes, to be filled in place.
    pub fn expose_mut(&mut self) -> &mut [u8; N] {
        &mut self.0
    }
}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret<{N}>(..)")
    }
}
