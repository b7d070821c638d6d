//! The files that hold secrets of the command line: the cluster's key, a passphrase. Never prints what is in them.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use vixp2p::base::bootstrap::Token;
use vixp2p::base::config::Psk;
use vixp2p::base::{Passphrase, limits};
use vixp2p::driver::keyfile;
use zeroize::Zeroizing;

use crate::failure::Failure;

/// A pre-shared key is one short line; anything larger is something else.
const PSK_FILE_MAX_BYTES: u64 = 4096;
/// More than every authority of a browser.
const CERTIFICATES_FILE_MAX_BYTES: u64 = 1024 * 1024;
/// A token and its line end.
const TOKEN_FILE_MAX_BYTES: u64 = 4096;

/// The pre-shared key in the file that `option` names.
pub(crate) fn psk(option: &str, path: &Path) -> Result<Psk, Failure> {
    let refuse = |why: String| Failure::Usage(format!("{option} {}: {why}", path.display()));
    let mut text = Zeroizing::new(String::with_capacity(PSK_FILE_MAX_BYTES as usize));
    let file = File::open(path).map_err(|error| refuse(format!("cannot be opened: {error}")))?;
    file.take(PSK_FILE_MAX_BYTES).read_to_string(&mut text).map_err(|error| refuse(format!("cannot be read: {error}")))?;
    Psk::from_hex(&text).map_err(|error| refuse(error.to_string()))
}

/// The token in the first line of the file that `option` names.
pub(crate) fn token(option: &str, path: &Path) -> Result<Token, Failure> {
    let refuse = |why: String| Failure::Usage(format!("{option} {}: {why}", path.display()));
    let mut text = Zeroizing::new(String::with_capacity(TOKEN_FILE_MAX_BYTES as usize));
    let file = File::open(path).map_err(|error| refuse(format!("cannot be opened: {error}")))?;
    file.take(TOKEN_FILE_MAX_BYTES).read_to_string(&mut text).map_err(|error| refuse(format!("cannot be read: {error}")))?;
    Token::new(text.lines().next().unwrap_or_default()).map_err(|error| refuse(error.to_string()))
}

/// The certificates in the file that `option` names; nothing secret, and read like the rest.
pub(crate) fn certificates(option: &str, path: &Path) -> Result<String, Failure> {
    let refuse = |why: String| Failure::Usage(format!("{option} {}: {why}", path.display()));
    let file = File::open(path).map_err(|error| refuse(format!("cannot be opened: {error}")))?;
    let mut text = String::new();
    file.take(CERTIFICATES_FILE_MAX_BYTES).read_to_string(&mut text).map_err(|error| refuse(format!("cannot be read: {error}")))?;
    if text.contains("-----BEGIN CERTIFICATE-----") { Ok(text) } else { Err(refuse("holds no certificate in PEM".into())) }
}

/// The first line of the file that `option` names, without its line end.
pub(crate) fn passphrase(option: &str, path: Option<&Path>) -> Result<Option<Passphrase>, Failure> {
    let Some(path) = path else { return Ok(None) };
    let refuse = |why: String| Failure::Usage(format!("{option} {}: {why}", path.display()));
    let file = File::open(path).map_err(|error| refuse(format!("cannot be opened: {error}")))?;
    let metadata = file.metadata().map_err(|error| refuse(error.to_string()))?;
    if let Some(why) = keyfile::exposed(&metadata) {
        return Err(refuse(format!("{why}, or choose another passphrase if it may have leaked")));
    }
    // With room for the line end and one byte too many.
    let max = limits::PASSPHRASE_MAX_BYTES + 3;
    let mut bytes = Zeroizing::new(Vec::with_capacity(max));
    file.take(max as u64).read_to_end(&mut bytes).map_err(|error| refuse(format!("cannot be read: {error}")))?;
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() {
        return Err(refuse("its first line is empty, which is no passphrase".into()));
    }
    Passphrase::new(line.to_vec())
        .map(Some)
        .map_err(|_| refuse(format!("its first line is longer than {} bytes", limits::PASSPHRASE_MAX_BYTES)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn read(content: &[u8], mode: u32) -> Result<Vec<u8>, String> {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("pass");
        std::fs::write(&path, content).expect("write");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("chmod");
        match passphrase("--passphrase-file", Some(&path)) {
            Ok(passphrase) => Ok(passphrase.expect("a file was named").expose().to_vec()),
            Err(failure) => Err(failure.text().expect("a sentence")),
        }
    }

    #[test]
    fn the_first_line_of_a_private_file_is_the_passphrase() {
        for content in [&b"open  sesame "[..], b"open  sesame \n", b"open  sesame \r\nsecond line\n"] {
            assert_eq!(read(content, 0o600).expect("private"), b"open  sesame ");
        }
        assert_eq!(read(b"\xff\x00\n", 0o400).expect("any bytes"), b"\xff\x00");
        let longest = vec![b'x'; limits::PASSPHRASE_MAX_BYTES];
        assert_eq!(read(&[&longest[..], b"\r\n"].concat(), 0o600).expect("at the limit"), longest);
        assert!(read(&[&longest[..], b"x\n"].concat(), 0o600).expect_err("too long").contains("longer than 1024"));
        for empty in [&b""[..], b"\n", b"\r\nsecond\n"] {
            assert!(read(empty, 0o600).expect_err("empty").contains("empty"));
        }
        for mode in [0o644, 0o640, 0o606] {
            let why = read(b"sesame\n", mode).expect_err("readable by others");
            assert!(why.contains("chmod 600") && !why.contains("sesame"), "{why}");
        }
    }
}
