//! Bounded reading and minimal writing of the primitive types: fixed little-endian integers, varints, bytes, text.
//!
//! Integers are little-endian; a varint is unsigned LEB128 (as in protocol buffers) of at most ten bytes. The reader is strict:
//! a varint must be in its shortest form and fit 64 bits. The v1 laxity lives in `wire::v1` only.

/// Why bytes are no value.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WireError {
    /// The input ends inside a value.
    #[error("input ends inside a value")]
    Underflow,
    /// A varint has more than ten bytes.
    #[error("varint too long")]
    VarintTooLong,
    /// A varint has bits above 2^64 or needless zero bytes.
    #[error("varint not in its shortest form")]
    VarintNotMinimal,
    /// A length or count is over its limit.
    #[error("length {got}, limit is {max}")]
    TooLarge {
        /// Announced.
        got: u64,
        /// Allowed.
        max: u64,
    },
    /// A number is under its minimum.
    #[error("{what} is {got}, at least {min} expected")]
    Range {
        /// Which number.
        what: &'static str,
        /// Its value.
        got: u64,
        /// The least allowed.
        min: u64,
    },
    /// Text that is not UTF-8.
    #[error("text is not UTF-8")]
    Utf8,
    /// Bytes remain after the last field.
    #[error("{0} bytes after the last field")]
    Trailing(usize),
    /// A message kind nobody defined.
    #[error("unknown message kind {0}")]
    UnknownKind(u8),
    /// A field has a value the format does not allow; the text names it.
    #[error("{0}")]
    Malformed(&'static str),
}

/// Reads from the front of a slice; every read is checked against what remains.
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

    /// The next `n` bytes.
    pub fn bytes(&mut self, n: usize) -> Result<&'a [u8], WireError> {
        let (head, tail) = self.rest.split_at_checked(n).ok_or(WireError::Underflow)?;
        self.rest = tail;
        Ok(head)
    }

    /// The next `N` bytes as an array.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (head, tail) = self.rest.split_first_chunk::<N>().ok_or(WireError::Underflow)?;
        self.rest = tail;
        Ok(*head)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, WireError> {
        Ok(self.array::<1>()?[0])
    }

    /// A 16-bit integer.
    pub fn u16(&mut self) -> Result<u16, WireError> {
        self.array().map(u16::from_le_bytes)
    }

    /// A 32-bit integer.
    pub fn u32(&mut self) -> Result<u32, WireError> {
        self.array().map(u32::from_le_bytes)
    }

    /// A 64-bit integer.
    pub fn u64(&mut self) -> Result<u64, WireError> {
        self.array().map(u64::from_le_bytes)
    }

    /// A varint in its shortest form.
    pub fn var_u64(&mut self) -> Result<u64, WireError> {
        match decode_varint(self.rest)? {
            Some((value, used)) => {
                self.rest = &self.rest[used..];
                Ok(value)
            }
            None => Err(WireError::Underflow),
        }
    }

    /// A varint count of items, at most `max` and at most the bytes that remain (an item has at least one).
    pub fn count(&mut self, max: usize) -> Result<usize, WireError> {
        let got = self.var_u64()?;
        if got > max as u64 {
            return Err(WireError::TooLarge { got, max: max as u64 });
        }
        if got > self.rest.len() as u64 {
            return Err(WireError::Underflow);
        }
        Ok(got as usize)
    }

    /// Length-prefixed bytes of at most `max`.
    pub fn bytes_var(&mut self, max: usize) -> Result<&'a [u8], WireError> {
        let got = self.var_u64()?;
        if got > max as u64 {
            return Err(WireError::TooLarge { got, max: max as u64 });
        }
        self.bytes(got as usize)
    }

    /// Length-prefixed UTF-8 of at most `max` bytes.
    pub fn str(&mut self, max: usize) -> Result<&'a str, WireError> {
        std::str::from_utf8(self.bytes_var(max)?).map_err(|_| WireError::Utf8)
    }

    /// Ends the reading: nothing may remain.
    pub fn finish(&self) -> Result<(), WireError> {
        match self.rest.len() {
            0 => Ok(()),
            n => Err(WireError::Trailing(n)),
        }
    }
}

/// A strict varint at the front of `input`: its value and length, or `None` if the input ends inside it.
#[inline]
pub fn decode_varint(input: &[u8]) -> Result<Option<(u64, usize)>, WireError> {
    let mut value = 0u64;
    for (i, &byte) in input.iter().enumerate().take(10) {
        if i == 9 && byte > 1 {
            return Err(if byte & 0x80 != 0 { WireError::VarintTooLong } else { WireError::VarintNotMinimal });
        }
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return if byte == 0 && i > 0 { Err(WireError::VarintNotMinimal) } else { Ok(Some((value, i + 1))) };
        }
    }
    Ok(None)
}

/// Appends the shortest varint of `value`.
#[inline]
pub fn encode_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends primitive values to a buffer.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Writer<'a> {
    /// Appends to `out`.
    pub fn new(out: &'a mut Vec<u8>) -> Writer<'a> {
        Writer { out }
    }

    /// One byte.
    pub fn u8(&mut self, value: u8) {
        self.out.push(value);
    }

    /// A 16-bit integer.
    pub fn u16(&mut self, value: u16) {
        self.out.extend_from_slice(&value.to_le_bytes());
    }

    /// A 32-bit integer.
    pub fn u32(&mut self, value: u32) {
        self.out.extend_from_slice(&value.to_le_bytes());
    }

    /// A 64-bit integer.
    pub fn u64(&mut self, value: u64) {
        self.out.extend_from_slice(&value.to_le_bytes());
    }

    /// A varint.
    pub fn var_u64(&mut self, value: u64) {
        encode_varint(value, self.out);
    }

    /// Bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// Length-prefixed bytes.
    pub fn bytes_var(&mut self, bytes: &[u8]) {
        self.var_u64(bytes.len() as u64);
        self.bytes(bytes);
    }

    /// Length-prefixed text.
    pub fn str(&mut self, text: &str) {
        self.bytes_var(text.as_bytes());
    }
}

#[cfg(test)]
mod tests;
