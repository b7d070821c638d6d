//! Reads choices out of a fuzz input, and alters honest bytes as they say.

/// A fuzz input read as a list of choices; zeros when it has run out.
pub(crate) struct Choices<'a> {
    rest: &'a [u8],
}

impl<'a> Choices<'a> {
    pub(crate) fn new(input: &'a [u8]) -> Choices<'a> {
        Choices { rest: input }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    pub(crate) fn u16(&mut self) -> u16 {
        let bytes = self.take(2);
        u16::from_le_bytes([bytes.first().copied().unwrap_or(0), bytes.get(1).copied().unwrap_or(0)])
    }

    /// Up to `n` bytes.
    pub(crate) fn take(&mut self, n: usize) -> &'a [u8] {
        let (front, rest) = self.rest.split_at(n.min(self.rest.len()));
        self.rest = rest;
        front
    }

    /// A number with a taste for the ends of the range.
    pub(crate) fn number(&mut self) -> u64 {
        match self.byte() {
            0xff => u64::MAX,
            0xfe => u64::MAX - 1,
            0xfd => 1 << 63,
            0xfc => u64::from(self.u16()),
            small => u64::from(small),
        }
    }

    /// Alters `bytes` by up to `count` edits.
    pub(crate) fn edit(&mut self, bytes: &mut Vec<u8>, count: u8) {
        for _ in 0..count {
            if self.is_empty() || bytes.is_empty() {
                return;
            }
            let (op, at, value) = (self.byte() % 6, usize::from(self.u16()) % bytes.len(), self.byte());
            match op {
                0 => bytes[at] ^= value,
                1 => bytes[at] = value,
                2 => bytes.truncate(at),
                3 => bytes.insert(at, value),
                4 => drop(bytes.drain(at..(at + usize::from(value)).min(bytes.len()))),
                _ => {
                    let copy = bytes[at..(at + usize::from(value)).min(bytes.len())].to_vec();
                    bytes.splice(at..at, copy);
                }
            }
        }
    }
}

/// The pieces in which a stream arrives: whole for 0, else of so many bytes.
pub(crate) fn pieces(stream: &[u8], cut: u8) -> impl Iterator<Item = &[u8]> {
    stream.chunks(if cut == 0 { stream.len().max(1) } else { usize::from(cut) })
}
