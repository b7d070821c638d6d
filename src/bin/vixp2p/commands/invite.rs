//! `invite`: one line that says who the node of a data directory is and where it is reached. Never opens the secret key.

use std::io::{self, Write};

use vixp2p::base::Invite;

use crate::args::InviteArgs;
use crate::commands::key;
use crate::failure::Failure;
use crate::secrets;

pub(crate) fn run(args: InviteArgs) -> Result<(), Failure> {
    let psk = args.psk_file.as_deref().map(|path| secrets::psk("--psk-file", path)).transpose()?;
    let secret = psk.is_some();
    let invite = Invite::new(key::public(&args.data)?, args.addresses, psk).map_err(|error| Failure::Usage(error.to_string()))?;
    writeln!(io::stdout(), "{}", *invite.to_text()).map_err(Failure::stdout)?;
    if secret {
        // Whoever cannot read it has the line all the same.
        let _ = writeln!(io::stderr(), "vixp2p: this invite holds the cluster's secret: pass it on like a password");
    }
    Ok(())
}
