//! A run of application messages received together: one allocation, read in place.

use bytes::Bytes;

/// Application messages of one peer in the order they were sent. Cloning shares the bytes.
///
/// Holds the run as it stood in the sealed record: `varint(len) type payload`, `len` counting the type byte, so that a batch
/// of thousands of small messages costs one reference count and no copy.
#[derive(Clone, Debug)]
pub struct DataBatch {
    frames: Bytes,
    count: usize,
}

impl DataBatch {
    /// Takes a run of `count` whole, already checked frames.
    pub(crate) fn new(frames: Bytes, count: usize) -> DataBatch {
        DataBatch { frames, count }
    }

    /// Number of messages.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes the batch keeps in memory.
    pub fn bytes(&self) -> usize {
        self.frames.len()
    }

    /// Copies the bytes out of the larger buffer they arrived in, so that keeping the batch does not keep that buffer.
    pub(crate) fn detach(&mut self) {
        self.frames = Bytes::copy_from_slice(&self.frames);
    }

    /// The messages as slices.
    pub fn iter(&self) -> Messages<'_> {
        Messages { rest: &self.frames }
    }

    /// Takes the first message out as shared bytes.
    pub fn pop_front(&mut self) -> Option<Bytes> {
        let (header, len) = split_frame(&self.frames)?;
        self.count = self.count.saturating_sub(1);
        let mut frame = self.frames.split_to(header + len);
        Some(frame.split_off(header + 1))
    }
}

impl<'a> IntoIterator for &'a DataBatch {
    type Item = &'a [u8];
    type IntoIter = Messages<'a>;

    fn into_iter(self) -> Messages<'a> {
        self.iter()
    }
}

/// Iterator over the messages of a [`DataBatch`].
#[derive(Clone, Debug)]
pub struct Messages<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Messages<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let (header, len) = split_frame(self.rest)?;
        let frame = self.rest.get(..header + len)?;
        self.rest = &self.rest[header + len..];
        Some(&frame[header + 1..])
    }
}

/// Length of a frame's header and of what follows it (at least the type byte); `None` at the end.
#[inline]
fn split_frame(bytes: &[u8]) -> Option<(usize, usize)> {
    let first = *bytes.first()?;
    if first < 0x80 {
        return (first > 0).then_some((1, usize::from(first)));
    }
    let mut value = usize::from(first & 0x7f);
    for (i, byte) in bytes.iter().enumerate().skip(1).take(4) {
        value |= usize::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return (value > 0).then_some((i + 1, value));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_yields_its_messages_in_order_both_ways() {
        let mut run = vec![4, 32, b'a', b'b', b'c', 1, 32];
        run.extend_from_slice(&[0xad, 0x02, 32]);
        run.extend_from_slice(&[7; 300]);
        let mut batch = DataBatch::new(Bytes::from(run), 3);
        let slices: Vec<&[u8]> = batch.iter().collect();
        assert_eq!(slices, [&b"abc"[..], b"", &[7; 300]]);
        let mut owned = Vec::new();
        while let Some(message) = batch.pop_front() {
            owned.push(message);
        }
        assert_eq!(owned, [&b"abc"[..], b"", &[7; 300]]);
        assert!(batch.is_empty());
    }
}
