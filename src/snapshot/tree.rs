//! The BLAKE3 hash of a state and of its pieces, so that each piece can be checked as it comes (the BLAKE3 paper, §2.1 and §6.4).
//!
//! A piece is `SNAPSHOT_PIECE_BYTES`, a subtree of the hash's own tree; its hash is that subtree's chaining value. So the root is
//! the plain BLAKE3 hash of all bytes, as `b3sum` prints it. Never looks at what the bytes mean.

use blake3::Hasher;
use blake3::hazmat::{HasherExt, Mode, left_subtree_len, merge_subtrees_non_root, merge_subtrees_root};

use crate::base::limits;

const PIECE_BYTES: u64 = limits::SNAPSHOT_PIECE_BYTES as u64;
const _: () = assert!(limits::SNAPSHOT_PIECE_BYTES.is_power_of_two() && limits::SNAPSHOT_PIECE_BYTES > blake3::CHUNK_LEN);

/// A hash of 32 bytes.
type Hash = [u8; 32];

/// How many pieces so many bytes have; at least one, which may be empty.
pub fn pieces(size: u64) -> u64 {
    size.div_ceil(PIECE_BYTES).max(1)
}

/// The hashes of the pieces of a state. Of a state of one piece it is the root.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hashes {
    size: u64,
    pieces: Vec<Hash>,
}

impl Hashes {
    /// The list that belongs to a state of this size and root; `None` if it is another's.
    pub fn prove(size: u64, root: &Hash, list: &[u8]) -> Option<Hashes> {
        let (hashes, rest) = list.as_chunks::<32>();
        if !rest.is_empty() || hashes.len() as u64 != pieces(size) {
            return None;
        }
        let hashes = Hashes { size, pieces: hashes.to_vec() };
        (hashes.root() == *root).then_some(hashes)
    }

    /// The list as bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.pieces.concat()
    }

    /// The hash over everything.
    pub fn root(&self) -> Hash {
        match self.pieces.as_slice() {
            [only] => *only,
            all => {
                let middle = left_subtree_len(self.size);
                let (left, right) = all.split_at(pieces(middle) as usize);
                *merge_subtrees_root(&join(left, middle), &join(right, self.size - middle), Mode::Hash).as_bytes()
            }
        }
    }

    /// How long piece `index` is; `None` if there is no such piece.
    pub fn len_of(&self, index: u64) -> Option<usize> {
        let rest = self.size.saturating_sub(index.checked_mul(PIECE_BYTES)?);
        (index < self.pieces.len() as u64).then_some(rest.min(PIECE_BYTES) as usize)
    }

    /// Whether these bytes are piece `index`.
    pub fn has(&self, index: u64, bytes: &[u8]) -> bool {
        let expected = usize::try_from(index).ok().and_then(|index| self.pieces.get(index));
        self.len_of(index) == Some(bytes.len()) && expected == Some(&piece_hash(index, bytes, self.pieces.len() == 1))
    }
}

/// The chaining value over pieces that make up `size` bytes.
fn join(hashes: &[Hash], size: u64) -> Hash {
    match hashes {
        [only] => *only,
        [] => [0; 32],
        all => {
            let middle = left_subtree_len(size);
            let (left, right) = all.split_at(pieces(middle) as usize);
            merge_subtrees_non_root(&join(left, middle), &join(right, size - middle), Mode::Hash)
        }
    }
}

fn piece_hash(index: u64, bytes: &[u8], only: bool) -> Hash {
    if only {
        return *blake3::hash(bytes).as_bytes();
    }
    let mut hasher = Hasher::new();
    hasher.set_input_offset(index * PIECE_BYTES).update(bytes);
    hasher.finalize_non_root()
}

/// Takes a state in whatever portions it comes and gives its hashes.
#[derive(Debug, Default)]
pub struct Summer {
    size: u64,
    done: Vec<Hash>,
    /// The piece under way. Kept whole, because whether it is the only one is known at the end.
    piece: Vec<u8>,
}

impl Summer {
    /// Before the first byte.
    pub fn new() -> Summer {
        Summer::default()
    }

    /// Bytes so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Takes the next bytes.
    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.piece.len() == limits::SNAPSHOT_PIECE_BYTES {
                self.close();
            }
            let (taken, rest) = bytes.split_at(bytes.len().min(limits::SNAPSHOT_PIECE_BYTES - self.piece.len()));
            self.piece.extend_from_slice(taken);
            self.size += taken.len() as u64;
            bytes = rest;
        }
    }

    /// There are no more.
    pub fn finish(mut self) -> Hashes {
        if self.done.is_empty() {
            self.done.push(piece_hash(0, &self.piece, true));
        } else {
            self.close();
        }
        Hashes { size: self.size, pieces: self.done }
    }

    fn close(&mut self) {
        self.done.push(piece_hash(self.done.len() as u64, &self.piece, false));
        self.piece.clear();
    }
}
