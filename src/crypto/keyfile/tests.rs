//! What key files promise: the same identity back, four different refusals, no panic and no cost on any text.

use proptest::prelude::*;

use super::*;

/// The least that Argon2id takes, so that tests are quick.
const CHEAP: Cost = Cost { memory_kib: 8, iterations: 1, parallelism: 1 };

fn identity(byte: u8) -> Identity {
    Identity::from_seed(&Secret::new([byte; 32]))
}

fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(text.as_bytes().to_vec()).expect("short")
}

fn seeds(byte: u8) -> SealSeeds {
    SealSeeds { salt: [byte; 16], nonce: [byte; 24] }
}

fn sealed() -> String {
    to_sealed(&identity(7), &passphrase("right"), CHEAP, &seeds(3)).to_string()
}

/// The same line with another content and a checksum that fits.
fn with(from: &str, to: &str) -> String {
    let text = sealed();
    let body = text.trim_end().rsplit_once(" crc=").expect("a checksum").0.replacen(from, to, 1);
    assert_ne!(text.trim_end().rsplit_once(" crc=").expect("a checksum").0, body, "{from}");
    format!("{body} crc={:08x}\n", crc32c::crc32c(body.as_bytes()))
}

fn error(text: &str, passphrase: Option<&Passphrase>) -> KeyFileError {
    open(text, passphrase).expect_err("refused")
}

#[test]
fn a_plain_key_file_gives_the_same_identity_back() {
    let text = to_plain(&identity(7));
    assert_eq!(*text, format!("vixp2p-secret-key-v1 {}\n", "07".repeat(32)));
    assert_eq!(open(&text, None).expect("own text").id(), identity(7).id());
    assert_eq!(public_key(&text), Ok((identity(7).id(), false)));
    assert_eq!(error(&text, Some(&passphrase("x"))), KeyFileError::NotSealed);
}

#[test]
fn a_sealed_key_file_opens_with_its_passphrase_and_shows_only_the_public_key() {
    let text = sealed();
    assert_eq!(text.lines().count(), 1);
    assert!(!text.contains(&"07".repeat(4)));
    assert_eq!(open(&text, Some(&passphrase("right"))).expect("own text").id(), identity(7).id());
    assert_eq!(public_key(&text), Ok((identity(7).id(), true)));
    let again = to_sealed(&identity(7), &passphrase("right"), CHEAP, &seeds(4));
    assert_ne!(again.rsplit_once("box="), text.rsplit_once("box="));
}

#[test]
fn the_text_is_the_one_another_implementation_writes() {
    // By libsodium: Argon2id, XChaCha20-Poly1305 and Ed25519.
    let theirs = concat!(
        "vixp2p-sealed-key-v1 argon2id memory=8 iterations=1 parallelism=1 public=ea4a6c63e29c520abef5507b132",
        "ec5f9954776aebebe7b92421eea691446d22c salt=03030303030303030303030303030303 nonce=030303030303030303",
        "030303030303030303030303030303 box=6a033b7f563ec1eb32876672ffc974d1b836f3625e68a1bf9545ff976c005425b",
        "05a562223075f11479a13969532c998 crc=2bffd441",
    );
    assert_eq!(sealed().trim_end(), theirs);
}

#[test]
fn a_default_file_costs_what_the_text_of_the_module_says() {
    let text = to_sealed(&identity(7), &passphrase("right"), Cost::DEFAULT, &seeds(3));
    assert!(text.contains(" argon2id memory=65536 iterations=3 parallelism=1 "), "{}", &text[..80]);
    assert_eq!(open(&text, Some(&passphrase("right"))).expect("own text").id(), identity(7).id());
}

#[test]
fn wrong_missing_and_damaged_are_told_apart_and_quote_nothing() {
    let text = sealed();
    assert_eq!(error(&text, Some(&passphrase("wrong"))), KeyFileError::WrongPassphrase);
    assert_eq!(error(&text, None), KeyFileError::NoPassphrase);
    let sentences: Vec<String> = [
        error(&text, Some(&passphrase("wrong"))),
        error(&text, None),
        error(&text.replacen("box=", "box=f", 1), None),
        error("hello", None),
        error(&to_plain(&identity(7)), Some(&passphrase("wrong"))),
    ]
    .map(|error| error.to_string())
    .to_vec();
    assert_eq!(sentences.iter().collect::<std::collections::BTreeSet<_>>().len(), sentences.len());
    assert!(sentences[2].contains("damaged") && !sentences[0].contains("damaged"));
    assert!(sentences.iter().all(|text| !text.contains("0707") && !text.contains("wrong\"") && !text.contains("right")));
}

#[test]
fn any_changed_character_is_damage_and_any_change_under_a_right_checksum_opens_nothing() {
    let text = sealed();
    for at in 0..text.trim_end().len() {
        let mut bad = text.clone().into_bytes();
        bad[at] ^= 1;
        let bad = String::from_utf8(bad).expect("still ASCII");
        assert!(matches!(error(&bad, Some(&passphrase("right"))), KeyFileError::Damaged(_) | KeyFileError::Unknown), "{at}");
    }
    let id = identity(7).id().to_string();
    for (from, to) in [
        ("memory=8", "memory=9"),
        ("memory=8", "memory=08"),
        ("iterations=1", "iterations=2"),
        ("nonce=03", "nonce=04"),
        ("salt=03", "salt=04"),
        (&id, &identity(8).id().to_string()),
        (&id, &id.to_uppercase()),
    ] {
        assert_eq!(error(&with(from, to), Some(&passphrase("right"))), KeyFileError::WrongPassphrase, "{from} to {to}");
    }
    for (from, to) in [
        ("argon2id ", "argon2i "),
        (" parallelism=1", ""),
        ("salt=03", "salt="),
        ("box=", "box=00"),
        (" box=", "  box="),
        ("nonce=03", "nonce=zz"),
    ] {
        assert!(matches!(error(&with(from, to), Some(&passphrase("right"))), KeyFileError::Damaged(_)), "{from} to {to}");
    }
}

#[test]
fn a_file_that_asks_for_too_much_is_refused_before_anything_is_spent() {
    let right = passphrase("right");
    for (from, to, what) in [
        ("memory=8", "memory=1048577", "memory"),
        ("memory=8", "memory=4294967295", "memory"),
        ("iterations=1", "iterations=17", "iterations"),
        ("parallelism=1", "parallelism=17", "parallelism"),
    ] {
        match error(&with(from, to), Some(&right)) {
            KeyFileError::TooCostly { what: named, .. } => assert_eq!(named, what),
            other => panic!("{to}: {other}"),
        }
    }
    for (from, to) in
        [("memory=8", "memory=7"), ("iterations=1", "iterations=0"), ("parallelism=1", "parallelism=0"), ("memory=8", "memory=4294967296")]
    {
        assert!(matches!(error(&with(from, to), Some(&right)), KeyFileError::Damaged(_)), "{to}");
    }
}

#[test]
fn a_damaged_plain_file_is_refused() {
    for text in ["", "hello", "vixp2p-sealed-key-v2 x", "vixp2p-sealed-key-v1"] {
        assert_eq!(error(text, None), KeyFileError::Unknown, "{text}");
    }
    for text in ["vixp2p-secret-key-v1 ", "vixp2p-secret-key-v1 zz", "vixp2p-secret-key-v1 00ff", "vixp2p-sealed-key-v1 x"] {
        assert!(matches!(error(text, None), KeyFileError::Damaged(_)), "{text}");
    }
}

proptest! {
    #[test]
    fn an_identity_survives_both_texts(seed: [u8; 32], salt: [u8; 16], nonce: [u8; 24], secret in prop::collection::vec(any::<u8>(), 1..40)) {
        let identity = Identity::from_seed(&Secret::new(seed));
        let secret = Passphrase::new(secret).expect("short");
        let text = to_sealed(&identity, &secret, CHEAP, &SealSeeds { salt, nonce });
        prop_assert_eq!(open(&text, Some(&secret)).expect("own text").id(), identity.id());
        prop_assert_eq!(open(&to_plain(&identity), None).expect("own text").id(), identity.id());
    }

    #[test]
    fn any_text_is_read_or_refused_without_panic(text in ".{0,80}", fields in "( ?[a-z0-9=]{0,12}){0,10}") {
        let _ = (open(&text, None), public_key(&text));
        for word in [PLAIN_WORD, SEALED_WORD] {
            let body = format!("{word}{fields}");
            let _ = (open(&body, None), open(&format!("{body} crc={:08x}", crc32c::crc32c(body.as_bytes())), None));
        }
    }
}
