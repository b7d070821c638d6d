//! `key show`: the public key of a data directory. Never creates one and never shows the secret.

use std::io::{self, Write};

use vixp2p::Error;
use vixp2p::driver::disk;

use crate::args::{KeyArgs, KeyCommand};
use crate::failure::Failure;

pub(crate) fn run(args: KeyArgs) -> Result<(), Failure> {
    let KeyCommand::Show { data } = args.command;
    let identity = match disk::load_identity(&data) {
        Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Err(Failure::Runtime(format!(
                "no key file in {}; a node that runs with --data {} creates one",
                data.display(),
                data.display()
            )));
        }
        other => other?,
    };
    writeln!(io::stdout(), "{}", identity.id()).map_err(Failure::stdout)
}
