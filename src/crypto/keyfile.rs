//! The text of a key file: one line, plain or sealed by a passphrase. Never touches the file and draws no random numbers.
//!
//! ```text
//! vixp2p-secret-key-v1 HEX
//! vixp2p-sealed-key-v1 argon2id memory=KIB iterations=N parallelism=N public=HEX salt=HEX nonce=HEX box=HEX crc=HEX
//! ```
//!
//! The box is XChaCha20-Poly1305 over the 32-byte private key, under Argon2id of the passphrase (RFC 9106); everything before the
//! box is authenticated with it. The checksum (CRC-32C of all before ` crc=`) tells a damaged file from a wrong passphrase.

use orion::hazardous::aead::xchacha20poly1305::{Nonce, SecretKey, Tag, XChaCha20Poly1305};
use orion::hazardous::kdf::argon2::{Argon2, CostParams, ID, Sequential};
use zeroize::{Zeroize, Zeroizing};

use crate::base::id::{from_hex, hex};
use crate::base::{Passphrase, PeerId, limits};
use crate::crypto::{Identity, Secret};

const PLAIN_WORD: &str = "vixp2p-secret-key-v1 ";
const SEALED_WORD: &str = "vixp2p-sealed-key-v1 ";
const KEY_BYTES: usize = 32;
const TAG_BYTES: usize = 16;

/// Why a key file gives no identity. No text quotes the file.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum KeyFileError {
    /// Neither form.
    #[error(
        "it begins with neither \"vixp2p-secret-key-v1\" nor \"vixp2p-sealed-key-v1\"; it is no key file of this version, or it is damaged"
    )]
    Unknown,
    /// One of the forms, but broken.
    #[error("{0}; the file is damaged")]
    Damaged(&'static str),
    /// Opening it would take more than a key file may ask for.
    #[error("it asks for {what}={got} to be opened, the limit is {max}; make a new key")]
    TooCostly {
        /// Which cost.
        what: &'static str,
        /// As the file says.
        got: u32,
        /// What is allowed.
        max: u32,
    },
    /// Sealed, and nothing to open it with.
    #[error("the key is sealed and no passphrase was given; give the one it was sealed with")]
    NoPassphrase,
    /// Sealed with another passphrase.
    #[error("the passphrase is wrong")]
    WrongPassphrase,
    /// A passphrase was given for a key that lies open.
    #[error("a passphrase was given, but the key is not sealed; seal it with \"vixp2p key passphrase\", or leave the passphrase out")]
    NotSealed,
}

/// What a passphrase guess costs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cost {
    memory_kib: u32,
    iterations: u32,
    parallelism: u32,
}

impl Cost {
    /// For new files: 64 MiB and three passes (RFC 9106 §4, second recommended option, on one lane).
    pub const DEFAULT: Cost = Cost { memory_kib: 64 * 1024, iterations: 3, parallelism: 1 };

    /// A cost within the limits.
    pub fn new(memory_kib: u32, iterations: u32, parallelism: u32) -> Result<Cost, KeyFileError> {
        for (what, got, max) in [
            ("memory", memory_kib, limits::KEY_MEMORY_MAX_KIB),
            ("iterations", iterations, limits::KEY_ITERATIONS_MAX),
            ("parallelism", parallelism, limits::KEY_PARALLELISM_MAX),
        ] {
            if got > max {
                return Err(KeyFileError::TooCostly { what, got, max });
            }
        }
        if iterations == 0 || parallelism == 0 || memory_kib < 8 * parallelism {
            return Err(KeyFileError::Damaged("its cost is none that Argon2id has"));
        }
        Ok(Cost { memory_kib, iterations, parallelism })
    }

    fn derive(self, passphrase: &Passphrase, salt: &[u8; 16]) -> SecretKey {
        let cost = CostParams::new(self.iterations, self.memory_kib, self.parallelism).expect("checked when made");
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        Argon2::<ID, Sequential>::derive_key(passphrase.expose(), salt, &cost, None, None, &mut *key)
            .expect("salt and key have lengths that Argon2 takes, and passphrases are short");
        SecretKey::try_from(key.as_slice()).expect("32-byte key")
    }
}

/// The random values of one sealing. Neither is secret; both are new each time.
#[derive(Clone, Debug)]
pub struct SealSeeds {
    /// Makes one passphrase give many keys.
    pub salt: [u8; 16],
    /// Makes one key seal many boxes.
    pub nonce: [u8; 24],
}

/// The plain text of a key file.
pub fn to_plain(identity: &Identity) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(PLAIN_WORD.len() + 2 * KEY_BYTES + 1));
    let digits = Zeroizing::new(hex(identity.seed()));
    text.push_str(PLAIN_WORD);
    text.push_str(&digits);
    text.push('\n');
    text
}

/// The sealed text of a key file.
pub fn to_sealed(identity: &Identity, passphrase: &Passphrase, cost: Cost, seeds: &SealSeeds) -> Zeroizing<String> {
    let Cost { memory_kib, iterations, parallelism } = cost;
    let mut text = format!(
        "{SEALED_WORD}argon2id memory={memory_kib} iterations={iterations} parallelism={parallelism} public={} salt={} nonce={} box=",
        identity.id(),
        hex(&seeds.salt),
        hex(&seeds.nonce),
    );
    let key = cost.derive(passphrase, &seeds.salt);
    let mut sealed = Zeroizing::new(*identity.seed());
    let tag = XChaCha20Poly1305::seal_inplace(&key, &Nonce::from(seeds.nonce), Some(text.as_bytes()), sealed.as_mut_slice())
        .expect("32 bytes are far below the AEAD's length limit");
    text.push_str(&hex(sealed.as_slice()));
    text.push_str(&hex(tag.unprotected_as_ref()));
    let crc = crc32c::crc32c(text.as_bytes());
    Zeroizing::new(format!("{text} crc={crc:08x}\n"))
}

/// The identity of a key file's text. A sealed one needs its passphrase, a plain one must be given none.
pub fn open(text: &str, passphrase: Option<&Passphrase>) -> Result<Identity, KeyFileError> {
    let Some(sealed) = Sealed::read(text)? else {
        let identity = open_plain(text)?;
        return if passphrase.is_some() { Err(KeyFileError::NotSealed) } else { Ok(identity) };
    };
    let passphrase = passphrase.ok_or(KeyFileError::NoPassphrase)?;
    let key = sealed.cost.derive(passphrase, &sealed.salt);
    let mut seed = Secret::new(sealed.text);
    let tag = Tag::try_from(sealed.tag.as_slice()).expect("16-byte tag");
    XChaCha20Poly1305::open_inplace(&key, &Nonce::from(sealed.nonce), &tag, Some(sealed.head.as_bytes()), seed.expose_mut())
        .map_err(|_| KeyFileError::WrongPassphrase)?;
    let identity = Identity::from_seed(&seed);
    if identity.id() != sealed.public {
        return Err(KeyFileError::Damaged("the public key in it is not that of its secret"));
    }
    Ok(identity)
}

/// The public key of a key file's text, and whether the secret is sealed. Of a sealed file it is as good as the file: only
/// [`open`] proves it.
pub fn public_key(text: &str) -> Result<(PeerId, bool), KeyFileError> {
    match Sealed::read(text)? {
        Some(sealed) => Ok((sealed.public, true)),
        None => Ok((open_plain(text)?.id(), false)),
    }
}

fn open_plain(text: &str) -> Result<Identity, KeyFileError> {
    let digits = text.trim_end().strip_prefix(PLAIN_WORD).or_else(|| (text.trim_end() == PLAIN_WORD.trim_end()).then_some(""));
    let digits = digits.ok_or(KeyFileError::Unknown)?;
    let bytes = Zeroizing::new(from_hex(digits).ok_or(KeyFileError::Damaged("the key is not hexadecimal"))?);
    let mut seed =
        <[u8; KEY_BYTES]>::try_from(bytes.as_slice()).map_err(|_| KeyFileError::Damaged("the key does not have 64 hex digits"))?;
    let identity = Identity::from_seed(&Secret::new(seed));
    seed.zeroize();
    Ok(identity)
}

/// The fields of a sealed line.
struct Sealed<'a> {
    cost: Cost,
    public: PeerId,
    salt: [u8; 16],
    nonce: [u8; 24],
    text: [u8; KEY_BYTES],
    tag: [u8; TAG_BYTES],
    /// Everything before the box.
    head: &'a str,
}

impl<'a> Sealed<'a> {
    /// `None` if the text is of another form.
    fn read(text: &'a str) -> Result<Option<Sealed<'a>>, KeyFileError> {
        let line = text.trim_end();
        let Some(fields) = line.strip_prefix(SEALED_WORD) else { return Ok(None) };
        let damaged = KeyFileError::Damaged;
        let (body, crc) = line.rsplit_once(" crc=").ok_or(damaged("its checksum is missing"))?;
        if crc != format!("{:08x}", crc32c::crc32c(body.as_bytes())) {
            return Err(damaged("its checksum is wrong"));
        }
        let fields = fields.strip_suffix(crc).and_then(|fields| fields.strip_suffix(" crc=")).unwrap_or_default();
        Sealed::read_fields(fields, body).map(Some)
    }

    fn read_fields(fields: &str, body: &'a str) -> Result<Sealed<'a>, KeyFileError> {
        let wrong = || KeyFileError::Damaged("a field is missing or wrong");
        let mut words = fields.split(' ');
        let mut field = |name: &str| words.next().and_then(|word| word.strip_prefix(name));
        field("argon2id").filter(|rest| rest.is_empty()).ok_or_else(wrong)?;
        let number = |text: Option<&str>| text.and_then(|text| text.parse::<u32>().ok()).ok_or_else(wrong);
        let (memory, iterations, parallelism) = (number(field("memory="))?, number(field("iterations="))?, number(field("parallelism="))?);
        let public = PeerId(array(field("public=")).ok_or_else(wrong)?);
        let salt = array(field("salt=")).ok_or_else(wrong)?;
        let nonce = array(field("nonce=")).ok_or_else(wrong)?;
        let digits = field("box=").ok_or_else(wrong)?;
        let sealed: [u8; KEY_BYTES + TAG_BYTES] = array(Some(digits)).ok_or_else(wrong)?;
        let (text, tag) = (sealed.first_chunk(), sealed.last_chunk());
        let (Some(text), Some(tag), None) = (text, tag, words.next()) else { return Err(wrong()) };
        let head = body.strip_suffix(digits).ok_or_else(wrong)?;
        Ok(Sealed { cost: Cost::new(memory, iterations, parallelism)?, public, salt, nonce, text: *text, tag: *tag, head })
    }
}

fn array<const N: usize>(digits: Option<&str>) -> Option<[u8; N]> {
    from_hex(digits?)?.try_into().ok()
}

#[cfg(test)]
mod tests;
