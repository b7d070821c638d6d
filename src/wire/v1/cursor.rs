//! The lax reader of v1: varints of needless length pass, bits above 2^64 vanish. Never allocates.
//!
//! Writing needs no second form: v1 writes what `wire::cursor::Writer` writes.

use crate::wire::v1::Error;

/// Reads from the front of a slice as `bin::Reader` does.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the front of `input`.
    pub fn new(input: &'a [u8]) -> Reader<'a> {
        Reader { rest: input }
    }

    /// Bytes not read yet.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (head, tail) = self.rest.split_first_chunk::<N>().ok_or(Error::Underflow)?;
        self.rest = tail;
        Ok(*head)
    }

    /// A 16-bit integer.
    pub fn u16(&mut self) -> Result<u16, Error> {
        self.array().map(u16::from_le_bytes)
    }

    /// A 32-bit integer.
    pub fn u32(&mut self) -> Result<u32, Error> {
        self.array().map(u32::from_le_bytes)
    }

    /// A 64-bit integer.
    pub fn u64(&mut self) -> Result<u64, Error> {
        self.array().map(u64::from_le_bytes)
    }

    /// A varint of one to ten bytes, in any form.
    pub fn var_u64(&mut self) -> Result<u64, Error> {
        let mut value = 0u64;
        for i in 0..10 {
            let [byte] = self.array::<1>()?;
            value |= u64::from(byte & 0x7f) << (7 * i);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Error::VarintTooLong)
    }

    /// Length-prefixed bytes.
    pub fn bytes_var(&mut self) -> Result<&'a [u8], Error> {
        self.prefixed(Error::BytesTooLarge)
    }

    /// Length-prefixed text; v1 does not ask for UTF-8.
    pub fn str_var(&mut self) -> Result<&'a [u8], Error> {
        self.prefixed(Error::StrTooLarge)
    }

    fn prefixed(&mut self, too_large: Error) -> Result<&'a [u8], Error> {
        let len = usize::try_from(self.var_u64()?).map_err(|_| too_large)?;
        let (head, tail) = self.rest.split_at_checked(len).ok_or(too_large)?;
        self.rest = tail;
        Ok(head)
    }

    /// Ends the reading of the named thing: nothing may remain.
    pub fn finish(&self, name: &'static str) -> Result<(), Error> {
        if self.rest.is_empty() { Ok(()) } else { Err(Error::Trailing(name)) }
    }
}
