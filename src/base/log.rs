//! Log levels and records. Never prints: a record goes to the node's log callback or nowhere.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::base::error::Error;

/// How much a log line matters, from most talkative to none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Level {
    /// Every message.
    Trace = 0,
    /// Every decision.
    Debug = 1,
    /// What an operator wants to see.
    Info = 2,
    /// Something went wrong and was dealt with.
    Warn = 3,
    /// Something went wrong and needs a person.
    Error = 4,
    /// The node cannot go on.
    Critical = 5,
    /// Nothing.
    Off = 6,
}

impl Level {
    /// The level's name in lower case.
    pub fn name(self) -> &'static str {
        ["trace", "debug", "info", "warn", "error", "critical", "off"][self as usize]
    }

    /// The level with that number; out of range is `None`.
    pub fn from_number(n: u8) -> Option<Level> {
        [Level::Trace, Level::Debug, Level::Info, Level::Warn, Level::Error, Level::Critical, Level::Off].get(usize::from(n)).copied()
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Level {
    type Err = Error;

    fn from_str(text: &str) -> Result<Level, Error> {
        Ok(match text.to_ascii_lowercase().as_str() {
            "trace" => Level::Trace,
            "debug" => Level::Debug,
            "info" => Level::Info,
            "warn" | "warning" => Level::Warn,
            "error" | "err" => Level::Error,
            "critical" | "fatal" => Level::Critical,
            "off" | "none" => Level::Off,
            _ => return Err(Error::Invalid(format!("log level \"{text}\" is none of trace, debug, info, warn, error, critical, off"))),
        })
    }
}
