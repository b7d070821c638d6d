//! `key`: the identity of a data directory, made, shown, rotated and sealed. Never shows a secret.

use std::io::{self, Write};
use std::path::Path;

use vixp2p::PeerId;
use vixp2p::driver::disk::DirectoryLock;
use vixp2p::driver::keyfile;

use crate::args::{KeyArgs, KeyCommand};
use crate::failure::Failure;
use crate::secrets;

pub(crate) fn run(args: KeyArgs) -> Result<(), Failure> {
    const OPTION: &str = "--passphrase-file";
    let id = match args.command {
        KeyCommand::Show { data } => public(&data)?,
        KeyCommand::New(args) => {
            let passphrase = secrets::passphrase(OPTION, args.passphrase_file.as_deref())?;
            let owner = DirectoryLock::take(&args.data)?;
            keyfile::create(&args.data, &owner, passphrase.as_ref())?.id()
        }
        KeyCommand::Rotate(args) => {
            let passphrase = secrets::passphrase(OPTION, args.passphrase_file.as_deref())?;
            let owner = own(&args.data)?;
            let (old, new) = keyfile::rotate(&args.data, &owner, passphrase.as_ref())?;
            // The new key is in place whether or not this can be read.
            let _ = writeln!(io::stderr(), "vixp2p: {old} is now {new}; the old secret is overwritten");
            new
        }
        KeyCommand::Passphrase { present, new_passphrase_file, remove: _ } => {
            let from = secrets::passphrase(OPTION, present.passphrase_file.as_deref())?;
            let to = secrets::passphrase("--new-passphrase-file", new_passphrase_file.as_deref())?;
            let owner = own(&present.data)?;
            keyfile::change_passphrase(&present.data, &owner, from.as_ref(), to.as_ref())?
        }
    };
    writeln!(io::stdout(), "{id}").map_err(Failure::stdout)
}

/// The public key of a directory, sealed or not.
pub(crate) fn public(data: &Path) -> Result<PeerId, Failure> {
    match keyfile::public_key(data) {
        Err(error) if keyfile::is_missing(&error) => Err(Failure::Runtime(format!(
            "no key file in {}; \"vixp2p key new\" and a node that runs with --data {} make one",
            data.display(),
            data.display()
        ))),
        other => Ok(other?.0),
    }
}

/// The directory of a key that exists, with nobody else on it.
fn own(data: &Path) -> Result<DirectoryLock, Failure> {
    // Taking the lock would make the directory.
    public(data)?;
    Ok(DirectoryLock::take(data)?)
}
