//! `outbox`: operations for other nodes, and those for this one, through the node that runs on a data directory.
//!
//! What was printed is durable. Executes nothing itself.

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::time::Duration;

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use vixp2p::base::limits;
use vixp2p::outbox::{OpId, OpView, Side, State, Target};
use vixp2p::{Error, Node};

use crate::args::outbox::{OutboxArgs, OutboxCommand, name, operation};
use crate::control::client::Client;
use crate::failure::Failure;

/// How long the node is asked to wait at once, so that an impatient client's question does not stay behind for long.
const WAIT_AT_ONCE: Duration = Duration::from_secs(2);

/// Lines of the list that are told at once: a quarter of the largest frame.
const PAGE_BYTES: usize = 1024 * 1024;
/// The side of operations that this node put.
const SENT: &str = "sent";

/// What is asked of the node. Operations go by the name this program prints, bytes in base64.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    Put {
        to: Option<String>,
        kind: String,
        key: String,
        payload: String,
    },
    Wait {
        id: String,
        ms: u64,
    },
    /// A page: what comes after that line, or the first one.
    List {
        after: Option<(String, String)>,
    },
    Cancel {
        id: String,
    },
    Prune,
    Claim {
        ms: u64,
    },
    Done {
        id: String,
    },
    Fail {
        id: String,
        for_good: bool,
        why: String,
    },
}

/// What the node answers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// The operation's name.
    Put(String),
    /// Where it stands, and whether that is the end.
    Stands { state: String, over: bool },
    /// A page of the list, and whether another one follows.
    Operations { lines: Vec<OpLine>, more: bool },
    /// So many were settled.
    Settled(u64),
    /// One to be executed, if there is any.
    Claimed(Option<Claimed>),
    /// It is noted.
    Noted,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct OpLine {
    name: String,
    /// "sent" or "received".
    side: String,
    /// "all" or a key.
    target: String,
    kind: String,
    key: String,
    state: String,
    attempts: u32,
    detail: String,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Claimed {
    name: String,
    kind: String,
    attempt: u32,
    payload: String,
}

fn state(state: State) -> &'static str {
    match state {
        State::Pending => "pending",
        State::InFlight => "in flight",
        State::Done => "done",
        State::Failed => "failed",
        State::PermanentFailed => "permanent failed",
    }
}

fn line(view: OpView) -> OpLine {
    OpLine {
        name: name(&view.id),
        side: if view.side == Side::Sent { SENT } else { "received" }.into(),
        target: if let Target::Peer(peer) = view.target { peer.to_string() } else { "all".into() },
        kind: view.kind,
        key: String::from_utf8_lossy(&view.key).into_owned(),
        state: state(view.state).into(),
        attempts: view.attempts,
        detail: view.detail,
    }
}

/// What follows a place in the list, as much as a frame holds with room to spare: an operation may come or go between two pages.
fn page(mut all: Vec<OpView>, after: Option<(Side, OpId)>) -> Answer {
    let rank = |side: Side, id: OpId| (side != Side::Sent, id);
    all.retain(|view| after.is_none_or(|(side, id)| rank(view.side, view.id) > rank(side, id)));
    all.sort_by_key(|view| rank(view.side, view.id));
    let (mut lines, mut bytes, mut more) = (Vec::new(), 0, false);
    for view in all {
        let line = line(view);
        bytes += serde_json::to_vec(&line).map_or(0, |text| text.len());
        more = bytes > PAGE_BYTES && !lines.is_empty();
        if more {
            break;
        }
        lines.push(line);
    }
    Answer::Operations { lines, more }
}

/// By the node that runs; waits for the disk, and as long as it is told.
pub(crate) fn by_node(node: &Node, order: &Order) -> Result<Answer, Error> {
    let outbox = node.outbox()?;
    let named = |id: &str| -> Result<OpId, Error> { operation(id).map_err(Error::Invalid) };
    let patience = |ms: &u64| Duration::from_millis(*ms).min(WAIT_AT_ONCE);
    match order {
        Order::Put { to, kind, key, payload } => {
            let target = to.as_ref().map_or(Ok(Target::All), |to| to.parse().map(Target::Peer))?;
            let payload = BASE64.decode(payload.as_bytes()).map_err(|e| Error::Invalid(format!("the operation's bytes: {e}")))?;
            Ok(Answer::Put(name(&outbox.put(target, kind, key.as_bytes(), &payload)?)))
        }
        Order::Wait { id, ms } => {
            let stands = outbox.wait(&named(id)?, patience(ms))?;
            Ok(Answer::Stands { state: state(stands).into(), over: matches!(stands, State::Done | State::PermanentFailed) })
        }
        Order::List { after } => {
            let after = after.as_ref().map(|(side, id)| named(id).map(|id| (side == SENT, id))).transpose()?;
            let after = after.map(|(sent, id)| (if sent { Side::Sent } else { Side::Received }, id));
            Ok(page(outbox.list(), after))
        }
        Order::Cancel { id } => outbox.withdraw(named(id)?).map(|was| Answer::Settled(u64::from(was))),
        Order::Prune => outbox.prune().map(|count| Answer::Settled(count as u64)),
        Order::Claim { ms } => Ok(Answer::Claimed(outbox.claim(patience(ms))?.map(|operation| Claimed {
            name: name(&operation.id),
            kind: operation.kind,
            attempt: operation.attempt,
            payload: BASE64.encode(&operation.payload),
        }))),
        Order::Done { id } => outbox.done(&named(id)?).map(|()| Answer::Noted),
        Order::Fail { id, for_good, why } => outbox.fail(&named(id)?, *for_good, why).map(|()| Answer::Noted),
    }
}

pub(crate) async fn run(args: OutboxArgs) -> Result<(), Failure> {
    match args.command {
        OutboxCommand::Send { to, all: _, kind, key, wait, data, text } => {
            let payload = BASE64.encode(&payload(text)?);
            let mut client = connect(data).await?;
            let order = Order::Put { to: to.map(|key| key.to_string()), kind, key, payload };
            let Answer::Put(id) = client.outbox(order).await? else { return Err(surprise()) };
            let said = print(format!("{id}\n").as_bytes());
            match wait {
                Some(secs) => until_over(&mut client, id, Duration::from_secs(secs.into())).await.and(said),
                None => said,
            }
        }
        OutboxCommand::List { data, json } => list(&mut connect(data).await?, json).await,
        OutboxCommand::Cancel { id, data } => match connect(data).await?.outbox(Order::Cancel { id: name(&id) }).await? {
            Answer::Settled(0) => Err(Failure::Runtime(format!("operation {} was not put by this node, or is settled", name(&id)))),
            Answer::Settled(_) => Ok(()),
            _ => Err(surprise()),
        },
        OutboxCommand::Prune { data } => match connect(data).await?.outbox(Order::Prune).await? {
            Answer::Settled(count) => print(format!("{count}\n").as_bytes()),
            _ => Err(surprise()),
        },
        OutboxCommand::Claim { wait, data } => claim(&mut connect(data).await?, Duration::from_secs(wait.into())).await,
        OutboxCommand::Done { id, data } => noted(connect(data).await?.outbox(Order::Done { id: name(&id) }).await?),
        OutboxCommand::Fail { id, for_good, why, data } => {
            noted(connect(data).await?.outbox(Order::Fail { id: name(&id), for_good, why }).await?)
        }
    }
}

/// Prints the list, page by page.
async fn list(client: &mut Client, json: bool) -> Result<(), Failure> {
    let text = |line: &OpLine| if json { serde_json::to_string(line).unwrap_or_default() } else { describe(line) };
    let mut after = None;
    loop {
        let Answer::Operations { lines, more } = client.outbox(Order::List { after }).await? else { return Err(surprise()) };
        print(lines.iter().map(|line| text(line) + "\n").collect::<String>().as_bytes())?;
        after = lines.last().map(|line| (line.side.clone(), line.name.clone()));
        if !more || after.is_none() {
            return Ok(());
        }
    }
}

/// Prints where an operation stands once it is over, or the time is.
async fn until_over(client: &mut Client, id: String, patience: Duration) -> Result<(), Failure> {
    let end = now() + patience;
    loop {
        let left = end.saturating_duration_since(now());
        let Answer::Stands { state, over } = client.outbox(Order::Wait { id: id.clone(), ms: left.as_millis() as u64 }).await? else {
            return Err(surprise());
        };
        if over || left.is_zero() {
            let said = print(format!("{state}\n").as_bytes());
            return if state == "done" { said } else { Err(Failure::Told) };
        }
    }
}

async fn claim(client: &mut Client, patience: Duration) -> Result<(), Failure> {
    let end = now() + patience;
    loop {
        let left = end.saturating_duration_since(now());
        match client.outbox(Order::Claim { ms: left.as_millis() as u64 }).await? {
            Answer::Claimed(Some(Claimed { name, kind, attempt: _, payload })) => {
                let payload = BASE64.decode(payload.as_bytes()).map_err(|_| surprise())?;
                // A kind is the sender's word.
                let mut text = format!("{name} {}\n", vixp2p::base::event::printable(&kind)).into_bytes();
                text.extend_from_slice(&payload);
                return print(&text);
            }
            Answer::Claimed(None) if left.is_zero() => return Err(Failure::Runtime("there is no operation for this node".into())),
            Answer::Claimed(None) => {}
            _ => return Err(surprise()),
        }
    }
}

async fn connect(data: PathBuf) -> Result<Client, Failure> {
    Client::connect(&data).await?.ok_or_else(|| {
        Failure::Runtime(format!("no node runs on {}; operations are put and executed through a running node", data.display()))
    })
}

/// What an operation carries.
fn payload(text: String) -> Result<Vec<u8>, Failure> {
    if text != "-" {
        return Ok(text.into_bytes());
    }
    let mut bytes = Vec::new();
    // One byte more than fits is enough to be refused.
    let most = limits::RECORD_PAYLOAD_MAX_BYTES as u64 + 1;
    io::stdin().lock().take(most).read_to_end(&mut bytes).map_err(Failure::io("reading standard input"))?;
    Ok(bytes)
}

fn describe(line: &OpLine) -> String {
    let OpLine { name, side, target, kind, key, state, attempts, detail } = line;
    let whom = if side == "sent" { format!("sent to {target}") } else { format!("received, {attempts} attempts") };
    let key = if key.is_empty() { String::new() } else { format!(", key {}", vixp2p::base::event::printable(key)) };
    let why = if detail.is_empty() { String::new() } else { format!(": {}", vixp2p::base::event::printable(detail)) };
    format!("{name} {}{key}, {whom}, {state}{why}", vixp2p::base::event::printable(kind))
}

fn noted(answer: Answer) -> Result<(), Failure> {
    if answer == Answer::Noted { Ok(()) } else { Err(surprise()) }
}

fn surprise() -> Failure {
    Failure::Runtime("the node answered something else than was asked".into())
}

fn print(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(Failure::stdout)
}

#[expect(clippy::disallowed_methods, reason = "the patience of whoever typed the command is in real time")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

#[cfg(test)]
mod tests {
    use vixp2p::PeerId;
    use vixp2p::base::{Incarnation, LogId};

    use super::*;

    fn view(side: Side, seq: u64, key: Vec<u8>) -> OpView {
        let log = LogId { origin: PeerId([7; 32]), incarnation: Incarnation(1) };
        let (id, kind, detail) = (OpId { log, seq }, "k".repeat(limits::OUTBOX_KIND_MAX_BYTES), "\u{1}".repeat(100));
        OpView { id, side, target: Target::All, kind, key, state: State::Failed, attempts: u32::MAX, detail }
    }

    #[test]
    fn the_longest_list_is_told_in_pages_that_fit_and_miss_nothing() {
        // Keys of one node; an operation of its own that is for itself too stands on both sides.
        let each = limits::OUTBOX_OPEN_MAX as u64 / 8;
        let key = vec![1; limits::OUTBOX_KEY_MAX_BYTES];
        let all: Vec<OpView> = [Side::Received, Side::Sent]
            .into_iter()
            .flat_map(|side| (0..each).rev().map(move |seq| (side, seq)))
            .map(|(side, seq)| view(side, seq, key.clone()))
            .collect();
        let (mut told, mut after, mut pages) = (Vec::new(), None, 0);
        loop {
            let answer = page(all.clone(), after);
            assert!(serde_json::to_vec(&answer).expect("text").len() < 2 * PAGE_BYTES);
            let Answer::Operations { lines, more } = answer else { panic!("a page") };
            let last = lines.last().expect("never empty");
            after = Some((if last.side == SENT { Side::Sent } else { Side::Received }, operation(&last.name).expect("a name")));
            told.extend(lines.into_iter().map(|line| (line.side, line.name)));
            pages += 1;
            if !more {
                break;
            }
        }
        let expected = ["sent", "received"].into_iter().flat_map(|side| (0..each).map(move |seq| (side, seq)));
        assert!(told.into_iter().eq(expected.map(|(side, seq)| (side.to_owned(), name(&view(Side::Sent, seq, Vec::new()).id)))));
        assert!(pages > 4, "{pages}");
        assert_eq!(page(Vec::new(), None), Answer::Operations { lines: Vec::new(), more: false });
    }

    #[test]
    fn an_operation_is_one_line_whatever_its_sender_called_it() {
        let line = OpLine {
            name: "n".into(),
            side: "received".into(),
            target: "all".into(),
            kind: "a\nb".into(),
            key: String::new(),
            state: "failed".into(),
            attempts: 2,
            detail: "no\ndisk".into(),
        };
        let text = describe(&line);
        assert!(text.starts_with("n a") && !text.contains('\n') && text.contains("received, 2 attempts, failed: no"), "{text}");
        let text = describe(&OpLine { side: "sent".into(), key: "k".into(), detail: String::new(), ..line });
        assert!(text.ends_with(", key k, sent to all, failed"), "{text}");
    }
}
