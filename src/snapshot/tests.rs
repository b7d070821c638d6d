//! Manifests that lie, pieces that are others', fetches that break off.

use proptest::prelude::*;

use crate::base::{Incarnation, LogId, limits};
use crate::crypto::{Identity, Secret};
use crate::snapshot::{Ask, Fetch, Hashes, Manifest, ManifestError, Place, Refused, Summer, pieces};
use crate::sync::{Base, MemStorage, Signer, Wal};
use std::sync::Arc;

const PIECE: usize = limits::SNAPSHOT_PIECE_BYTES;

fn identity(n: u8) -> Arc<Identity> {
    Arc::new(Identity::from_seed(&Secret::new([n; 32])))
}

fn state(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i / 7 + i / 4096) as u8).collect()
}

fn sum(bytes: &[u8], portion: usize) -> Hashes {
    let mut summer = Summer::new();
    bytes.chunks(portion.max(1)).for_each(|part| summer.update(part));
    assert_eq!(summer.size(), bytes.len() as u64);
    summer.finish()
}

#[test]
fn the_root_is_the_plain_hash_of_all_bytes_whatever_their_number_and_portions() {
    for len in [0, 1, 1024, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 2 * PIECE + 1, 3 * PIECE, 5 * PIECE + 77, 8 * PIECE, 9 * PIECE - 1] {
        let bytes = state(len);
        for portion in [1000, PIECE, 3 * PIECE + 1] {
            let hashes = sum(&bytes, portion);
            assert_eq!(hashes.root(), *blake3::hash(&bytes).as_bytes(), "{len} in {portion}");
            assert_eq!(Hashes::prove(len as u64, &hashes.root(), &hashes.to_bytes()), Some(hashes));
        }
    }
}

#[test]
fn a_list_of_hashes_of_another_size_or_state_is_refused() {
    let bytes = state(3 * PIECE + 5);
    let hashes = sum(&bytes, PIECE);
    let (size, root, list) = (bytes.len() as u64, hashes.root(), hashes.to_bytes());
    for bit in 0..list.len() * 8 {
        let mut bad = list.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(Hashes::prove(size, &root, &bad), None, "bit {bit}");
    }
    for cut in 0..list.len() {
        assert_eq!(Hashes::prove(size, &root, &list[..cut]), None, "cut {cut}");
    }
    for wrong in [0, 1, size - 6, size + PIECE as u64, u64::MAX] {
        assert_eq!(Hashes::prove(wrong, &root, &list), None, "{wrong}");
    }
}

#[test]
fn a_fetch_asks_for_everything_once_and_takes_nothing_false() {
    let bytes = state(6 * PIECE + 9);
    let hashes = sum(&bytes, PIECE);
    let mut fetch = Fetch::new(&Manifest { size: bytes.len() as u64, root: hashes.root(), ..manifest().0 });
    let (mut got, mut asked) = (vec![0; bytes.len()], Vec::new());
    assert_eq!((fetch.next_ask(), fetch.next_ask()), (Some(Ask::Hashes), None));
    assert_eq!(fetch.take_piece(0, &bytes[..PIECE]), Err(Refused), "nothing to check it with");
    assert_eq!(fetch.take_hashes(&[0; 7 * 32]), Err(Refused));
    assert_eq!(fetch.next_ask(), Some(Ask::Hashes), "again, of another peer");
    assert_eq!(fetch.take_hashes(&hashes.to_bytes()), Ok(true));
    while let Some(ask) = fetch.next_ask() {
        asked.push(ask);
    }
    assert_eq!(asked.len(), limits::SNAPSHOT_ASKED_MAX);
    // The peer goes; what was asked is asked again.
    fetch.forget_asked();
    while !fetch.is_complete() {
        let Some(Ask::Piece(index)) = fetch.next_ask() else { panic!("a piece is missing") };
        let (at, len) = fetch.place(index).expect("there is one");
        let piece = &bytes[at as usize..at as usize + len];
        let mut bad = piece.to_vec();
        bad[len / 2] ^= 4;
        for false_one in [&bad[..], &piece[..len - 1], &[]] {
            assert_eq!(fetch.take_piece(index, false_one), Err(Refused));
        }
        assert_eq!(fetch.take_piece(index, piece), Ok(true));
        assert_eq!(fetch.take_piece(index, &bad), Ok(false), "it is here already");
        got[at as usize..at as usize + len].copy_from_slice(piece);
    }
    assert_eq!(got, bytes);
    assert_eq!((fetch.next_ask(), fetch.left(), fetch.place(pieces(fetch.size()))), (None, 0, None));
}

/// A manifest over node 2's log of two groups, made by node 1.
fn manifest() -> (Manifest, LogId) {
    let mut wal = Wal::open(MemStorage::new(), identity(2), Incarnation(5)).expect("memory").0;
    wal.append(1, &["one".into(), "two".into()]).expect("memory");
    wal.append(1, &["three".into()]).expect("memory");
    let log = wal.own();
    let hashes = sum(b"the state", 4);
    let place = Place { log, applied: 3, sealed: wal.place_before(log, 3).expect("memory") };
    let made = Manifest { maker: identity(1).public(), made_us: 9, schema: "s1".into(), size: 9, root: hashes.root(), places: vec![place] };
    (made, log)
}

fn prove(bytes: &[u8]) -> Result<Manifest, ManifestError> {
    Manifest::prove(bytes, |maker| *maker == identity(1).public() || *maker == identity(3).public())
}

#[test]
fn a_place_in_a_manifest_is_proven_by_its_logs_origin_whoever_signed_the_rest() {
    let (made, log) = manifest();
    let bytes = made.sign(identity(7).as_ref());
    assert!(prove(&bytes).is_err(), "not its maker's signature");
    assert_eq!(Manifest::base_in(&bytes, &log), made.places[0].sealed);
    assert_eq!(Manifest::base_in(&bytes, &LogId { incarnation: Incarnation(6), ..log }), None);
    let mut false_seal = made.clone();
    false_seal.places[0].sealed.iter_mut().for_each(|base| base.proof[60] ^= 1);
    assert_eq!(Manifest::base_in(&false_seal.sign(identity(1).as_ref()), &log), None);
    for cut in 0..bytes.len() {
        assert_eq!(Manifest::base_in(&bytes[..cut], &log), None, "{cut}");
    }
}

#[test]
fn a_snapshot_of_a_stranger_is_refused_before_its_seals_are_looked_at() {
    let (mut made, _) = manifest();
    made.maker = identity(9).public();
    assert_eq!(prove(&made.sign(identity(9).as_ref())), Err(ManifestError::Maker(made.maker)));
}

#[test]
fn a_manifest_proves_itself_and_no_flipped_bit_does() {
    let (made, _) = manifest();
    let bytes = made.sign(identity(1).as_ref());
    assert_eq!(prove(&bytes), Ok(made));
    for bit in 0..bytes.len() * 8 {
        let mut bad = bytes.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(prove(&bad).is_err(), "bit {bit}");
    }
    for cut in 0..bytes.len() {
        assert!(prove(&bytes[..cut]).is_err(), "cut {cut}");
    }
}

#[test]
fn a_maker_cannot_claim_what_no_origin_sealed() {
    let sign = |manifest: &Manifest| prove(&manifest.sign(identity(1).as_ref()));
    let (made, log) = manifest();
    let mut other = made.clone();
    other.places[0].log = LogId { incarnation: Incarnation(6), ..log };
    assert!(matches!(sign(&other), Err(ManifestError::Seal(_))), "the seal is of another log");
    let mut other = made.clone();
    other.places[0].applied = 2;
    assert_eq!(sign(&other), Err(ManifestError::Applied { log, applied: 2 }), "the seal covers more than was applied");
    for applied in [3 + limits::GROUP_MAX_RECORDS as u64, u64::MAX] {
        other.places[0].applied = applied;
        assert_eq!(sign(&other), Err(ManifestError::Applied { log, applied }), "no seal says that there are so many");
    }
    other.places[0].sealed = None;
    assert_eq!(sign(&other), Err(ManifestError::Applied { log, applied: u64::MAX }));
    let mut other = made.clone();
    other.places.push(other.places[0].clone());
    assert_eq!(sign(&other), Err(ManifestError::Order));
    let mut other = made.clone();
    other.size = limits::SNAPSHOT_MAX_BYTES + 1;
    assert!(matches!(sign(&other), Err(ManifestError::TooLarge { .. })));
    let mut other = made.clone();
    other.maker = identity(3).public();
    assert_eq!(sign(&other), Err(ManifestError::Signature(identity(3).public())));
    let mut other = made;
    (other.places[0].sealed, other.places[0].applied) = (None, 1);
    assert_eq!(sign(&other).expect("before the first group's end"), other);
    assert!(Base::prove(&log, &[0; 130]).is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_a_manifest_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = prove(&bytes);
        let mut begun = manifest().0.sign(identity(1).as_ref());
        begun.truncate(12 + bytes.len() % 300);
        begun.extend_from_slice(&bytes);
        prop_assert!(prove(&begun).is_err());
    }
}
