//! `send`: a message to a peer, connected or not, through the node that runs on a data directory; and `/send` of `--chat`.
//!
//! Says what became of it. Never starts a node: one that has just begun knows nobody.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read, Write};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use vixp2p::base::{Event, limits};
use vixp2p::{Node, PeerId};

use crate::args::SendArgs;
use crate::control::client::Client;
use crate::failure::Failure;

/// Messages waited for at once, by as many clients: some places at the control socket are left for others.
pub(crate) const WAITING_MAX: usize = 48;

/// What a client asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Letter {
    pub(crate) to: PeerId,
    /// How long it is tried.
    pub(crate) life: Duration,
    pub(crate) text: Bytes,
}

/// What became of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Ending {
    pub(crate) delivered: bool,
    /// A sentence for people.
    pub(crate) text: String,
}

/// Who waits for the end of which message.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    by_number: Mutex<BTreeMap<u64, oneshot::Sender<Ending>>>,
}

/// The wait for the end of one message; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Told<'a> {
    waiting: &'a Waiting,
    number: u64,
    end: oneshot::Receiver<Ending>,
}

impl Waiting {
    /// Sends a message; its end comes by what is returned. Also when nobody waits any more it goes on.
    pub(crate) fn send(&self, node: &Node, letter: &Letter) -> Result<Told<'_>, String> {
        // Held until it is known who waits: the end may come at once.
        let mut waiting = self.lock();
        if waiting.len() >= WAITING_MAX {
            return Err(format!("{WAITING_MAX} messages are being waited for, which is the limit; send it when one of them has ended"));
        }
        let number = node.send_to(letter.to, &letter.text, Some(letter.life)).map_err(|e| e.to_string())?;
        let (tell, end) = oneshot::channel();
        waiting.insert(number, tell);
        Ok(Told { waiting: self, number, end })
    }

    /// Tells who waits, if this event is the end of a message.
    pub(crate) fn note(&self, event: &Event) {
        let Some((number, delivered)) = end_of(event) else { return };
        if let Some(tell) = self.lock().remove(&number) {
            // Whoever asked may have gone.
            let _ = tell.send(Ending { delivered, text: event.to_string() });
        }
    }

    /// The node stops: nobody who waits is told any more.
    pub(crate) fn end(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, oneshot::Sender<Ending>>> {
        self.by_number.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Told<'_> {
    /// The end of the message; `None` if the node stops before.
    pub(crate) async fn end(&mut self) -> Option<Ending> {
        (&mut self.end).await.ok()
    }
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        self.waiting.lock().remove(&self.number);
    }
}

/// The message that ends by an event, and whether it arrived.
pub(crate) fn end_of(event: &Event) -> Option<(u64, bool)> {
    match event {
        Event::Delivered { message, .. } => Some((*message, true)),
        Event::Undelivered { message, .. } => Some((*message, false)),
        _ => None,
    }
}

pub(crate) async fn run(args: SendArgs) -> Result<(), Failure> {
    let Some(mut client) = Client::connect(&args.data).await? else {
        let dir = args.data.display();
        return Err(Failure::Runtime(format!(
            "no node runs on {dir}, and a message needs one that is connected; start it with --data {dir}"
        )));
    };
    let letter = |text: Bytes| Letter { to: args.peer, life: Duration::from_secs(u64::from(args.life)), text };
    let text = args.text.join(" ");
    if !matches!(text.as_str(), "" | "-") {
        return send(&mut client, letter(text.into())).await?.map_err(Failure::Runtime);
    }
    let (mut input, mut number, mut failed) = (io::stdin().lock(), 0, 0);
    while let Some(line) = next_line(&mut input, number + 1)? {
        number += 1;
        if let Err(why) = send(&mut client, letter(line)).await? {
            failed += 1;
            Failure::or_unheard(say(&mut io::stdout(), &why))?;
        }
    }
    match (number, failed) {
        (0, _) => Err(Failure::Runtime("nothing to send: standard input is empty".into())),
        (_, 0) => Ok(()),
        _ => Err(Failure::Runtime(format!("{failed} of {number} messages were not delivered"))),
    }
}

/// Sends and waits for the end; says it if it arrived.
async fn send(client: &mut Client, letter: Letter) -> Result<Result<(), String>, Failure> {
    let end = client.send(letter).await?;
    if !end.delivered {
        return Ok(Err(end.text));
    }
    Failure::or_unheard(say(&mut io::stdout(), &end.text)).map(Ok)
}

fn say(out: &mut impl Write, text: &str) -> Result<(), Failure> {
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(Failure::stdout)
}

/// One line without its line feed; the last one counts even without. `None` at the end of the input.
fn next_line(input: &mut impl BufRead, number: u64) -> Result<Option<Bytes>, Failure> {
    let max = limits::ROUTED_MAX_BYTES;
    let mut line = Vec::new();
    let read = input.take(max as u64 + 2).read_until(b'\n', &mut line).map_err(Failure::io("reading standard input"))?;
    if line.ends_with(b"\n") {
        line.pop();
    }
    if line.len() > max {
        return Err(Failure::Runtime(format!(
            "line {number} has more than {max} bytes, the limit of a message; it and what follows are not sent"
        )));
    }
    Ok((read > 0).then(|| line.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_message_up_to_its_limit() {
        let mut longest = vec![b'x'; limits::ROUTED_MAX_BYTES];
        longest.extend(b"\nlast");
        let mut input = &longest[..];
        let lens: Vec<usize> = std::iter::from_fn(|| next_line(&mut input, 1).expect("short enough")).map(|line| line.len()).collect();
        assert_eq!(lens, [limits::ROUTED_MAX_BYTES, 4]);
        longest.insert(0, b'x');
        assert!(next_line(&mut &longest[..], 7).is_err_and(|failure| failure.text().is_some_and(|text| text.contains("line 7"))));
    }

    #[test]
    fn a_wait_ends_with_its_message_with_its_client_or_with_the_node() {
        let waiting = Waiting::default();
        let wait = |number| {
            let (tell, end) = oneshot::channel();
            waiting.lock().insert(number, tell);
            Told { waiting: &waiting, number, end }
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let (mut one, two, mut three) = (wait(1), wait(2), wait(3));
        waiting.note(&Event::Delivered { peer: PeerId([1; 32]), message: 1 });
        assert!(runtime.block_on(one.end()).is_some_and(|end| end.delivered));
        drop(two);
        assert_eq!(waiting.lock().keys().copied().collect::<Vec<_>>(), [3], "who has gone is not kept");
        waiting.end();
        assert_eq!(runtime.block_on(three.end()), None);
        drop((one, three));
        assert!(waiting.lock().is_empty());
    }
}
