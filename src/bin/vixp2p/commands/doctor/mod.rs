//! `doctor`: why a peer is not connected, in plain words. Asks the node that runs, else looks for itself. Changes nothing.

pub(crate) mod alone;
pub(crate) mod running;
pub(crate) mod words;

use std::io::{self, Write};

use serde::{Deserialize, Serialize};

use crate::args::{DoctorArgs, Target, Whom};
use crate::control::client::Client;
use crate::failure::Failure;

/// How something was found to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// As it should be.
    Ok,
    /// Neither good nor bad; to know.
    Note,
    /// A reason why a peer is not connected.
    Bad,
}

/// One thing that was looked at.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Finding {
    pub(crate) verdict: Verdict,
    /// What was looked at: "node", "port", "tcp://127.0.0.1:9001".
    pub(crate) about: String,
    /// A stable name of the cause, for programs.
    pub(crate) cause: String,
    /// One sentence: what is.
    pub(crate) says: String,
    /// What to do; empty if there is nothing.
    pub(crate) advice: String,
    /// When it is tried again by itself.
    pub(crate) next_attempt_in_ms: Option<u64>,
}

impl Finding {
    pub(crate) fn new(verdict: Verdict, about: impl Into<String>, cause: &str, says: impl Into<String>) -> Finding {
        let (about, says) = (about.into(), says.into());
        Finding { verdict, about, cause: cause.to_owned(), says, advice: String::new(), next_attempt_in_ms: None }
    }

    pub(crate) fn ok(about: impl Into<String>, says: impl Into<String>) -> Finding {
        Finding::new(Verdict::Ok, about, "ok", says)
    }

    pub(crate) fn note(about: impl Into<String>, cause: &str, says: impl Into<String>) -> Finding {
        Finding::new(Verdict::Note, about, cause, says)
    }

    pub(crate) fn bad(about: impl Into<String>, cause: &str, says: impl Into<String>, advice: impl Into<String>) -> Finding {
        Finding { advice: advice.into(), ..Finding::new(Verdict::Bad, about, cause, says) }
    }

    fn line(&self) -> String {
        let mark = match self.verdict {
            Verdict::Ok => "ok  ",
            Verdict::Note => "note",
            Verdict::Bad => "BAD ",
        };
        let again = self.next_attempt_in_ms.map_or(String::new(), |ms| format!("; next attempt in {}.{} s", ms / 1000, ms % 1000 / 100));
        let advice = if self.advice.is_empty() { String::new() } else { format!("\n       -> {}", self.advice) };
        format!("{mark}  {}: {}{again}{advice}", self.about, self.says)
    }
}

/// What a running node is asked.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Question {
    /// Only these endpoints; all if empty.
    pub(crate) endpoints: Vec<String>,
}

pub(crate) async fn run(args: DoctorArgs) -> Result<(), Failure> {
    let mut findings = match &args.data {
        Some(data) => match Client::connect(data).await {
            Ok(Some(mut client)) => client.doctor(Question { endpoints: endpoints(&args) }).await?,
            Ok(None) => alone::examine(&args).await?,
            Err(failure) => {
                let why = failure.text().unwrap_or_default();
                vec![Finding::bad("node", "control_socket", why, "run doctor as the user who runs the node")]
            }
        },
        None => alone::examine(&args).await?,
    };
    if let Some(place) = &args.listen {
        findings.extend(alone::port(place));
    }
    show(&findings, args.json)?;
    if findings.iter().any(|finding| finding.verdict == Verdict::Bad) { Err(Failure::Told) } else { Ok(()) }
}

/// The endpoints that PEER names.
fn endpoints(args: &DoctorArgs) -> Vec<String> {
    match &args.peer {
        None => Vec::new(),
        Some(Whom::Endpoint(Target { endpoint, .. })) => vec![endpoint.to_string()],
        Some(Whom::Invite(invite)) => invite.addresses().iter().map(ToString::to_string).collect(),
    }
}

fn show(findings: &[Finding], json: bool) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    for finding in findings {
        let line = if json {
            serde_json::to_string(finding).map_err(|error| Failure::Runtime(error.to_string()))?
        } else {
            // Labels and reasons may come from the network; line ends in them are ours.
            let lines: Vec<String> = finding.line().lines().map(vixp2p::base::event::printable).collect();
            lines.join("\n")
        };
        writeln!(out, "{line}").map_err(Failure::stdout)?;
    }
    let bad = findings.iter().filter(|finding| finding.verdict == Verdict::Bad).count();
    if json {
        return Ok(());
    }
    let verdict = match bad {
        0 => "nothing is wrong as far as can be seen from here".to_owned(),
        1 => "1 thing is wrong".to_owned(),
        n => format!("{n} things are wrong"),
    };
    writeln!(out, "{verdict}").map_err(Failure::stdout)
}
