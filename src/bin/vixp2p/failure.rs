//! Why a command ended badly: the one line on stderr and the exit code. Never prints.

use std::io;

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line cannot be used: exit 2, nothing was started.
    Usage(String),
    /// Something went wrong while doing it: exit 1.
    Runtime(String),
    /// What is wrong was said on stdout, as asked for: exit 1.
    Told,
    /// Whoever read stdout has gone, and printing was all there was to do: exit 0, as there is nobody left to tell.
    NobodyReads,
}

impl Failure {
    /// A [`Failure::Runtime`] with what was being done.
    pub(crate) fn io(context: impl Into<String>) -> impl FnOnce(io::Error) -> Failure {
        let context = context.into();
        move |error| Failure::Runtime(format!("{context}: {error}"))
    }

    /// What went wrong with writing to stdout.
    pub(crate) fn stdout(error: io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::NobodyReads,
            _ => Failure::Runtime(format!("writing to stdout: {error}")),
        }
    }

    /// What came of printing, for commands that have more to do than that: a reader who went is no reason to leave it undone.
    pub(crate) fn or_unheard(said: Result<(), Failure>) -> Result<(), Failure> {
        match said {
            Err(Failure::NobodyReads) => Ok(()),
            other => other,
        }
    }

    /// The sentence for stderr, on one line whatever it quotes.
    pub(crate) fn text(&self) -> Option<String> {
        match self {
            Failure::Usage(text) | Failure::Runtime(text) => Some(vixp2p::base::event::printable(text)),
            Failure::NobodyReads | Failure::Told => None,
        }
    }

    pub(crate) fn code(&self) -> u8 {
        match self {
            Failure::Usage(_) => 2,
            Failure::Runtime(_) | Failure::Told => 1,
            Failure::NobodyReads => 0,
        }
    }
}

impl From<vixp2p::Error> for Failure {
    fn from(error: vixp2p::Error) -> Failure {
        Failure::Runtime(error.to_string())
    }
}
