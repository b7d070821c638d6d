//! Published test vectors of the primitives, through this crate's own interface.

use orion::hazardous::hash::sha3::sha3_256::Sha3_256;
use vixp2p::base::id::{PeerId, from_hex, hex};
use vixp2p::crypto::identity::{self, Identity};
use vixp2p::crypto::kex::x25519::KeyPair;
use vixp2p::crypto::kex::{self, Group, KexSecrets, Offer};
use vixp2p::crypto::secret::Secret;

fn bytes<const N: usize>(text: &str) -> [u8; N] {
    from_hex(text).expect("hex").try_into().expect("length")
}

/// draft-connolly-cfrg-xwing-kem, appendix C: seed, eseed, shared secret, and SHA3-256 of the encapsulation key and of the ciphertext.
const XWING: [(&str, &str, &str, &str, &str); 3] = [
    (
        "7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26",
        "3cb1eea988004b93103cfb0aeefd2a686e01fa4a58e8a3639ca8a1e3f9ae57e235b8cc873c23dc62b8d260169afa2f75ab916a58d974918835d25e6a435085b2",
        "d2df0522128f09dd8e2c92b1e905c793d8f57a54c3da25861f10bf4ca613e384",
        "5121745904643ad9dfacca7869292c19a8a69533b53e60666b7db910b4ad6367",
        "c0abd149f83f45324ac3a7ddc7606c71f257e5ea86113522834a0ee1bcb34e3e",
    ),
    (
        "badfd6dfaac359a5efbb7bcc4b59d538df9a04302e10c8bc1cbf1a0b3a5120ea",
        "17cda7cfad765f5623474d368ccca8af0007cd9f5e4c849f167a580b14aabdefaee7eef47cb0fca9767be1fda69419dfb927e9df07348b196691abaeb580b32d",
        "f2e86241c64d60f6649fbc6c5b7d17180b780a3f34355e64a85749949c45f150",
        "799b6016e5daa56ffa1b5e79f7caf73413ceecd6df428642404cac41ddee4853",
        "7680b7ba47ae09bac4b43001edcef9d98e50df20026e70ba6a424447e1f2b961",
    ),
    (
        "ef58538b8d23f87732ea63b02b4fa0f4873360e2841928cd60dd4cee8cc0d4c9",
        "22a96188d032675c8ac850933c7aff1533b94c834adbb69c6115bad4692d8619f90b0cdf8a7b9c264029ac185b70b83f2801f2f4b3f70c593ea3aeeb613a7f1b",
        "953f7f4e8c5b5049bdc771d1dffada0dd961477d1a2ae0988baa7ea6898d893f",
        "",
        "",
    ),
];

fn sha3(text: &[u8]) -> String {
    hex(Sha3_256::digest(text).expect("short").as_ref())
}

#[test]
fn x_wing_is_that_of_its_draft() {
    for (number, (seed, eseed, shared, key_hash, ciphertext_hash)) in XWING.into_iter().enumerate() {
        let mut ours = KexSecrets { x25519: Secret::zero(), xwing: Secret::zero(), reproducible: true };
        ours.xwing.expose_mut()[..32].copy_from_slice(&bytes::<32>(seed));
        let offer = Offer::new(&[Group::XWing], &ours);
        let share = offer.share(Group::XWing).expect("offered");
        let theirs = KexSecrets { x25519: Secret::zero(), xwing: Secret::new(bytes(eseed)), reproducible: true };
        let (ciphertext, secret) = kex::answer(Group::XWing, share, &theirs).expect("honest");
        assert_eq!(hex(secret.expose()), shared, "{number}");
        assert_eq!(hex(offer.complete(Group::XWing, &ciphertext).expect("honest").expose()), shared, "{number}");
        if !key_hash.is_empty() {
            assert_eq!((sha3(share).as_str(), sha3(&ciphertext).as_str()), (key_hash, ciphertext_hash), "{number}");
        }
    }
}

#[test]
fn x25519_is_that_of_rfc_7748() {
    // §5.2, both single vectors, and the first step of the iterated one.
    let nine = hex(&{
        let mut nine = [0; 32];
        nine[0] = 9;
        nine
    });
    for (scalar, point, result) in [
        (
            "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
            "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
            "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
        ),
        (
            "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
            "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
            "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
        ),
        (nine.as_str(), nine.as_str(), "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079"),
    ] {
        let pair = KeyPair::from_secret(&Secret::new(bytes(scalar)));
        assert_eq!(hex(pair.agree(&bytes(point)).expect("not of small order").expose()), result);
    }
}

#[test]
fn x25519_after_a_thousand_rounds_is_that_of_rfc_7748() {
    let (mut k, mut u) = ([0; 32], [0; 32]);
    (k[0], u[0]) = (9, 9);
    for _ in 0..1000 {
        let result = *KeyPair::from_secret(&Secret::new(k)).agree(&u).expect("not of small order").expose();
        (k, u) = (result, k);
    }
    assert_eq!(hex(&k), "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51");
}

#[test]
fn ed25519_is_that_of_rfc_8032() {
    // §7.1, tests 1 to 3.
    for (seed, key, message, signature) in [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ),
        (
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        ),
    ] {
        let identity = Identity::from_seed(&Secret::new(bytes(seed)));
        let message = from_hex(message).expect("hex");
        assert_eq!(identity.id(), PeerId(bytes(key)));
        assert_eq!(hex(&identity.sign(&message)), signature);
        assert!(identity::verify(&identity.id(), &message, &bytes(signature)));
    }
}
