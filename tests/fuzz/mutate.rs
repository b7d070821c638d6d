//! A small mutator for the seeded runs: enough to leave the seeds' neighbourhood, nothing that libFuzzer does not do better.

/// Longest input, but for one in a few hundred.
const USUAL_MAX: usize = 2048;
/// Longest input.
const LONG_MAX: usize = 128 * 1024;

/// A new input out of honest ones.
pub(crate) fn next(rng: &mut fastrand::Rng, seeds: &[Vec<u8>]) -> Vec<u8> {
    if rng.u8(..16) == 0 || seeds.is_empty() {
        let length = rng.usize(..400);
        return (0..length).map(|_| rng.u8(..)).collect();
    }
    let mut bytes = seeds[rng.usize(..seeds.len())].clone();
    for _ in 0..rng.u32(0..6) {
        let other = rng.usize(..seeds.len());
        mutate(rng, &mut bytes, &seeds[other]);
    }
    if rng.u16(..300) == 0 {
        let piece = bytes.clone();
        let length = rng.usize(..LONG_MAX);
        while !piece.is_empty() && bytes.len() < length {
            bytes.extend_from_slice(&piece);
        }
        bytes
    } else {
        bytes.truncate(USUAL_MAX);
        bytes
    }
}

fn mutate(rng: &mut fastrand::Rng, bytes: &mut Vec<u8>, other: &[u8]) {
    let at = rng.usize(..=bytes.len());
    let end = (at + rng.usize(1..=32)).min(bytes.len());
    match rng.u8(..9) {
        0 if at < end => bytes[at] ^= 1 << rng.u8(..8),
        1 if at < end => bytes[at] = rng.u8(..),
        2 if at < end => bytes[at] = [0, 1, 0x7f, 0x80, 0xfe, 0xff][rng.usize(..6)],
        3 => bytes.truncate(at),
        4 => drop(bytes.drain(at..end)),
        5 => {
            let copy = bytes[at..end].to_vec();
            bytes.splice(at..at, copy);
        }
        6 => {
            let fresh: Vec<u8> = (0..rng.usize(1..=9)).map(|_| rng.u8(..)).collect();
            bytes.splice(at..at, fresh);
        }
        7 if !other.is_empty() => {
            let from = rng.usize(..other.len());
            bytes.splice(at..at, other[from..].iter().copied().take(200));
        }
        _ => {
            let number: u64 = [u64::MAX, 1 << 63, 1 << 32, 0xffff_ffff, 0x10_0000, 0][rng.usize(..6)];
            let width = [1, 2, 4, 8][rng.usize(..4)];
            let end = (at + width).min(bytes.len());
            bytes[at..end].copy_from_slice(&number.to_le_bytes()[..end - at]);
        }
    }
}
